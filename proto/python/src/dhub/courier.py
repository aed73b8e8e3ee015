"""The thread that carries an executor's tasks to the hub and their results back.

What is submitted while a request is under way goes together with the next one. For results it asks for tasks by
name, each batch by a request of its own that the hub keeps until one of them is finished.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

import zmq

from dhub import door, payload, private
from dhub._wire import hub_pb2 as wire
from dhub.errors import Busy, DhubError, NoHub, NotFound, Refused, TaskFailed, TaskSkipped
from dhub.find import Target
from dhub.future import DhubFuture
from dhub.link import Link

BATCH_TASKS, BATCH_BYTES, BATCH_NEEDS = 2000, 4 * 1024 * 1024, 130_000
"""Of one Create."""
CREATES = 2
"""So many of them are under way at the same time."""
WATCH_TASKS = 1000
"""Of one Wait."""
WAIT_S = 10.0
"""How long the hub keeps it."""
GATHER_S = 0.03
"""Results that come within this time after an answer share the next one."""
PAUSE_S = 0.5
"""Before a hub that is busy is asked again."""


class Job(NamedTuple):
    """A task on its way to the hub."""

    task: wire.Task
    future: DhubFuture[Any]
    needs: list[DhubFuture[Any]]
    """Kept until it has ended, and with them the files of their results."""
    file: Path | None
    """Of its arguments."""


class Courier:
    """Starts its thread with the first task, ends it when it is closed and nothing is left to carry."""

    def __init__(self, target: Target, hub_timeout: float, shared: Path, trust: Collection[str]) -> None:
        self.target, self.hub_timeout = target, hub_timeout
        self.shared, self.trust = shared, trust
        self.error: BaseException | None = None
        """Why nothing can be carried any more."""
        self._inbox: deque[Job] = deque()
        self._cancels: deque[str] = deque()
        self._jobs: dict[str, Job] = {}
        """In the hub, as far as we know."""
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closing = False
        self._wake, self._wakened = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._wakened, False)
        self._is_woken = False
        self._creates = 0
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._loose: list[str] = []
        """Names that no request asks for."""
        self._pid = os.getpid()

    def __del__(self) -> None:
        os.close(self._wake)
        os.close(self._wakened)

    def submit(self, job: Job) -> None:
        """Takes a task, and starts the thread if it does not run. Raises why nothing can be carried any more."""
        if self.error is not None:
            raise self.error
        self._inbox.append(job)
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="dhub", daemon=True)
                    self._thread.start()
        self._notify()

    def cancel(self, name: str) -> None:
        self._cancels.append(name)
        self._notify()

    def close(self) -> None:
        """Takes nothing more; the thread ends when all has come back."""
        self._closing = True
        self._notify()

    def join(self) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def flush(self, seconds: float) -> None:
        """Waits until the hub has all that was submitted."""
        until = time.monotonic() + seconds
        while (self._inbox or self._creates) and self._pid == os.getpid() and time.monotonic() < until:
            time.sleep(0.002)

    def futures(self) -> list[DhubFuture[Any]]:
        """Those that have not ended."""
        return [job.future for job in [*self._jobs.values(), *self._inbox]]

    def _notify(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            try:
                os.write(self._wakened, b"x")
            except BlockingIOError:
                pass

    # --- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        link = self._link = Link(self.target)
        try:
            while not (
                self._closing and not self._inbox and not self._jobs and not self._cancels and not self._creates
            ):
                self._poll()
                now = time.monotonic()
                link.tick(now)
                link.receive()
                if link.silent_since is not None and now > link.silent_since + self.hub_timeout:
                    silent = NoHub(f"no hub answers at {self.target.place} (waited {self.hub_timeout:g} s)")
                    raise door.explain(silent, self.target)
                self._create()
                self._cancel()
                self._watch(now)
        except BaseException as error:
            self._break(error)
        finally:
            link.close(1.0)

    def _poll(self) -> None:
        now = time.monotonic()
        at = min(self._link.next_timeout(), min((it[0] for it in self._later), default=now + 60.0))
        poller = zmq.Poller()
        for it in [*self._link.sockets(), self._wake]:
            poller.register(it, zmq.POLLIN)
        ready = dict(poller.poll(max(0, int((at - now) * 1000) + 1) if at > now else 0))
        if self._wake in ready:
            os.read(self._wake, 4096)
        self._is_woken = False

    def _create(self) -> None:
        while self._inbox and self._creates < CREATES:
            self._creates += 1
            batch: list[Job] = []
            size = needs = 0
            while self._inbox and len(batch) < BATCH_TASKS and size < BATCH_BYTES and needs < BATCH_NEEDS:
                job = self._inbox.popleft()
                size, needs = size + 100 + len(job.task.stdin), needs + len(job.task.needs)
                self._jobs[job.task.name] = job
                batch.append(job)
                if job.future.cancelled():
                    # Something may depend on it: the hub has to know.
                    self._cancels.append(job.task.name)
            self._ask_create(batch)

    def _ask_create(self, batch: list[Job]) -> None:
        self._send_create(wire.Request(create=wire.Create(tasks=[job.task for job in batch])), batch)
        # In the same connection, after it: the hub knows the names when it comes to that.
        names = [job.task.name for job in batch]
        for begin in range(0, len(names), WATCH_TASKS):
            self._ask_wait(names[begin : begin + WATCH_TASKS])

    def _send_create(self, request: wire.Request, batch: list[Job]) -> None:
        self._link.ask(request, functools.partial(self._created, request, batch))

    def _created(self, request: wire.Request, batch: list[Job], it: Any) -> None:
        if isinstance(it, Busy):
            self._at(PAUSE_S, functools.partial(self._send_create, request, batch))
            return
        self._creates -= 1
        if isinstance(it, Refused):
            for job in batch:
                self._end(job.task.name, None, it)
            self._skip()

    def _skip(self) -> None:
        """Those that need what the hub did not take would wait for ever."""
        while True:
            lost = [job for job in self._jobs.values() if any(_error(need) for need in job.needs)]
            if not lost:
                return
            for job in lost:
                error = TaskSkipped(job.task.name, "the hub did not take what it needs")
                error.__cause__ = _root(next(filter(None, map(_error, job.needs))))
                self._link.ask(_cancel_of([job.task.name]), lambda it: None)
                self._end(job.task.name, None, error)

    def _cancel(self) -> None:
        names: list[str] = []
        while self._cancels and len(names) < 50_000:
            job = self._jobs.pop(self._cancels.popleft(), None)
            if job is not None:
                names.append(job.task.name)
                self._forget(job)
        if names:

            def then(it: Any) -> None:
                if isinstance(it, NotFound):  # one of them was never created: each by itself
                    for name in names if len(names) > 1 else []:
                        self._link.ask(_cancel_of([name]), lambda it: None)

            self._link.ask(_cancel_of(names), then)

    def _watch(self, now: float) -> None:
        due = [it for it in self._later if it[0] <= now]
        if due:
            self._later = [it for it in self._later if it[0] > now]
            for _, _, then in sorted(due, key=lambda it: it[:2]):
                then()
        # Those that are left of several requests share the next one.
        names, self._loose = [name for name in self._loose if name in self._jobs], []
        for begin in range(0, len(names), WATCH_TASKS):
            self._ask_wait(names[begin : begin + WATCH_TASKS])

    def _ask_wait(self, names: list[str]) -> None:
        wait = wire.Wait(wait_ms=int(WAIT_S * 1000), names=names, output=True)

        def then(it: Any) -> None:
            if isinstance(it, Refused) and not isinstance(it, Busy):
                raise it
            pause = PAUSE_S
            if not isinstance(it, Refused):
                for ended in it.ended:
                    self._ended(ended)
                for name in it.unknown:
                    self._end(name, None, TaskFailed(name, "the hub does not have it"))
                pause = GATHER_S if it.ended else 0.0
            left = [name for name in names if name in self._jobs]
            if left:
                self._at(pause, lambda: self._loose.extend(left))

        self._link.ask(wire.Request(wait=wait), then, WAIT_S)

    def _at(self, seconds: float, then: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, next(self._order), then))

    def _ended(self, it: wire.EndedTask) -> None:
        task, output = it.task, it.attempt.output
        job = self._jobs.get(task.name)
        if job is None:
            return
        value: Any = None
        error: BaseException | None = None
        if task.state == wire.STATE_CANCELLED:
            job.future.cancelled_elsewhere()
        elif task.state == wire.STATE_SKIPPED:
            if not any(need.done() and (need.cancelled() or need.exception()) for need in job.needs):
                # The reason is on its way.
                if not all(need.done() for need in job.needs):
                    self._at(GATHER_S, functools.partial(self._ended, it))
                    return
            error = TaskSkipped(task.name, task.reason or "something that it needs failed or was cancelled")
            error.__cause__ = _root(next(filter(None, map(_error, job.needs)), None))
        elif task.state == wire.STATE_FAILED and not payload.has_result(output):
            error = TaskFailed(task.name, task.reason, task.exit_code)
        else:
            result = payload.Result(task.name, it.attempt.attempt, it.attempt.key, output)
            file = payload.result_file(result)
            if file is not None:
                # As long as somebody can give it to another call.
                job.future.result_file = self.shared / file
                weakref.finalize(job.future, private.remove_own, self.shared, file)
            try:
                value = payload.loads_result(result, self.shared, self.trust)
            except BaseException as raised:
                error = raised
        self._end(task.name, value, error)

    def _end(self, name: str, value: Any, error: BaseException | None) -> None:
        job = self._jobs.pop(name, None)
        if job is not None:
            self._forget(job)
            job.future.ended(value, error)

    def _forget(self, job: Job) -> None:
        if job.file is not None:
            payload.unlink([job.file])

    def _break(self, error: BaseException) -> None:
        """Nothing more comes: everybody is told."""
        self.error = error if isinstance(error, DhubError) else DhubError(f"the executor's thread ended: {error!r}")
        if not isinstance(error, DhubError):
            sys.excepthook(type(error), error, error.__traceback__)
        while self._inbox:
            job = self._inbox.popleft()
            self._jobs[job.task.name] = job
        for name in list(self._jobs):
            self._end(name, None, self.error)


def _cancel_of(names: list[str]) -> wire.Request:
    return wire.Request(cancel=wire.Cancel(selection=wire.Selection(names=names)))


def _error(future: DhubFuture[Any]) -> BaseException | None:
    return future.exception() if future.done() and not future.cancelled() else None


def _root(error: BaseException | None) -> BaseException | None:
    """What failed first, if this is something that was skipped because of it."""
    return error.__cause__ or error if isinstance(error, TaskSkipped) else error
