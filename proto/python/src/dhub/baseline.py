"""What a process was like before its first task, to which it comes back after each: a task that changes signals, limits
or directories changes them for itself alone.

What cannot be undone, such as a limit that was lowered for good, or processes that were left, ends the process: another
one takes its place. Objects of Python are not looked at: what modules keep is theirs, as are threads.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the enums of `signal` take as long as all that follows
import faulthandler
import fcntl
import io
import os
import resource
import signal
import sys
from typing import Any

_SIGNALS = [int(it) for it in sorted(signal.valid_signals())]
_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_TRACKERS = ("multiprocessing.resource_tracker", "joblib.externals.loky.backend.resource_tracker")
"""Modules that leave one process each, on purpose: for as long as this one lives."""
TRIES = 3


def open_streams() -> None:
    """Descriptors 0 to 2 and `sys.stdin`, `stdout`, `stderr` are there, also if nobody gave any."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))


class _Sink(io.FileIO):
    """What is printed and cannot be written, as on a disk that is full, is lost: no task fails for that."""

    def write(self, data: Any) -> int:
        try:
            written = super().write(data)
        except OSError:
            written = None
        return len(data) if written is None else written


def _stream(number: int, like: Any) -> Any:
    """A stream of text to a descriptor, with the encoding and the buffers of that one."""
    encoding, errors = getattr(like, "encoding", "utf-8"), getattr(like, "errors", "backslashreplace")
    lines, through = getattr(like, "line_buffering", False), getattr(like, "write_through", False)
    file = io.BufferedWriter(_Sink(number, "w", closefd=False))
    return io.TextIOWrapper(file, encoding, errors, line_buffering=lines, write_through=through)


class Baseline:
    """As it was when this was made, in a process whose streams are open."""

    def __init__(self) -> None:
        self._streams = [_duplicate(number) for number in range(3)]
        sys.stdin = open(0, closefd=False)
        sys.stdout, sys.stderr = _stream(1, sys.stdout), _stream(2, sys.stderr)
        self._objects: list[Any] = [sys.stdin, sys.stdout, sys.stderr]
        self._directory = -1
        sys.modules.pop("resource", None)
        self.take()

    def take(self) -> None:
        """It is to be as it is now."""
        if self._directory >= 0:
            os.close(self._directory)
        self._directory = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._handlers = [_signal.getsignal(number) for number in _SIGNALS]
        self._mask = _signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._limits = [resource.getrlimit(it) for it in _LIMITS]
        self._priority = os.getpriority(os.PRIO_PROCESS, 0)
        self._cores = os.sched_getaffinity(0)
        self._recursion = sys.getrecursionlimit()
        self._children = _children()
        self.begin()

    def begin(self) -> None:
        """The environment is as the next task is to have it."""
        self._environ = os.environ._data.copy()  # type: ignore[attr-defined]

    def restore(self, waits: bool) -> bool:
        """Undoes what a task has changed. False: not all can be undone.

        `waits` for children that have ended: after a command they are what it left. One of a call may be in the hands of
        a module, which would never hear how it ended: then this process ends with it.
        """
        for _ in range(TRIES):
            try:
                return self._restore(waits)
            except BaseException:  # a handler that the task has left, for a signal that came just now
                pass
        return False

    def _restore(self, waits: bool) -> bool:
        for timer in _TIMERS:
            _signal.setitimer(timer, 0)
        faulthandler.cancel_dump_traceback_later()
        handlers = [_signal.getsignal(number) for number in _SIGNALS]
        if handlers != self._handlers:
            for number, now, before in zip(_SIGNALS, handlers, self._handlers):
                if now is not before:
                    _signal.signal(number, before)  # TypeError: one of C's
        _signal.set_wakeup_fd(-1)
        if _signal.pthread_sigmask(signal.SIG_BLOCK, ()) != self._mask:
            _signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        os.umask(self._umask)
        os.fchdir(self._directory)
        if os.environ._data != self._environ:  # type: ignore[attr-defined]
            self._restore_environ()
        if sys.getrecursionlimit() != self._recursion:
            sys.setrecursionlimit(self._recursion)
        # Who changes limits has imported it; to ask for all of them takes as long as all the rest.
        if "resource" in sys.modules and [resource.getrlimit(it) for it in _LIMITS] != self._limits:
            for which, limit in zip(_LIMITS, self._limits):
                resource.setrlimit(which, limit)
        if os.getpriority(os.PRIO_PROCESS, 0) != self._priority:
            os.setpriority(os.PRIO_PROCESS, 0, self._priority)
        if os.sched_getaffinity(0) != self._cores:
            os.sched_setaffinity(0, self._cores)
        self._restore_streams()
        left = _children() - self._children
        return all([_has_ended(pid) for pid in left]) if waits else not left

    def left(self) -> int:
        """How many processes of a task end with this one: those of its group, which the nursery kills."""
        group, count = os.getpgrp(), 0
        own = {str(os.getpid()), *self._children, *_trackers()}
        for pid in os.listdir("/proc"):
            if pid.isdigit() and pid not in own:
                try:
                    with open(f"/proc/{pid}/stat", "rb") as stat:
                        # Behind the name, which may have anything in it.
                        state, _, of = stat.read().rpartition(b")")[2].split()[:3]
                except OSError:
                    continue  # it has ended
                count += int(of) == group and state not in (b"Z", b"X")
        return count

    def _restore_environ(self) -> None:
        for name in list(os.environb):
            if name not in self._environ:
                del os.environb[name]
        for name, value in self._environ.items():
            if os.environb.get(name) != value:
                os.environb[name] = value

    def _restore_streams(self) -> None:
        for number, kept in enumerate(self._streams):
            os.dup2(kept, number)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            now, before = getattr(sys, name), self._objects[number]
            if now is not before:
                _flush(now)
                setattr(sys, name, before)
            if before.closed:
                self._objects[number] = _stream(number, before) if number else open(0, closefd=False)
                setattr(sys, name, self._objects[number])
            elif number:
                before.flush()


def _duplicate(number: int) -> int:
    """Out of the way of what counts descriptors from 3."""
    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 64)


def _flush(stream: Any) -> None:
    """One that is no stream of ours."""
    try:
        stream.flush()
    except Exception:
        pass


def _children() -> set[str]:
    """The processes that this one has started and that are there; those that it needs for itself do not count."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    found: set[str] = set()
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/children") as children:
            found.update(children.read().split())
    return found.difference(_trackers())


def _trackers() -> set[str]:
    """Those of the libraries, which serve the tasks that follow, too."""
    trackers = (getattr(sys.modules.get(name), "_resource_tracker", None) for name in _TRACKERS)
    return {str(getattr(tracker, "_pid", None)) for tracker in trackers}


def _has_ended(pid: str) -> bool:
    """It is not there any more then: whom nobody has waited for is no process that was left."""
    try:
        return os.waitpid(int(pid), os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True
