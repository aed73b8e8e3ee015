"""What can be said of a task besides its call: checked where it is said, as the hub would refuse it only later."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, SupportsFloat

from dhub.future import DhubFuture

PRIORITY = range(-(2**31), 2**31)
RETRIES = range(1_000_001)
TIME_LIMIT_S_MAX = 9e15
NAME_BYTES_MAX = 1024


class Options(NamedTuple):
    """Of a task."""

    priority: int
    retries: int
    time_limit: float | None

    @classmethod
    def of(cls, priority: Any, retries: Any, time_limit: Any) -> Options:
        """Raises `TypeError` or `ValueError`, which say which one is wrong."""
        return cls(whole("priority", priority, PRIORITY), whole("retries", retries, RETRIES), _seconds(time_limit))


def needs_of(needs: Any) -> list[DhubFuture[Any] | str]:
    several("needs", needs, "futures, or names of tasks")
    found: list[DhubFuture[Any] | str] = []
    for need in needs:
        if not isinstance(need, (DhubFuture, str)):
            raise TypeError(f"needs are futures, or names of tasks, in a list, not {need!r}")
        found.append(need if isinstance(need, DhubFuture) else name_of(need, "a name in needs"))
    return found


def name_of(name: Any, what: str = "name") -> str:
    if not 1 <= len(text_of(name, what).encode()) <= NAME_BYTES_MAX or "\0" in name:
        raise ValueError(f"{what} must have 1 to {NAME_BYTES_MAX} bytes, and no NUL, unlike {name[:40]!r}")
    return str(name)


def several(what: str, them: Any, kind: str) -> None:
    """A str is a name, and not its letters."""
    if isinstance(them, (str, bytes)) or not isinstance(them, Iterable):
        raise TypeError(f"{what} are {kind}, in a list, not {them!r}")


def text_of(text: Any, what: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{what} is a str, not {text!r}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} must be text that UTF-8 can hold, unlike {text[:40]!r}") from None
    return text


def kwargs_of(kwargs: Any) -> dict[str, Any]:
    if not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs is a mapping of names to values, not {kwargs!r}")
    return dict(kwargs)


def whole(what: str, value: Any, numbers: range) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} is a whole number, not {value!r}") from None
    if number not in numbers:
        raise ValueError(f"{what} must be {numbers[0]} to {numbers[-1]}, not {value!r}")
    return number


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, SupportsFloat):
        raise TypeError(f"time_limit is a number of seconds, not {value!r}")
    try:
        seconds, said = float(value), repr(value)
    except OverflowError:
        seconds, said = float("inf"), "more than any"
    if not 0 <= seconds <= TIME_LIMIT_S_MAX:
        raise ValueError(f"time_limit must be 0, which is none, to {TIME_LIMIT_S_MAX:g} seconds, not {said}")
    return seconds
