"""`dhub.map`: a parallel map with a progress bar."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from dhub.executor import DhubExecutor, chain, in_order

R = TypeVar("R")


def map(
    fn: Callable[..., R],
    *iterables: Iterable[Any],
    chunksize: int = 1,
    progress: bool = False,
    executor: DhubExecutor | None = None,
    **options: Any,
) -> list[R]:
    """As `list(map(fn, *iterables))`, in the workers of a hub; `chunksize` calls share a task.

    With `progress` a bar of tqdm tells how many are done; without tqdm there is none. `options` are those of
    `DhubExecutor`, unless one is given. The first exception that a call raises is raised, and the rest is cancelled,
    as on Ctrl-C, also what runs.
    """
    if executor is None:
        with DhubExecutor(**options) as executor:
            return map(fn, *iterables, chunksize=chunksize, progress=progress, executor=executor)
    if options:
        raise TypeError(f"options of an executor, beside an executor: {', '.join(options)}")
    items = list(zip(*iterables))
    futures = deque(executor._stream(fn, items, chunksize, None))
    bar = _bar(len(items)) if progress else None
    try:
        if bar is not None:
            for index, future in enumerate(futures):
                size = min(chunksize, len(items) - index * chunksize)
                future.add_done_callback(functools.partial(_count, bar, size))
        results = in_order(executor._courier, futures, iter(()), None, kill=True)
        return list(results if chunksize == 1 else chain(results))
    finally:
        if bar is not None:
            bar.close()


def _bar(total: int) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit="task")


def _count(bar: Any, size: int, future: object) -> None:
    bar.update(size)
