"""A backend of joblib: after `import dhub.parallel`, `joblib.parallel_config(backend="dhub")` runs its calls on a hub.

`n_jobs=-1`, which is the default, means as many as the hub's workers have slots. Calls within calls run in threads of
the worker. Further options are those of `DhubExecutor`: `parallel_config(backend="dhub", retries=3)`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, register_parallel_backend

from dhub.errors import DhubError
from dhub.executor import DhubExecutor
from dhub.future import DhubFuture
from dhub.hub import Hub

WORKERS_S = 10.0
"""How long to wait for the first worker."""


class DhubBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Submits each batch of calls as one task."""

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(self, nesting_level: int | None = None, inner_max_num_threads: int | None = None, **options: Any):
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._options = options
        self._executor: DhubExecutor | None = None
        self._futures: set[Future[Any]] = set()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many calls can run at the same time."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is not None and n_jobs > 0:
            return n_jobs
        return max(1, self._slots() + 1 + (n_jobs or -1))

    def _slots(self) -> int:
        until = time.monotonic() + WORKERS_S
        with Hub(target=self._start().target) as hub:
            while True:
                slots = sum(it.slots for it in hub.workers() if not it.lost and not it.draining)
                if slots:
                    return slots
                if time.monotonic() > until:
                    raise DhubError("the hub has no workers; start some: python -m dhub.worker")
                time.sleep(0.05)

    def _start(self) -> DhubExecutor:
        if self._executor is None:
            self._executor = DhubExecutor(**self._options)
        return self._executor

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> DhubFuture[Any]:
        future = self._start().submit(func)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit

    def retrieve_result_callback(self, out: DhubFuture[Any]) -> Any:
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        for future in list(self._futures):
            future.cancel()

    def terminate(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None


register_parallel_backend("dhub", DhubBackend)
