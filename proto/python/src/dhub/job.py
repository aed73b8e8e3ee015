"""What an executor has in the hub, or on its way there."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from dhub._wire import hub_pb2 as wire
from dhub.errors import TaskSkipped
from dhub.future import DhubFuture


class Job:
    """A task that has not ended."""

    __slots__ = ("task", "name", "futures", "needs", "needed_by", "names", "file", "definition", "is_created")

    def __init__(
        self,
        task: wire.Task,
        future: DhubFuture[Any],
        needs: Collection[DhubFuture[Any]],
        file: Path | None,
        is_named: bool = False,
        names: Collection[str] = (),
    ) -> None:
        self.task: wire.Task | None = task
        """None: it is on its way to the hub, or there."""
        self.name = future.name
        self.futures = [future]
        """Several, if it was submitted again meanwhile: what becomes of it is what becomes of them all."""
        self.definition: bytes | None = None
        """Hash of a task whose name somebody chose, who may choose it again."""
        if is_named:
            self.definition = hashlib.sha256(task.SerializeToString(deterministic=True)).digest()
        self.needs = needs
        """Kept until it has ended, and with them the files of their results."""
        self.needed_by: list[str] | None = None
        """Names of tasks that were submitted with it among their needs, if any: an object less for the collector of
        garbage, which costs as much as all the rest of a `submit`."""
        self.names = names
        """Those of its needs that are no futures; nobody may ever add them."""
        self.file = file
        """Of its arguments; it is removed when the task has ended."""
        self.is_created = False
        """The hub has answered."""

    def lose(self) -> None:
        """The hub does not have it."""
        for future in self.futures:
            future.is_lost = True

    def cause(self) -> BaseException | None:
        """What failed first, of what it needs."""
        error = next(filter(None, (need.failure() for need in self.needs)), None)
        return error.__cause__ or error if isinstance(error, TaskSkipped) else error
