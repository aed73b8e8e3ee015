"""Calls that leave a process otherwise than they found it, and one that looks. Workers import them by name."""

from __future__ import annotations

import functools
import os
import resource
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import dhub
from dhub import seat


def look() -> dict[str, Any]:
    """What a process is like."""
    return {
        "handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "timers": [signal.getitimer(it) for it in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)],
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "directory": os.getcwd(),
        "umask": (mask := os.umask(0o022), os.umask(mask))[0],
        "environ": {name: value for name, value in os.environ.items() if name not in ("DHUB_TASK", "DHUB_ATTEMPT")},
        "recursion": sys.getrecursionlimit(),
        "cores": sorted(os.sched_getaffinity(0)),
        "streams": [os.readlink(f"/proc/self/fd/{number}") for number in range(3)],
        "open": [it is not None and not it.closed for it in (sys.stdin, sys.stdout, sys.stderr)],
        "children": [path.read_text() for path in Path("/proc/self/task").glob("*/children")],
    }


def alarm() -> None:
    signal.alarm(1)


def timer() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0.001)


def handlers() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD):
        signal.signal(number, lambda number, frame: time.sleep(60))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR2])


def raises_later() -> None:
    def late(number: int, frame: object) -> None:
        raise RuntimeError("too late")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)


def limits() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(80_000)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def directory() -> None:
    os.chdir("/")
    os.umask(0o777)


def environ() -> None:
    os.environ["NEW"] = "new"
    os.environ["HOME"] = "/nowhere"
    del os.environ["PATH"]


def closes() -> str:
    print("said before")
    sys.stdout.close()
    sys.stderr.close()
    os.close(0)
    os.close(1)
    os.close(2)
    return "closed"


def redirects() -> None:
    target = os.open(os.devnull, os.O_WRONLY)
    os.dup2(target, 1)
    sys.stdout = None


def child() -> int:
    return subprocess.Popen(["sleep", "600"]).pid


def twice(path: str) -> int:
    """Two processes come back from it."""
    note(path)
    return os.fork()


DIRTY = [alarm, timer, handlers, raises_later, limits, directory, environ, closes, redirects, child]


def note(path: str, seconds: float = 0.0, value: Any = None) -> Any:
    """A line for each time that it ran."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{value}\n".encode())
    os.close(file)
    time.sleep(seconds)
    return value


def chatter(text: str) -> int:
    print(text * 10_000)
    print(text, file=sys.stderr)
    return len(text)


def large_error(size: int) -> None:
    raise KeyError("x" * size, size)


class Exits(Exception):
    """It exits when it is pickled, or unpickled."""

    def __init__(self, at_once: bool) -> None:
        super().__init__("as it says")
        self.at_once = at_once

    def __reduce__(self) -> Any:
        return sys.exit(5) if self.at_once else (sys.exit, (7,))


def exits(at_once: bool) -> None:
    raise Exits(at_once)


def deep() -> list[Any]:
    """More than pickle goes into."""
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


class NeverBack:
    """It can be pickled, and not be unpickled."""

    def __reduce__(self) -> Any:
        return functools.partial(int, "no number"), ()


class Precious:
    """Something whose end can be seen."""

    def __init__(self) -> None:
        self.data = bytes(30_000)


_seen: list[weakref.ref[Precious]] = []


def keeps(precious: Precious, fails: bool) -> Precious:
    _seen.append(weakref.ref(precious))
    if fails:
        raise ValueError(precious)
    return precious


def alive() -> int:
    return sum(it() is not None for it in _seen)


def add(kept: list[int], x: int) -> int:
    kept.append(x)
    return len(kept)


class Adder:
    def __init__(self) -> None:
        self.kept: list[int] = []

    def add(self, x: int) -> int:
        return add(self.kept, x)


def stubborn(path: str, size: int) -> bytes:
    """Does not heed that it was cancelled."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(path).touch()
    while not Path(path + ".go").exists():
        time.sleep(0.01)
    return bytes(size)


class Session(seat.Owned):
    """A function with an initializer, which says what it finds."""

    def __init__(self, session: str) -> None:
        self.session = session

    def __call__(self) -> tuple[int, Any, str]:
        if "SESSION" not in os.environ:
            os.environ["SESSION"] = self.session
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            seat.keep(self.session)
        os.environ["OTHER"] = "other"
        return session()


def session() -> tuple[int, Any, str]:
    other = os.environ.get("OTHER", "none")
    return os.getpid(), signal.getsignal(signal.SIGUSR1), os.environ.get("SESSION", "none") + " " + other


def depth(n: int) -> int:
    """Waits for a call that waits for a call."""
    if n == 0:
        return 0
    with dhub.DhubExecutor(priority=n) as executor:
        future = executor.submit(depth, n - 1)
        with seat.left():
            return 1 + future.result()


def leave_behind() -> int:
    return subprocess.Popen(["sleep", "1000"]).pid


KEPT: list[subprocess.Popen[bytes]] = []


def keep_child() -> int:
    """Its child has ended, and nobody has asked yet how."""
    KEPT.append(subprocess.Popen(["false"]))
    os.waitid(os.P_PID, KEPT[0].pid, os.WEXITED | os.WNOWAIT)
    return os.getpid()


def ask_child() -> int | None:
    return KEPT[0].wait() if KEPT else None
