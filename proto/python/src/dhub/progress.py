"""`dhub.map`: a parallel map with a progress bar."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from dhub.executor import DhubExecutor, results

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
    `DhubExecutor`, unless one is given. The first exception that a call raises is raised, and the rest is cancelled, as
    on Ctrl-C.
    """
    if executor is None:
        with DhubExecutor(**options) as executor:
            return map(fn, *iterables, chunksize=chunksize, progress=progress, executor=executor)
    if options:
        raise TypeError(f"options of an executor, beside an executor: {', '.join(options)}")
    items = list(zip(*iterables))
    columns = zip(*items) if items else ([],)
    futures = executor.futures(fn, *columns, chunksize=chunksize)
    bar = _bar(len(items)) if progress else None
    try:
        if bar is not None:
            for index, future in enumerate(futures):
                size = min(chunksize, len(items) - index * chunksize)
                future.add_done_callback(functools.partial(_count, bar, size))
        return list(results(futures, None, chunksize > 1))
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
