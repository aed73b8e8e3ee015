"""Functions that workers import by name."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import dhub


def square(x: int) -> int:
    return x * x


def add(*numbers: Any) -> Any:
    return sum(numbers)


def total(numbers: list[int]) -> int:
    return sum(numbers)


def fail(text: str) -> None:
    raise ValueError(text)


class Odd(Exception):
    """An exception that cannot be pickled: it wants two arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"odd {one} {two}")


def fail_oddly() -> None:
    raise Odd(1, 2)


def exit_(code: int) -> None:
    sys.exit(code)


def segfault() -> None:
    ctypes.string_at(0)


def kill_me(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def unpicklable() -> Any:
    return threading.Lock()


def repeat(text: bytes, n: int) -> bytes:
    return text * n


def sleep(path: str, seconds: float) -> str:
    """Says that it has begun, and how it ended."""
    file = Path(path)
    with file.open("a") as lines:
        print("begun", os.getpid(), file=lines)
    time.sleep(seconds)
    with file.open("a") as lines:
        print("ended", file=lines)
    return "slept"


def once(path: str) -> str:
    """Dies the first time, with its pool."""
    file = Path(path)
    if not file.exists():
        file.write_text(str(os.getpid()))
        os.kill(int(file.with_suffix(".pool").read_text()), signal.SIGKILL)
        time.sleep(60)
    return "second time"


def fail_until(path: str, n: int, _: bytes = b"") -> int:
    """Fails n times."""
    with open(path, "a") as lines:
        lines.write("x")
    size = Path(path).stat().st_size
    if size <= n:
        raise RuntimeError(f"try {size}")
    return size


def grow(depth: int) -> list[str]:
    """A task that adds tasks."""
    hub = dhub.Hub()
    names = [f"grown-{depth}-{i}" for i in range(2)]
    for name in names:
        hub.create(name, command="true")
    return names


def where() -> tuple[str, str, str]:
    return os.environ["DHUB_TASK"], os.environ["DHUB_ATTEMPT"], os.environ["DHUB_SLOT"]


def same(value: Any) -> Any:
    return value


def at_once(path: str, seconds: float) -> int:
    """How many are in here at the same time."""
    file = Path(f"{path}-{os.getpid()}")
    file.touch()
    time.sleep(seconds)
    count = len(list(file.parent.glob(f"{Path(path).name}-*")))
    file.unlink()
    return count


_initialized: list[str] = []


def initialize(text: str) -> None:
    _initialized.append(text)


def initialized(_: Any) -> tuple[str, int]:
    return _initialized[0], len(_initialized)


def sleep_for(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


class Thing:
    """Something that can be referred to weakly."""


def thing(_: Any) -> Thing:
    return Thing()


def apply(function: Any, argument: Any) -> Any:
    return function(argument)


class Unopenable:
    """Raises when it is unpickled."""

    def __reduce__(self) -> Any:
        return divmod, (1, 0)


def pid(_: Any) -> int:
    return os.getpid()


def fan(_: Any) -> list[int]:
    """Waits for calls otherwise than by their results."""
    with dhub.DhubExecutor() as executor:
        futures = [executor.submit(square, x) for x in range(3)]
        assert not wait(futures).not_done
        return [it.result() for it in futures]


def behind_the_gate(index: int) -> int:
    """Waits for a call that nobody can run before the gate is there."""
    with dhub.DhubExecutor() as executor:
        result: int = executor.submit_task(same, index, needs=["gate"]).result()
        return result


class Weak(Exception):
    """That can be referred to weakly."""


def fail_weakly() -> None:
    raise Weak


def mapped(array: Any, index: int) -> tuple[str, str, float]:
    """What kind of array it is, of which file, and an item of it."""
    return type(array).__name__, str(array.filename), float(array[index])


def say(text: str, error: type[Exception] | None = None) -> str:
    print(text)
    if error is not None:
        raise error(text)
    return text


def set_variable(name: str, value: str) -> None:
    os.environ[name] = value


def kill_pool(path: str) -> None:
    """Its pool dies of it, each time."""
    file = Path(path)
    with file.open("a") as lines:
        lines.write("x")
    os.kill(int(file.with_suffix(".pool").read_text()), signal.SIGKILL)
    time.sleep(60)


def survive(path: str) -> str:
    """Waits for a call that its pool dies of, and goes on without it."""
    with dhub.DhubExecutor() as executor:
        try:
            executor.submit_task(kill_pool, path, name="pill").result()
        except dhub.DhubError as error:
            return str(error)
    return "the pool lives"
