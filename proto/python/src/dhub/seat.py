"""The process of a worker, for the call that runs in it. Elsewhere all of this does nothing.

A call that has calls of its own says so, and the pool starts another process until they have ended: however deep calls
wait for calls, some go on. That counts from the first one that is submitted, not from the wait: `wait`, `as_completed`,
a callback, an event are waits that no future knows of. What such a call computes meanwhile runs beside the other process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from dhub.errors import Elsewhere
from dhub.slot import BACK, HEAD, LEFT


class Owned:
    """A function that is called in processes in which only those of the same session are, once `keep` was called."""

    session: str


class Seat:
    """Of this process."""

    def __init__(self, end: socket.socket, on_keep: Callable[[], object]) -> None:
        self.pid = os.getpid()
        self.on_keep = on_keep
        self.session = ""
        """Whose process this is; empty: anybody's."""
        self.task = 0
        """The number of the task that runs here."""
        self.is_retired = False
        """The process ends after this task."""
        self._end = end
        self._lock = threading.Lock()
        self._waits = 0

    def begin(self, task: int) -> None:
        with self._lock:
            self.task, self._waits = task, 0

    def admit(self, function: Any) -> None:
        """Raises `Elsewhere`, and the process ends."""
        if self.session and self.session != (function.session if isinstance(function, Owned) else ""):
            self.is_retired = True
            raise Elsewhere

    def wait(self, change: int, task: int) -> None:
        with self._lock:
            if task != self.task:  # a thread that an earlier call has left
                return
            before, self._waits = self._waits, self._waits + change
            if (before == 0) != (self._waits == 0):
                try:
                    self._end.send(HEAD.pack(LEFT if self._waits else BACK, task, 0, 0))
                except OSError:
                    pass  # the pool is gone, and this process with it


_seat: Seat | None = None


def take(seat: Seat) -> None:
    """This process runs tasks from now on."""
    global _seat
    _seat = seat


def _mine() -> Seat | None:
    # What a call has forked has a copy.
    return _seat if _seat is not None and _seat.pid == os.getpid() else None


def is_taken() -> bool:
    """Does this code run in a call, in the process of a worker?"""
    return _mine() is not None


@contextlib.contextmanager
def left() -> Iterator[None]:
    """While tasks of the caller are pending, so that it may wait for them."""
    seat = _mine()
    if seat is None:
        yield
        return
    task = seat.task
    seat.wait(1, task)
    try:
        yield
    finally:
        seat.wait(-1, task)


def retire() -> None:
    """This process ends when the call has ended; another one takes its place."""
    seat = _mine()
    if seat is not None:
        seat.is_retired = True


def keep(session: str) -> None:
    """What the process is like now is what it comes back to; all further calls in it are of this session."""
    seat = _mine()
    if seat is not None:
        seat.session = session
        seat.on_keep()
