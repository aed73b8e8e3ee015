"""`DhubExecutor`: an executor of `concurrent.futures` whose workers are wherever the hub's workers are."""

from __future__ import annotations

import atexit
import itertools
import os
import re
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, TypeVar

from dhub import call, payload, private
from dhub._wire import hub_pb2 as wire
from dhub.courier import Courier, Job
from dhub.find import PathLike, Target, directory, find
from dhub.future import DhubFuture
from dhub.model import ms
from dhub.payload import Remote

R = TypeVar("R")

FLUSH_S = 10.0
"""How long the end of the program waits until the hub has what was submitted."""


class DhubExecutor(Executor):
    """Runs calls as tasks of a hub, in `python -m dhub.worker` (or any kworker), on this machine or others.

    Functions go by cloudpickle if it is there, so that lambdas and what is defined in a notebook can be called; what is
    in a module goes by its name, and the worker has to have that module. Arguments and results of some 50 kB
    are kept in the hub, larger ones in files of `shared` (`DHUB_SHARED`, else `~/.dhub/shared`), a private directory
    that the workers see under the same path; they are removed after use. A future among the arguments,
    however deep, is a dependency: the task runs when that one is done, and gets its result.

    `retries` (further tries after a failure), `priority` and `time_limit` (seconds) are those of every task. A hub
    that is silent for `hub_timeout` seconds is given up; until then everything goes on when it is back. Calls that are
    not waited for go on when the program ends.

    A result is unpickled, which runs code here, if it was handed in with a key that has all roles, or with one of the
    names in `trust`. Workers with other keys hand in plain data as JSON; anything else of theirs is `TaskFailed`.

    Raises what `Hub` raises. Futures raise what the call raised, with the remote traceback as the cause, `TaskFailed`
    (a crash, a time limit), `TaskSkipped` (a dependency failed) or `CancelledError`.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        access: PathLike | None = None,
        insecure: bool = False,
        shared: PathLike | None = None,
        retries: int = 0,
        priority: int = 0,
        time_limit: float | None = None,
        timeout: float = 5.0,
        hub_timeout: float = 600.0,
        trust: Iterable[str] = (),
        target: Target | None = None,
    ) -> None:
        if isinstance(trust, str):
            raise TypeError(f"trust is a list of names of keys: trust=[{trust!r}]")
        self.trust = frozenset(trust)
        self.target = target or find(server, access, timeout, insecure)
        self.shared = Path(shared or os.environ.get("DHUB_SHARED") or directory() / "shared").absolute()
        self.retries, self.priority, self.time_limit = retries, priority, time_limit
        self.hub_timeout = hub_timeout
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """A thread, and names, of this process's own."""
        self._pid = os.getpid()
        self._session = os.urandom(6).hex()
        self._number = itertools.count(1)
        self._made_shared = False
        self._courier = Courier(self.target, self.hub_timeout, self.shared, self.trust)
        _couriers.add(self._courier)
        weakref.finalize(self, self._courier.close)

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> DhubFuture[R]:
        """Calls `fn(*args, **kwargs)` in a worker. Raises `CannotPickle`, `RuntimeError` after a shutdown."""
        return self._submit(payload.ONE, fn, payload.dumps_function(fn), (args, kwargs))

    def map(
        self, fn: Callable[..., R], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[R]:
        """As `map(fn, *iterables)`, in order; `chunksize` calls share a task. What was not asked for is cancelled."""
        return results(self.futures(fn, *iterables, chunksize=chunksize), timeout, chunksize > 1)

    def futures(self, fn: Callable[..., R], *iterables: Iterable[Any], chunksize: int = 1) -> list[DhubFuture[Any]]:
        """As `map`, but a future for each item, or each chunk: that one has the list of its results."""
        if chunksize < 1:
            raise ValueError("chunksize must be at least 1")
        function, items = payload.dumps_function(fn), zip(*iterables)
        if chunksize == 1:
            return [self._submit(payload.ONE, fn, function, (item, {})) for item in items]
        chunks = iter(lambda: list(itertools.islice(items, chunksize)), [])
        return [self._submit(payload.CHUNK, fn, function, chunk) for chunk in chunks]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls. With `wait` it returns when all have ended; `cancel_futures` takes them back first."""
        self._closed = True
        if self._pid != os.getpid():
            return
        if cancel_futures:
            for future in self._courier.futures():
                future.cancel()
        self._courier.close()
        if wait:
            self._courier.join()

    def _submit(self, kind: int, fn: Callable[..., Any], function: bytes, arguments: Any) -> DhubFuture[Any]:
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if self._pid != os.getpid():
            self._begin()
        needs: list[DhubFuture[Any]] = []

        def remote(item: Any) -> Remote | None:
            if not isinstance(item, DhubFuture):
                return None
            if item._on_cancel != self._courier.cancel:
                raise TypeError("a future can be an argument only of calls of its own executor")
            needs.append(item)
            return Remote(item.name)

        data = payload.dumps_arguments(arguments, remote)
        name = f"{_label(fn)}-{self._session}-{next(self._number)}"
        names = list({need.name: None for need in needs})
        if not self._made_shared:
            private.make_dir(self.shared, "set DHUB_SHARED to a directory of yours")
            self._made_shared = True
        stdin, file = payload.dumps_call(kind, function, data, names, self.shared, self.trust, name)
        future: DhubFuture[Any] = DhubFuture(name, self._courier.cancel)
        task = wire.Task(
            name=name,
            needs=names,
            command=call.COMMAND,
            priority=self.priority,
            retries=self.retries,
            time_limit_ms=ms(self.time_limit),
            stdin=stdin,
        )
        self._courier.submit(Job(task, future, needs, file))
        return future


def results(futures: list[DhubFuture[Any]], timeout: float | None, chunks: bool) -> Iterator[Any]:
    """The results in order; when nobody asks for more, the rest is cancelled. Raises `TimeoutError`."""
    until = None if timeout is None else time.monotonic() + timeout

    def each() -> Iterator[Any]:
        futures.reverse()
        try:
            while futures:
                value = futures[-1].result(None if until is None else max(0.0, until - time.monotonic()))
                # Nothing is kept of what was handed on.
                futures.pop()
                if chunks:
                    yield from value
                else:
                    yield value
        finally:
            for future in futures:
                future.cancel()

    return each()


def _label(fn: Callable[..., Any]) -> str:
    """Of the names of its tasks, for people."""
    return re.sub(r"[^A-Za-z0-9_]+", "", getattr(fn, "__name__", type(fn).__name__))[:40] or "call"


_couriers: weakref.WeakSet[Courier] = weakref.WeakSet()


def _flush() -> None:
    for courier in list(_couriers):
        courier.flush(FLUSH_S)


atexit.register(_flush)
