"""What goes around the calls of an executor with an initializer, or with a limit of calls for each process."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable
from typing import Any

from dhub import seat
from dhub.errors import InitializerFailed

LOGGER = logging.getLogger("concurrent.futures")

_tasks: dict[str, int] = {}
"""In this process, of executors whose initializer has run: how many of their tasks began."""
_last = ""


class Prepared:
    """Calls a function, after the initializer of its executor if that has not run in this process."""

    def __init__(
        self, session: str, initializer: bytes | None, tasks_max: int | None, fn: Callable[..., Any]
    ) -> None:
        self.session, self.initializer, self.tasks_max, self.fn = session, initializer, tasks_max, fn

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        global _last
        if self.session not in _tasks:
            if self.initializer is not None:
                try:
                    pickle.loads(self.initializer)()
                except BaseException as error:
                    LOGGER.critical("Exception in initializer:", exc_info=True)
                    raise InitializerFailed(f"the initializer failed: {type(error).__name__}: {error}") from error
            _tasks[self.session] = 0
        task = f"{os.environ.get('DHUB_TASK')} {os.environ.get('DHUB_ATTEMPT')}"
        if task != _last:
            _last = task
            _tasks[self.session] += 1
            if self.tasks_max is not None and _tasks[self.session] >= self.tasks_max:
                seat.retire()
        return self.fn(*args, **kwargs)
