"""A backend of joblib: after `import dhub.parallel`, `joblib.parallel_config(backend="dhub")` runs its calls on a hub.

`n_jobs=-1`, which is the default, means as many as the hub's workers have slots. Calls within calls run in threads of
the worker. Further options are those of `DhubExecutor`: `parallel_config(backend="dhub", retries=3)`.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, register_parallel_backend

from dhub.errors import DhubError
from dhub.executor import DhubExecutor, name_of_function
from dhub.future import DhubFuture
from dhub.hub import Hub

WORKERS_S = 10.0
"""How long to wait for the first worker."""
WHERE = ("server", "access", "insecure", "timeout", "hub_timeout", "target")
"""The options of `DhubExecutor` that say which hub."""


class Limited:
    """Makes calls with so many threads for BLAS, OpenMP and others as these variables say."""

    def __init__(self, env: dict[str, str], calls: Callable[[], Any]) -> None:
        self.env, self.calls = env, calls
        # A batch of joblib's is called by what it calls first.
        first = next(iter(getattr(calls, "items", ())), (calls,))
        self.__name__ = name_of_function(first[0])

    def __call__(self) -> Any:
        os.environ.update(self.env)
        threads = self.env.get("OMP_NUM_THREADS", "")
        if "numpy" in sys.modules and threads.isdigit():
            # Loaded, so it looks at no variables any more.
            try:
                from threadpoolctl import threadpool_limits
            except ImportError:
                pass
            else:
                with threadpool_limits(int(threads)):
                    return self.calls()
        return self.calls()


class DhubBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Submits each batch of calls as one task."""

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True
    default_n_jobs = -1

    def __init__(self, nesting_level: int | None = None, inner_max_num_threads: int | None = None, **options: Any):
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._options = options
        self._executor: DhubExecutor | None = None
        self._env: dict[str, str] = {}

    def configure(
        self,
        n_jobs: int = 1,
        parallel: Any = None,
        prefer: str | None = None,
        require: str | None = None,
        max_nbytes: int | None = None,
        temp_folder: str | None = None,
        mmap_mode: str | None = None,
        verbose: int = 0,
        context: Any = None,
        **options: Any,
    ) -> int:
        """What is joblib's is named here; everything else is an option of `DhubExecutor`, or wrong."""
        self.parallel = parallel
        self._options = {**self._options, **options}
        n_jobs = self.effective_n_jobs(n_jobs)
        self._env = self._prepare_worker_env(n_jobs)
        self._executor = executor = DhubExecutor(**self._options)
        numpy = sys.modules.get("numpy")
        if numpy is not None and max_nbytes is not None and mmap_mode is not None:
            executor.reducers[numpy.ndarray] = functools.partial(executor.store.array, bytes_min=max_nbytes)
        return n_jobs

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many calls can run at the same time."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is not None and n_jobs > 0:
            return n_jobs
        return max(1, self._slots() + 1 + (n_jobs or -1))

    def _slots(self) -> int:
        until = time.monotonic() + WORKERS_S
        with Hub(**{name: self._options[name] for name in WHERE if name in self._options}) as hub:
            while True:
                slots = sum(it.slots for it in hub.workers() if not it.lost and not it.draining)
                if slots:
                    return slots
                if time.monotonic() > until:
                    raise DhubError("the hub has no workers; start some: python -m dhub.worker")
                time.sleep(0.05)

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> DhubFuture[Any]:
        assert self._executor is not None, "configure comes first"
        future = self._executor.submit(Limited(self._env, func))
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit

    def retrieve_result_callback(self, out: DhubFuture[Any]) -> Any:
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """As on Ctrl-C: nothing that was begun goes on."""
        if self._executor is not None:
            self._executor.kill()

    def terminate(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None
        self.reset_batch_stats()


register_parallel_backend("dhub", DhubBackend)
