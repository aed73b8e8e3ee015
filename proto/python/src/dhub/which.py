"""Which tasks: what verbs take that look at many tasks, or change many."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypedDict

from dhub._wire import hub_pb2 as wire
from dhub.model import State
from dhub.options import text_of, whole

_EXIT_CODES = range(-(2**31), 2**31)


class Which(TypedDict, total=False):
    """What can be said of tasks beside names and states: a task is meant if all that is said holds."""

    patterns: Iterable[str]
    """Of names: `*` stands for any text, `?` for any character. One of the names or of the patterns."""
    workers: Iterable[str]
    """Patterns of the names of workers that run them, or ran them last."""
    since: float | datetime | timedelta
    """Added, started or ended since: seconds since 1970, a moment, or so long ago."""
    exit_codes: Iterable[int]
    """One of these is that of the last attempt."""
    held: bool
    """Only those that are held."""


def selection(
    names: Iterable[str],
    states: Iterable[State | str],
    *,
    patterns: Iterable[str] = (),
    workers: Iterable[str] = (),
    since: float | datetime | timedelta = 0,
    exit_codes: Iterable[int] = (),
    held: bool = False,
) -> wire.Selection:
    """Raises `TypeError` and `ValueError`, which say what is wrong. One name, pattern, state or code needs no list."""
    known: Any = [_state(state) for state in _list(states)]
    return wire.Selection(
        names=[text_of(name, "the name of a task") for name in _list(names)],
        states=known,
        patterns=[text_of(pattern, "a pattern of names") for pattern in _list(patterns)],
        workers=[text_of(worker, "the name of a worker") for worker in _list(workers)],
        since_unix_ms=_since(since),
        exit_codes=[whole("exit_codes", code, _EXIT_CODES) for code in _list(exit_codes)],
        held=held,
    )


def _list(them: Any) -> Iterable[Any]:
    return [them] if isinstance(them, (str, int)) else them


def _since(since: Any) -> int:
    if isinstance(since, timedelta):
        since = time.time() - since.total_seconds()
    elif isinstance(since, datetime):
        since = since.timestamp()
    elif isinstance(since, bool) or not isinstance(since, (int, float)):
        raise TypeError(f"since is a moment, in seconds since 1970 or a datetime, or a timedelta, not {since!r}")
    if not 0 <= since < 2**53:
        raise ValueError(f"since must be a moment after 1970, not {since!r}")
    return int(since * 1000)


def _state(state: Any) -> int:
    """Also by its name, as dquery prints it."""
    known = [it for it in State if it]
    for it in known:
        if state == it or state == str(it):
            return int(it)
    raise ValueError(f"there is no state {state!r}: {', '.join(map(str, known))}")
