"""`DhubExecutor` where a test-suite wants a `ProcessPoolExecutor`: what has no meaning with a hub is dropped."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from dhub import DhubExecutor


class ProcessPoolExecutor(DhubExecutor):
    def __init__(self, max_workers: Any = None, mp_context: Any = None, *args: Any, **options: Any) -> None:
        del mp_context
        for name, value in zip(("initializer", "initargs"), args):
            options[name] = value
        super().__init__(max_workers=max_workers, stdout=True, **options)


def install() -> None:
    """From here on `concurrent.futures.ProcessPoolExecutor` is this one."""
    concurrent.futures.ProcessPoolExecutor = ProcessPoolExecutor  # type: ignore[misc,assignment]
