"""`DhubExecutor` where loky's tests want its executor: names of loky's, and what has no meaning with a hub is dropped."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dhub import DhubExecutor, TaskKilled
from dhub.payload import RemoteTraceback

DROPPED = {"context", "timeout", "job_reducers", "result_reducers", "env", "kill_workers"}

WAIT_S_MAX = 10.0


class ProcessPoolExecutor(DhubExecutor):
    def __init__(self, max_workers: int | None = None, **options: Any) -> None:
        kept = {name: value for name, value in options.items() if name not in DROPPED}
        super().__init__(max_workers=max_workers, stdout=True, **kept)
        self._flags = SimpleNamespace(broken=None, shutdown=False)

    def shutdown(self, wait: bool = True, kill_workers: bool = False, **options: Any) -> None:
        if kill_workers:
            self.kill()
        super().shutdown(wait, **options)


class Event:
    """That can be sent, as those of multiprocessing cannot: a file."""

    def __init__(self) -> None:
        self.file = Path(tempfile.mkdtemp(), "event")

    def is_set(self) -> bool:
        return self.file.exists()

    def set(self) -> None:
        self.file.touch()

    def clear(self) -> None:
        self.file.unlink(missing_ok=True)

    def wait(self, timeout: float | None = None) -> bool:
        # A test that fails never sets it.
        until = time.monotonic() + (WAIT_S_MAX if timeout is None else timeout)
        while not self.is_set() and time.monotonic() < until:
            time.sleep(0.01)
        return self.is_set()


class Context:
    Event = Event

    def get_start_method(self) -> str:
        return "loky"


_reusable: ProcessPoolExecutor | None = None
_asked: Any = None


def get_reusable_executor(max_workers: int | None = None, reuse: Any = "auto", **options: Any) -> ProcessPoolExecutor:
    """One for all who ask alike."""
    global _reusable, _asked
    asked = {name: value for name, value in options.items() if name not in DROPPED}
    if _reusable is not None and not _reusable._closed and _pid == os.getpid() and (reuse is True or asked == _asked):
        return _reusable
    _reusable, _asked = ProcessPoolExecutor(max_workers, **asked), asked
    return _reusable


_pid = os.getpid()


def install() -> None:
    """From here on they are loky's."""
    import loky
    import loky.backend
    import loky.process_executor as it

    loky.get_reusable_executor = get_reusable_executor
    loky.backend.get_context = lambda method=None: Context()
    loky.ProcessPoolExecutor = it.ProcessPoolExecutor = ProcessPoolExecutor
    it.TerminatedWorkerError, it.ShutdownExecutorError, it._RemoteTraceback = TaskKilled, RuntimeError, RemoteTraceback
