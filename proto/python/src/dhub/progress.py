"""`dhub.map`: a parallel map with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import as_completed
from typing import Any, TypeVar

from dhub.executor import DhubExecutor
from dhub.results import chain

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
    futures = list(executor.stream(fn, items, chunksize))
    bar = _bar(len(items)) if progress else None
    try:
        if bar is not None:
            for future in as_completed(futures):
                future.result()
                bar.update(chunksize if future is not futures[-1] else (len(items) - 1) % chunksize + 1)
        results = (future.result() for future in futures)
        return list(results if chunksize == 1 else chain(results))
    except BaseException:
        executor.kill(futures)
        raise
    finally:
        if bar is not None:
            bar.close()


def _bar(total: int) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit="task")

