"""Everything that can go wrong, as one tree below `DhubError`.

What the hub refuses is a `Refused` of the class that its code has, with the offending names. The rest
is about finding it, being let in, and hearing it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool


class ErrorCode(enum.IntEnum):
    """Why the hub refused; the numbers are those of `proto/hub.proto`."""

    UNSPECIFIED = 0
    INVALID = 1
    LIMIT = 2
    NOT_FOUND = 3
    CONFLICT = 4
    CYCLE = 5
    STALE = 6
    STATE = 7
    DISK = 8
    BUSY = 9
    UNSUPPORTED = 10
    DENIED = 11
    DAMAGED = 12

    @classmethod
    def _missing_(cls, value: object) -> ErrorCode:
        # Of a newer hub.
        return cls.UNSPECIFIED


class DhubError(Exception):
    """The root: `except DhubError` catches all of them."""


class NoHub(DhubError):
    """No hub is found, or none answers in time."""


class HubFull(NoHub):
    """The hub is there, and has no room for another connection: ask again later."""


class SeveralHubs(DhubError):
    """Several hubs of this user run: one has to be chosen."""


class AccessError(DhubError):
    """An access file, or a directory that has to be private, is of no use."""


class Unexpected(DhubError):
    """The hub answered something else than was asked."""


class Refused(DhubError):
    """The hub refused. Nothing was changed.

    `code` says why, `names` (at most 100) of which tasks or workers.
    """

    code: ErrorCode = ErrorCode.UNSPECIFIED
    names: tuple[str, ...]

    def __init__(self, message: str, names: Sequence[str] = (), code: int | None = None) -> None:
        super().__init__(message)
        self.names = tuple(names)
        if code is not None:
            self.code = ErrorCode(code)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.names, int(self.code))


class Invalid(Refused):
    """The request breaks the protocol."""

    code = ErrorCode.INVALID


class OverLimit(Refused):
    """Over a limit of docs/protocol.md, which the message names."""

    code = ErrorCode.LIMIT


class NotFound(Refused):
    """No task or worker has that name."""

    code = ErrorCode.NOT_FOUND


class Conflict(Refused):
    """The name exists with another definition."""

    code = ErrorCode.CONFLICT


class Cycle(Refused):
    """The tasks in `names` wait for each other, in this order."""

    code = ErrorCode.CYCLE


class Stale(Refused):
    """Not the newest attempt, or another outcome is recorded already."""

    code = ErrorCode.STALE


class WrongState(Refused):
    """The state of the task does not allow it."""

    code = ErrorCode.STATE


class DiskFull(Refused):
    """The hub has not enough space for new tasks."""

    code = ErrorCode.DISK


class Busy(Refused):
    """The hub has too much parked already: ask again later."""

    code = ErrorCode.BUSY


class Unsupported(Refused):
    """The hub is too old for this request."""

    code = ErrorCode.UNSUPPORTED


class Denied(Refused):
    """The hub does not let this key in, or not ask this."""

    code = ErrorCode.DENIED


class NotTheHub(Denied):
    """Who answers has not shown that it is the hub: another one is at its place, or it cannot let anybody in just now."""


class TaskFailed(DhubError):
    """A task failed without an exception of Python."""

    def __init__(self, name: str, reason: str, exit_code: int = 0) -> None:
        super().__init__(f"{name}: {reason or f'exit code {exit_code}'}")
        self.name, self.reason, self.exit_code = name, reason, exit_code

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name, self.reason, self.exit_code)


class TaskKilled(TaskFailed, BrokenProcessPool):
    """The process that ran a task ended: it crashed, was killed, or took too long. Other tasks go on."""


class InitializerFailed(DhubError, BrokenProcessPool):
    """The initializer of an executor failed in a worker, so the executor takes no more calls."""


class TaskSkipped(TaskFailed):
    """A task was skipped, because something that it needs failed or was cancelled."""


class Elsewhere(Exception):
    """A call is for another process of this worker. Nobody else sees it."""


class CannotPickle(DhubError, TypeError):
    """What cannot be sent to a worker: the cause of what pickle or a class of somebody else's raised."""


_CLASSES: dict[int, type[Refused]] = {
    it.code: it
    for it in (
        Invalid,
        OverLimit,
        NotFound,
        Conflict,
        Cycle,
        Stale,
        WrongState,
        DiskFull,
        Busy,
        Unsupported,
        Denied,
    )
}


def refused(code: int, message: str, names: Sequence[str] = ()) -> Refused:
    """The exception of that code."""
    return _CLASSES.get(code, Refused)(message, names, code)
