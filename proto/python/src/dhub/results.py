"""The results of many tasks, as an iterator that keeps nothing of what it has handed on."""

from __future__ import annotations

import itertools
import queue
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import TimeoutError
from typing import Any

from dhub.courier import Courier
from dhub.future import DhubFuture


def in_order(
    courier: Courier,
    ahead: deque[DhubFuture[Any]],
    more: Iterator[DhubFuture[Any]],
    until: float | None,
) -> Iterator[Any]:
    """The results, as they are asked for; nothing is kept of one that was handed on. What is left is cancelled."""
    try:
        while ahead:
            ahead.extend(itertools.islice(more, 1))
            yield _first(ahead, until)
    finally:
        courier.cancel(ahead)


def _first(ahead: deque[DhubFuture[Any]], until: float | None) -> Any:
    try:
        return ahead[0].result(_left(until))
    finally:
        if ahead[0].done():
            ahead.popleft()


def as_they_end(
    courier: Courier, ahead: set[DhubFuture[Any]], more: Iterator[DhubFuture[Any]], until: float | None
) -> Iterator[Any]:
    ended: queue.SimpleQueue[DhubFuture[Any]] = queue.SimpleQueue()

    def watch(futures: Iterable[DhubFuture[Any]]) -> None:
        for future in futures:
            ahead.add(future)
            future.tell(ended.put)

    watch(list(ahead))
    try:
        while ahead:
            watch(itertools.islice(more, 1))
            yield _next_ended(ahead, ended, until)
    finally:
        courier.cancel(ahead)


def _next_ended(
    ahead: set[DhubFuture[Any]], ended: queue.SimpleQueue[DhubFuture[Any]], until: float | None
) -> Any:
    try:
        future = ended.get(timeout=_left(until))
    except queue.Empty:
        raise TimeoutError from None
    try:
        ahead.discard(future)
        return future.result()
    finally:
        del future


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())


def chain(lists: Iterator[list[Any]]) -> Iterator[Any]:
    """Their items; nothing is kept of one that was handed on."""
    for items in lists:
        items.reverse()
        while items:
            yield items.pop()
