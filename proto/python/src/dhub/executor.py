"""`DhubExecutor`: an executor of `concurrent.futures` whose workers are wherever the hub's workers are."""

from __future__ import annotations

import functools
import itertools
import logging
import os
import re
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from dhub import call, payload, private, seat
from dhub._wire import hub_pb2 as wire
from dhub.around import Around, Prepared
from dhub.courier import Courier
from dhub.errors import DhubError
from dhub.find import PathLike, Target, directory, find
from dhub.future import DhubFuture
from dhub.job import Job
from dhub.model import ms
from dhub.options import Options, kwargs_of, name_of, needs_of
from dhub.payload import Remote
from dhub.results import as_they_end, chain, in_order
from dhub.scatter import Scattered, Store

R = TypeVar("R")

LOGGER = logging.getLogger("concurrent.futures")
FLUSH_S = 10.0
"""How long the end of a program that leaves its tasks to the hub waits until the hub has them."""


class Function(NamedTuple):
    """What is to be called, as it travels."""

    name: str
    label: str
    """Begins the names of its tasks."""
    kind: int
    data: bytes
    error: BaseException | None
    """Why it cannot."""


class DhubExecutor(Executor):
    """Runs calls as tasks of a hub, in `python -m dhub.worker` (or any kworker), on this machine or others.

    Functions go by cloudpickle if it is there, so that lambdas and what is defined in a notebook can be called; what is
    in a module goes by its name, and the worker has to have that module. Arguments and results of some 50 kB
    are kept in the hub, larger ones in files of `shared` (`DHUB_SHARED`, else `~/.dhub/shared`), a private directory
    that the workers see under the same path; they are removed after use, but for those of named
    tasks. A future among the arguments, however deep, is a dependency: the task runs when that one is done, and gets
    its result.

    `retries` (further tries after a failure), `priority` and `time_limit` (seconds) are those of every task. A hub
    that is silent for `hub_timeout` seconds is given up; until then everything goes on when it is back.

    `max_workers` limits how many tasks of this executor the hub has at a time; without it the workers there are decide.
    `initializer(*initargs)` is called once in each process before the first call of this executor there;
    `max_tasks_per_child` tasks of it end a process, and another takes its place. The end of the program waits for
    what is pending, unless `detach` leaves it to the hub. With `stdout` what calls print comes out here, when their
    results do.

    A result is unpickled, which runs code here, if it was handed in with a key that has all roles, or with one of the
    names in `trust`. Workers with other keys hand in plain data as JSON; anything else of theirs is `TaskFailed`.

    Raises what `Hub` raises. Futures raise what the call raised, with the remote traceback as the cause, `TaskKilled`
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
        priority: int | None = None,
        time_limit: float | None = None,
        max_workers: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        max_tasks_per_child: int | None = None,
        stdout: bool = False,
        detach: bool = False,
        timeout: float = 5.0,
        hub_timeout: float = 600.0,
        trust: Iterable[str] = (),
        target: Target | None = None,
    ) -> None:
        if server is not None and not isinstance(server, str):
            raise TypeError(f"server is the place of a hub, a str; how many tasks at a time: max_workers={server!r}")
        if isinstance(trust, str):
            raise TypeError(f"trust is a list of names of keys: trust=[{trust!r}]")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if not isinstance(initargs, Iterable) or isinstance(initargs, (str, bytes)):
            raise TypeError(f"initargs is a tuple of arguments, not {initargs!r}")
        if detach and max_workers is not None:
            raise ValueError("max_workers has no meaning with detach: the hub has to have all tasks")
        self._max_workers = _at_least_1("max_workers", max_workers, "be greater than 0")
        tasks_max, prepare = _at_least_1("max_tasks_per_child", max_tasks_per_child, "be >= 1"), None
        if initializer is not None:
            prepare = payload.dumps(functools.partial(initializer, *initargs), "the initializer")
        self._around = Around("", prepare, tasks_max, stdout)
        self.trust = frozenset(trust)
        self.target = target or find(server, access, timeout, insecure)
        self.shared = Path(shared or os.environ.get("DHUB_SHARED") or directory() / "shared").absolute()
        # What a call waits for goes before other calls.
        self._options = Options.of(int(seat.is_taken()) if priority is None else priority, retries, time_limit)
        self.hub_timeout = hub_timeout
        self.detach = detach
        self.reducers: dict[type, Callable[[Any], Any]] = {}
        """How objects of these classes are pickled."""
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """A thread, and names, of this process's own."""
        self._pid = os.getpid()
        self._session = os.urandom(6).hex()
        self._number = itertools.count(1)
        if self._around.is_owner():
            self._around = self._around._replace(session=self._session)
        self._made_shared = False
        self.store = Store(self.shared, self._session, self.detach)
        self._courier = Courier(self.target, self.hub_timeout, self.store, self.trust, self._max_workers)
        _couriers[self._courier] = self.detach
        weakref.finalize(self, self._courier.close)

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> DhubFuture[R]:
        """Calls `fn(*args, **kwargs)` in a worker. Raises `RuntimeError` after a shutdown.

        What cannot be pickled is the exception of the future.
        """
        return self._submit(self._function(fn), (args, kwargs))

    def submit_task(
        self,
        fn: Callable[..., R],
        /,
        *args: Any,
        name: str | None = None,
        priority: int | None = None,
        retries: int | None = None,
        time_limit: float | None = None,
        needs: Iterable[DhubFuture[Any] | str] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> DhubFuture[R]:
        """As `submit(fn, *args, **kwargs)`, with what can be said of a task; what is not said is the executor's.

        `needs` are futures of this executor, or names of tasks, that have to be done before. A task of that `name` may
        be there already: with this definition its result is this one's, with another the future raises `Conflict`. A name
        in `needs` that nobody has added is waited for; standard error tells of it after some seconds.
        Several futures of one task share what becomes of it, so `cancel` cancels them all.
        """
        mine = self._options
        options = Options.of(
            mine.priority if priority is None else priority,
            mine.retries if retries is None else retries,
            mine.time_limit if time_limit is None else time_limit,
        )
        arguments = (args, {} if kwargs is None else kwargs_of(kwargs))
        name = None if name is None else name_of(name)
        return self._submit(self._function(fn), arguments, options, name, needs_of(needs))

    def scatter(self, value: Any) -> Scattered:
        """Writes a value once; calls of this executor that have what is returned among their arguments get the value.

        An array of numpy is the same memory for all processes of a machine, and read-only. The file is there until the
        executor was shut down and its tasks have ended. Raises `RuntimeError` after that, and what pickling does.
        """
        self._check_open()
        return self.store.put(value)

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[R]:
        """As `map(fn, *iterables)`, in order; `chunksize` calls share a task. What was not asked for is cancelled.

        With `buffersize` so many tasks are ahead of what was asked for, and the iterables may be infinite.
        """
        return self.starmap(fn, zip(*iterables), timeout=timeout, chunksize=chunksize, buffersize=buffersize)

    def starmap(
        self,
        fn: Callable[..., R],
        items: Iterable[Iterable[Any]],
        *,
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[R]:
        """As `itertools.starmap(fn, items)`; the rest is that of `map`."""
        until = None if timeout is None else time.monotonic() + timeout
        _at_least_1("buffersize", buffersize, "be None or > 0")
        stream = self.stream(fn, items, chunksize)
        ahead = deque(itertools.islice(stream, buffersize))
        results = in_order(self._courier, ahead, stream, until)
        return results if chunksize == 1 else chain(results)

    def map_unordered(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[R]:
        """As `map`, and each result as soon as it is there."""
        until = None if timeout is None else time.monotonic() + timeout
        _at_least_1("buffersize", buffersize, "be None or > 0")
        stream = self.stream(fn, zip(*iterables), chunksize)
        ahead: set[DhubFuture[Any]] = set(itertools.islice(stream, buffersize))
        results = as_they_end(self._courier, ahead, stream, until)
        return results if chunksize == 1 else chain(results)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls. `cancel_futures` takes back what has not begun; with `wait` it returns when all has ended.

        Without `wait` the end of the program still waits.
        """
        self._closed = True
        if self._pid != os.getpid():
            return
        try:
            if cancel_futures:
                self._courier.cancel(self._courier.futures())
        finally:
            self._courier.close()
        if wait:
            self._wait_for_the_rest()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is KeyboardInterrupt and (left := len(self._courier.futures())):
            calls = "1 call" if left == 1 else f"{left:,} calls"
            LOGGER.warning("dhub: waits for %s; Ctrl-C again cancels what is left", calls)
        return super().__exit__(kind, error, trace)

    def _wait_for_the_rest(self) -> None:
        try:
            self._courier.join()
        except KeyboardInterrupt:
            # It is not left to the hub, where nobody waits for it any more.
            self._courier.cancel(self._courier.futures(), running=True)
            raise

    def kill(self, futures: Iterable[DhubFuture[Any]] | None = None) -> None:
        """Cancels these tasks, or all of this executor, also those that run."""
        self._courier.cancel(self._courier.futures() if futures is None else futures, running=True)

    def stream(
        self, fn: Callable[..., Any], items: Iterable[Iterable[Any]], chunksize: int = 1
    ) -> Iterator[DhubFuture[Any]]:
        """The futures of a `starmap`; each task is submitted when its future is asked for.

        With a `chunksize` of more than one they have lists of results.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if chunksize == 1:
            function = self._function(fn)
            return (self._submit(function, (tuple(item), {})) for item in items)
        chunk, left = self._function(fn, payload.CHUNK), iter(items)
        return (self._submit(chunk, some) for some in iter(lambda: list(itertools.islice(left, chunksize)), []))

    def _function(self, fn: Callable[..., Any], kind: int = payload.ONE) -> Function:
        name = name_of_function(fn)
        label = re.sub("[^A-Za-z0-9_]+", "", name)[:40] or "call"
        if self._around.is_needed():
            fn = Prepared(self._around, fn)
        try:
            data = payload.dumps(fn, f"the function {name}", reducers=self.reducers)
            return Function(name, label, kind, data, None)
        except (Exception, SystemExit) as error:
            return Function(name, label, kind, b"", error)

    def _check_open(self) -> None:
        if _ending:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if self._pid != os.getpid():
            self._begin()

    def _submit(
        self,
        function: Function,
        arguments: Any,
        options: Options | None = None,
        name: str | None = None,
        needs: Iterable[DhubFuture[Any] | str] = (),
    ) -> DhubFuture[Any]:
        self._check_open()
        future: DhubFuture[Any] = DhubFuture(
            name or f"{function.label}-{self._session}-{next(self._number)}", self._courier
        )
        needed: list[DhubFuture[Any]] = []

        def remote(item: Any) -> Remote | None:
            if not isinstance(item, DhubFuture):
                return None
            if item._courier is not self._courier:
                raise TypeError("a future can be an argument only of calls of its own executor")
            needed.append(item)
            return Remote(item.name)

        try:
            if function.error is not None:
                raise function.error
            data = payload.dumps(arguments, f"an argument of {function.name}", remote, self.reducers)
            fetched = list({need.name: None for need in needed})
            names = [need for need in needs if not remote(need)]
        except (Exception, SystemExit) as error:  # what is pickled may exit; the program is not to
            future.is_lost = True
            future.set_exception(error.with_traceback(None))
            return future
        if not self._made_shared:
            private.make_dir(self.shared, "set DHUB_SHARED to a directory of yours")
            self._made_shared = True
        stdin, file = payload.dumps_call(
            function.kind, function.data, data, fetched, self.shared, self.trust, future.name, bool(name)
        )
        if name:
            file = None  # it stays as the task does: others may have the same, and run it
        options = options or self._options
        task = wire.Task(
            name=future.name,
            needs=list({str(name): None for name in [*(it.name for it in needed), *names]}) if needed or names else (),
            command=call.COMMAND,
            priority=options.priority,
            retries=options.retries,
            time_limit_ms=ms(options.time_limit),
            stdin=stdin,
        )
        try:
            self._courier.submit(Job(task, future, needed or (), file, bool(name), tuple(map(str, names))))
        except BaseException:
            payload.unlink([file] if file else [])
            raise
        return future


def _at_least_1(what: str, number: int | None, must: str) -> int | None:
    if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
        raise TypeError(f"{what} must be an integer or None")
    if number is not None and number < 1:
        raise ValueError(f"{what} must {must}")
    return number


def name_of_function(fn: Callable[..., Any]) -> str:
    """For people."""
    while not hasattr(fn, "__name__") and hasattr(fn, "func"):  # a partial
        fn = fn.func
    return str(getattr(fn, "__name__", type(fn).__name__))


_couriers: weakref.WeakKeyDictionary[Courier, bool] = weakref.WeakKeyDictionary()
"""Whether they leave to the hub what is pending when the program ends."""
_ending = False


def _end_of_program() -> None:
    global _ending
    _ending = True
    couriers = dict(_couriers)
    try:
        for courier, detach in couriers.items():
            courier.close()
        for courier, detach in couriers.items():
            if detach:
                courier.flush(FLUSH_S)
            else:
                courier.join()
    except KeyboardInterrupt:
        for courier, detach in couriers.items():
            if not detach:
                # The others have hubs of their own, which may well answer.
                try:
                    courier.cancel(courier.futures(), running=True)
                except DhubError as error:
                    LOGGER.warning("what an executor has pending was not cancelled: %s", error)
        raise


# Before threads are joined, and before atexit's functions, as the executors of CPython do.
threading._register_atexit(_end_of_program)  # type: ignore[attr-defined]
