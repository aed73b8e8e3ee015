"""What goes around the calls of an executor that has an initializer, a limit of tasks a process, or wants what is printed."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from dhub import seat
from dhub.errors import InitializerFailed

LOGGER = logging.getLogger("concurrent.futures")

_tasks: dict[str, int] = {}
"""In this process, of executors whose initializer has run: how many of their tasks began."""
_last = ""


class Printed:
    """A result, with what its call has printed: that comes out where it is unpickled, unless that is in another call."""

    def __init__(self, value: Any, text: str) -> None:
        self.value, self.text = value, text

    def __reduce__(self) -> Any:
        return _print, (self.value, self.text)


def _print(value: Any, text: str) -> Any:
    if text and "DHUB_TASK" not in os.environ:
        sys.stdout.write(text)
        sys.stdout.flush()
    return value


class Around(NamedTuple):
    """What an executor has asked for, once for all of its calls."""

    session: str
    initializer: bytes | None = None
    tasks_max: int | None = None
    stdout: bool = False

    def is_owner(self) -> bool:
        return self.initializer is not None or self.tasks_max is not None

    def is_needed(self) -> bool:
        return self.is_owner() or self.stdout


class Prepared(seat.Owned):
    """Calls a function, after the initializer of its executor if that has not run in this process."""

    def __init__(self, around: Around, fn: Callable[..., Any]) -> None:
        self.around, self.fn = around, fn
        # Whoever initializes a process, or counts its tasks, has it alone.
        self.session = around.session if around.is_owner() else ""

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        global _last
        session, initializer, tasks_max, stdout = self.around
        if session not in _tasks:
            if initializer is not None:
                try:
                    pickle.loads(initializer)()
                except BaseException as error:
                    LOGGER.critical("Exception in initializer:", exc_info=True)
                    raise InitializerFailed(f"the initializer failed: {type(error).__name__}: {error}") from error
            if initializer is not None:
                seat.keep(session)
            _tasks[session] = 0
        task = f"{os.environ.get('DHUB_TASK')} {os.environ.get('DHUB_ATTEMPT')}"
        if task != _last:
            _last = task
            _tasks[session] += 1
            if tasks_max is not None and _tasks[session] >= tasks_max:
                seat.retire()
        if not stdout:
            return self.fn(*args, **kwargs)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            try:
                return Printed(self.fn(*args, **kwargs), out.getvalue())
            except BaseException as error:
                error.__dict__["printed"] = Printed(None, out.getvalue())
                raise
