"""The thread that runs the callbacks of an executor's futures: one that blocks holds up no result."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

LOGGER = logging.getLogger("concurrent.futures")


class Callbacks:
    """Starts its thread with the first one. After `close` they run where they come from."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()
        self._closed = False

    def run(self, callback: Callable[[], object]) -> None:
        with self._lock:
            if not self._closed:
                self._queue.put(callback)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="dhub-callbacks", daemon=True)
                    self._thread.start()
                return
        callback()

    def close(self) -> None:
        """Those that are there still run."""
        with self._lock:
            self._closed = True
            self._queue.put(None)

    def join(self) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while (callback := self._queue.get()) is not None:
            try:
                callback()
            except BaseException:
                LOGGER.exception("a callback of a future ended its thread")
            # Nothing is kept of it while none comes.
            del callback
