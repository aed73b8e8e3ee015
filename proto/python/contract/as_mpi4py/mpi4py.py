"""`DhubExecutor` where the tests of mpi4py.futures want an `MPIPoolExecutor`, without MPI.

What starts processes of MPI has no meaning with a hub, and is dropped; what is mpi4py's alone is missing, so a test of
that fails.
"""

from __future__ import annotations

import concurrent.futures
import concurrent.futures._base
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

from dhub import DhubExecutor
from dhub.payload import RemoteTraceback

WORKERS = 5
"""How many the script starts."""
DROPPED = {"python_exe", "python_args", "mpi_info", "globals", "main", "path", "wdir", "env", "use_pkl5", "backoff"}


class MPIPoolExecutor(DhubExecutor):
    def __init__(
        self, max_workers: int | None = None, initializer: Any = None, initargs: Any = (), **options: Any
    ) -> None:
        kept = {name: value for name, value in options.items() if name not in DROPPED}
        super().__init__(max_workers=max_workers, initializer=initializer, initargs=initargs, **kept)
        self.num_workers = max_workers or WORKERS

    def bootup(self, wait: bool = True) -> MPIPoolExecutor:
        if self._closed:
            raise RuntimeError("cannot bootup after shutdown")
        return self

    def map(self, fn: Callable[..., Any], *iterables: Any, unordered: bool = False, **options: Any) -> Iterator[Any]:
        return (self.map_unordered if unordered else super().map)(fn, *iterables, **options)


class Missing:
    """Of mpi4py alone; no test that is run needs it."""


MPI = ModuleType("mpi4py.MPI")
MPI.COMM_WORLD = SimpleNamespace(Get_size=lambda: 1)  # type: ignore[attr-defined]
MPI.get_vendor = lambda: ("none", (0, 0, 0))  # type: ignore[attr-defined]
futures = ModuleType("mpi4py.futures")
futures.__dict__.update({name: getattr(concurrent.futures, name) for name in concurrent.futures.__all__})
futures.InvalidStateError = concurrent.futures._base.InvalidStateError  # type: ignore[attr-defined]
futures.BrokenExecutor = concurrent.futures._base.BrokenExecutor  # type: ignore[attr-defined]
futures.ThreadPoolExecutor = concurrent.futures.ThreadPoolExecutor  # type: ignore[attr-defined]
futures.MPIPoolExecutor = MPIPoolExecutor  # type: ignore[attr-defined]
futures.MPICommExecutor = Missing  # type: ignore[attr-defined]
futures._core = SimpleNamespace(SharedPool=None, RemoteTraceback=RemoteTraceback)  # type: ignore[attr-defined]
aplus = ModuleType("mpi4py.futures.aplus")
aplus.ThenableFuture = Missing  # type: ignore[attr-defined]
sys.modules.update({it.__name__: it for it in (MPI, futures, aplus)})
