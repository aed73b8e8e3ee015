"""The thread that carries an executor's tasks to the hub and their results back.

What is submitted while a request is under way goes together with the next one. For results it asks for tasks by
name, each batch by a request of its own that the hub keeps until one of them is finished.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import itertools
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import zmq

from dhub import door, payload, private, seat
from dhub._wire import hub_pb2 as wire
from dhub.callbacks import Callbacks
from dhub.errors import (
    Busy,
    Conflict,
    DhubError,
    InitializerFailed,
    Invalid,
    NoHub,
    OverLimit,
    Refused,
    TaskFailed,
    TaskKilled,
    TaskSkipped,
)
from dhub.find import Target
from dhub.future import DhubFuture
from dhub.hub import Hub
from dhub.job import Job
from dhub.link import Link
from dhub.missing import SAY_S, Missing
from dhub.model import State
from dhub.scatter import Store

BATCH_TASKS, BATCH_BYTES, BATCH_NEEDS = 2000, 4 * 1024 * 1024, 130_000
"""Of one Create."""
LOGGER = logging.getLogger("concurrent.futures")
CREATES = 2
"""So many of them are under way at the same time."""
WATCH_TASKS = 1000
"""Of one Wait."""
WAIT_S = 10.0
"""How long the hub keeps it."""
GATHER_S, GATHER_EACH_S = 0.03, 30e-6
"""Results that come within this time after an answer share the next one: so long at most, and so much for each that is
waited for, which is many times what it costs to ask for it again."""
CANCEL_NAMES = 20_000
"""Of one Cancel."""
PAUSE_S = 0.5
"""Before a hub that is busy is asked again."""
NOT_BEGUN = (State.WAITING, State.READY)


class Courier:
    """Starts its thread with the first task, ends it when it is closed and nothing is left to carry."""

    def __init__(
        self, target: Target, hub_timeout: float, store: Store, trust: Collection[str], most: int | None
    ) -> None:
        self.target, self.hub_timeout = target, hub_timeout
        self.store, self.shared, self.trust = store, store.directory, trust
        self.most = most
        """So many tasks are in the hub at a time, if there is a limit."""
        self.error: BaseException | None = None
        """Why nothing can be carried any more."""
        self.callbacks = Callbacks()
        self._hub = Hub(target=target)
        """For questions of other threads."""
        self._inbox: deque[Job] = deque()
        """Not on its way yet."""
        self._jobs: dict[str, Job] = {}
        """All that have not ended, with those of the inbox."""
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        """Guards what goes from the inbox to the hub, and tells when something got there."""
        self._closing = False
        self._wake, self._wakened = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._wakened, False)
        self._is_woken = False
        self._sent = 0
        """Of the jobs: those that are not in the inbox."""
        self._creates = 0
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._loose: list[Job] = []
        """Those in the hub that no request asks for."""
        self._missing: Missing | None = None
        """Made with the first task that needs a name."""
        self._has_looked = False
        self._has_result = False
        self._seat = contextlib.ExitStack()
        self._pid = os.getpid()

    def __del__(self) -> None:
        os.close(self._wake)
        os.close(self._wakened)

    def submit(self, job: Job) -> None:
        """Takes a task, and starts the thread if it does not run. Raises why nothing can be carried any more.

        One of that name that has not ended is not submitted again: as the hub, it is the same task or a `Conflict`.
        """
        with self._changed:
            if self.error is not None:
                raise self.error
            known = self._jobs.get(job.name)
            if known is not None and known.definition == job.definition:
                known.futures.extend(job.futures)
                return
            if known is not None:
                job.lose()
                for future in job.futures:
                    future.set_ended(None, _conflict(job.name))
                return
            if not self._jobs:
                # In a call of a worker: somebody else runs while it may wait for this, in whatever way.
                self._seat.enter_context(seat.left())
            self._inbox.append(job)
            self._jobs[job.name] = job
            for need in job.needs:
                if (needed := self._jobs.get(need.name)) is not None:
                    needed.needed_by = needed.needed_by or []
                    needed.needed_by.append(job.name)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dhub", daemon=True)
                self._thread.start()
        self._notify()

    def cancel(self, futures: Iterable[DhubFuture[Any]], running: bool = False) -> None:
        """Takes tasks back that have not begun, or also those that run. Raises `NoHub`."""
        if self._thread is threading.current_thread():  # garbage was collected there; it cannot wait for itself
            self.callbacks.run(functools.partial(self.cancel, list(futures), running))
            return
        if self._pid != os.getpid():
            return
        with self._changed:
            names = {future.name: None for future in futures if not future.done()}
            jobs = [job for name in names if (job := self._jobs.get(name)) is not None]
            sent = {job.name: job for job in jobs if job.task is None}
            for job in jobs:
                if job.task is not None:
                    job.lose()
                    self._end_cancelled(job)
            self._changed.wait_for(lambda: all(job.is_created for job in sent.values()))
        states = (*NOT_BEGUN, State.RUNNING) if running else NOT_BEGUN
        for begin in range(0, len(sent), CANCEL_NAMES):
            some = list(sent)[begin : begin + CANCEL_NAMES]
            if self._hub.cancel(*some, states=states).changed < len(some):
                some = [it.name for it in self._hub.tasks(some, states=[State.CANCELLED])]
            for name in some:
                self._end_cancelled(sent[name])
        self._notify()

    def is_running(self, future: DhubFuture[Any]) -> bool:
        """Whether a worker has its task. Raises `NoHub`."""
        job = self._jobs.get(future.name)
        if job is None or not job.is_created or self._pid != os.getpid():
            return False
        return any(True for _ in self._hub.tasks([future.name], states=[State.RUNNING]))

    def close(self) -> None:
        """Takes nothing more; the thread ends when all has come back."""
        self._closing = True
        if self._thread is None:
            self.store.remove()
        self._notify()

    def join(self) -> None:
        """Until all has come back, and the callbacks have run."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self.callbacks.join()

    def flush(self, seconds: float) -> None:
        """Waits until the hub has all that was submitted."""
        if self._pid == os.getpid():
            with self._changed:
                self._changed.wait_for(lambda: not self._inbox and not self._creates, seconds)

    def futures(self) -> list[DhubFuture[Any]]:
        """Those that have not ended."""
        return [future for job in self._jobs_now() for future in job.futures]

    def _jobs_now(self) -> list[Job]:
        with self._changed:
            return list(self._jobs.values())

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
            is_closing = False
            while not (self._closing and not self._jobs and not self._creates):
                self._poll()
                if self._closing and not is_closing and self._missing is not None:
                    is_closing = True
                    self._missing.again()
                now = time.monotonic()
                link.tick(now)
                link.receive()
                if link.silent_since is not None and now > link.silent_since + self.hub_timeout:
                    silent = NoHub(f"no hub answers at {self.target.place} (waited {self.hub_timeout:g} s)")
                    raise door.explain(silent, self.target)
                self._create()
                self._watch(now)
        except BaseException as error:
            self._break(error)
        finally:
            link.close(1.0)
            self.store.remove()
            self.callbacks.close()

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
            batch, tasks = self._next_batch()
            if not batch:
                return
            self._send_create(wire.Request(create=wire.Create(tasks=tasks)), batch)

    def _next_batch(self) -> tuple[list[Job], list[wire.Task]]:
        batch: list[Job] = []
        tasks: list[wire.Task] = []
        skipped: list[Job] = []
        size = needs = 0
        with self._changed:
            while self._inbox and len(batch) < BATCH_TASKS and size < BATCH_BYTES and needs < BATCH_NEEDS:
                if self.most is not None and self._sent >= self.most:
                    break
                job = self._inbox.popleft()
                task, job.task = job.task, None
                if task is None or self._jobs.get(job.name) is not job:
                    continue  # it was cancelled, and perhaps submitted again
                self._sent += 1
                if any(need.is_lost for need in job.needs):
                    job.lose()  # at once: what needs it may be the next one here
                    skipped.append(job)
                    continue
                size, needs = size + 100 + len(task.stdin), needs + len(task.needs)
                batch.append(job)
                tasks.append(task)
            self._creates += 1 if batch else 0
        for job in skipped:
            self._lose(job)
        return batch, tasks

    def _send_create(self, request: wire.Request, batch: list[Job]) -> None:
        self._link.ask(request, functools.partial(self._created, request, batch))

    def _created(self, request: wire.Request, batch: list[Job], it: Any) -> None:
        if isinstance(it, Busy):
            self._at(PAUSE_S, functools.partial(self._create_again, request, batch))
            return
        again = self._refused(batch, it) if isinstance(it, Refused) else []
        with self._changed:
            self._creates += len(again) - 1
            for job in batch if not isinstance(it, Refused) else ():
                job.is_created = True
            self._changed.notify_all()
        for some in again:
            self._create_again(request, some)
        if not isinstance(it, Refused) and not self._has_looked:
            self._has_looked = True
            self._at(SAY_S, self._ask_workers)
        # Not before: of a name that the hub has not taken it tells what others have by that name, or that nobody has.
        if not isinstance(it, Refused):
            self._ask_waits(batch)
            if any(job.names for job in batch):
                self._missing = self._missing or Missing(self._link, self._at, self._names)
                self._missing.later()

    def _ask_workers(self) -> None:
        """Once, if nothing has come back by then: a first program often has no worker."""
        left = len(self._jobs)
        if self._has_result or not left:
            return

        def heard(it: Any) -> None:
            if isinstance(it, Refused) or any(not (worker.lost or worker.away) for worker in it.workers):
                return
            what = "1 call waits" if left == 1 else f"{left:,} calls wait"
            LOGGER.warning("dhub: %s, and no worker is alive: python -m dhub.worker -j N", what)

        self._link.ask(wire.Request(workers=wire.Workers(limit=1000)), heard)

    def _names(self) -> Iterable[tuple[str, Collection[str]]]:
        """Of each task that is in the hub: what else it needs, by name."""
        return ((job.name, job.names) for job in self._jobs_now() if job.is_created)

    def _create_again(self, request: wire.Request, some: list[Job]) -> None:
        """Of a request that was refused; not those that have ended here meanwhile."""
        some = self._left(some)
        if not some:
            with self._changed:
                self._creates -= 1
                self._changed.notify_all()
            self._notify()  # something of the inbox may be next
            return
        tasks = {task.name: task for task in request.create.tasks}
        self._send_create(wire.Request(create=wire.Create(tasks=[tasks[job.name] for job in some])), some)

    def _refused(self, batch: list[Job], it: Refused) -> list[list[Job]]:
        """The hub took none of them. Those at fault end: what it names, or what halves lead to. The others go again."""
        names = set(it.names)
        at_fault = [job for job in batch if job.name in names]
        again = [batch]
        if not at_fault and isinstance(it, (Invalid, OverLimit)) and len(batch) > 1:
            again = [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
        else:
            for job in at_fault or batch:
                job.lose()
                self._end(job.name, None, _conflict(job.name) if isinstance(it, Conflict) else it)
            self._skip(at_fault or batch, batch)
        return [left for some in again if (left := self._left(some))]

    def _left(self, jobs: list[Job]) -> list[Job]:
        """Those that have not ended."""
        return [job for job in jobs if self._jobs.get(job.name) is job]

    def _skip(self, lost: list[Job], absent: list[Job]) -> None:
        """Those that need what the hub did not take would wait for ever. It has none of the absent ones."""
        not_there = set(map(id, absent))
        left = deque(lost)
        while left:
            for name in left.popleft().needed_by or ():
                job = self._jobs.get(name)
                if job is None or job.task is not None or not any(need.is_lost for need in job.needs):
                    continue
                if id(job) not in not_there:
                    self._link.ask(wire.Request(cancel=wire.Cancel(selection=wire.Selection(names=[name]))), lambda it: None)
                self._lose(job)
                left.append(job)

    def _lose(self, job: Job) -> None:
        """What it needs is not in the hub."""
        error = TaskSkipped(job.name, "the hub does not have what it needs")
        error.__cause__ = job.cause()
        job.lose()
        self._end(job.name, None, error)

    def _watch(self, now: float) -> None:
        due = [it for it in self._later if it[0] <= now]
        if due:
            self._later = [it for it in self._later if it[0] > now]
            for _, _, then in sorted(due, key=lambda it: it[:2]):
                then()
        # Those that are left of several requests share the next one.
        loose, self._loose = self._loose, []
        self._ask_waits(loose)

    def _ask_waits(self, jobs: list[Job]) -> None:
        jobs = self._left(jobs)
        for begin in range(0, len(jobs), WATCH_TASKS):
            self._ask_wait(jobs[begin : begin + WATCH_TASKS])

    def _ask_wait(self, jobs: list[Job]) -> None:
        wait = wire.Wait(wait_ms=int(WAIT_S * 1000), names=[job.name for job in jobs], output=True)

        def then(it: Any) -> None:
            if isinstance(it, Refused) and not isinstance(it, Busy):
                raise it
            if not isinstance(it, Refused):
                # Not one that was submitted by a name of theirs meanwhile: the hub may not have that one yet.
                asked = {job.name for job in self._left(jobs)}
                for ended in it.ended:
                    if ended.task.name in asked:
                        self._ended(ended)
                for name in asked.intersection(it.unknown):
                    self._end(name, None, TaskFailed(name, "the hub does not have it"))
            left = self._left(jobs)
            if isinstance(it, Refused):
                pause = PAUSE_S
            else:
                pause = min(GATHER_S, len(left) * GATHER_EACH_S) if it.ended else 0.0
            if left:
                self._at(pause, lambda: self._loose.extend(left))

        self._link.ask(wire.Request(wait=wait), then, WAIT_S)

    def _at(self, seconds: float, then: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, next(self._order), then))

    def _ended(self, it: wire.EndedTask) -> None:
        self._has_result = True
        task, output = it.task, it.attempt.output
        job = self._jobs.get(task.name)
        if job is None:
            return
        value: Any = None
        error: BaseException | None = None
        if task.state == wire.STATE_CANCELLED:
            self._end_cancelled(job)
            return
        if task.state == wire.STATE_SKIPPED:
            if not any(need.cancelled() or need.failure() for need in job.needs):
                # The reason is on its way.
                if not all(need.done() for need in job.needs):
                    self._at(GATHER_S, functools.partial(self._ended, it))
                    return
            error = TaskSkipped(task.name, task.reason or "something that it needs failed or was cancelled")
            error.__cause__ = job.cause()
        elif task.state == wire.STATE_FAILED and not payload.has_result(output):
            error = TaskKilled(task.name, task.reason, task.exit_code)
        else:
            result = payload.Result(task.name, it.attempt.attempt, it.attempt.key, output)
            file = payload.result_file(result)
            if file is not None:
                for future in job.futures:
                    future.result_file = file
                # As long as somebody can give it to another call, or ask for it by a name that was chosen for that.
                if job.definition is None:
                    weakref.finalize(job.futures[0], _remove, os.getpid(), self.shared, file)
            try:
                value = payload.loads_result(result, self.shared, self.trust)
            except BaseException as raised:
                # Where it was unpickled is of no interest, and would keep it for long.
                error = raised.with_traceback(None)
        self._end(task.name, value, error)
        if isinstance(error, InitializerFailed):
            raise error

    def _end(self, name: str, value: Any, error: BaseException | None) -> None:
        job = self._pop(name)
        if job is not None:
            for future in job.futures:
                future.set_ended(value, error)

    def _end_cancelled(self, job: Job) -> None:
        self._pop(job.name)
        for future in job.futures:
            future.set_cancelled()

    def _pop(self, name: str) -> Job | None:
        with self._changed:
            job = self._jobs.pop(name, None)
            if job is None:
                return None
            if job.task is None:
                self._sent -= 1
                job.is_created = True
                self._changed.notify_all()
            if not self._jobs:
                self._seat.close()
        if job.file is not None:
            payload.unlink([job.file])
        return job

    def _break(self, error: BaseException) -> None:
        """Nothing more comes: everybody is told."""
        self.error = error if isinstance(error, DhubError) else DhubError(f"the executor's thread ended: {error!r}")
        if not isinstance(error, DhubError):
            sys.excepthook(type(error), error, error.__traceback__)
        with self._changed:
            self._inbox.clear()
            jobs = list(self._jobs.values())
        for job in jobs:
            self._end(job.name, None, self.error)
        if isinstance(error, InitializerFailed):
            names = [job.name for job in jobs if job.task is None]
            self.callbacks.run(lambda: self._hub.cancel(*names, states=NOT_BEGUN) if names else None)
        with self._changed:
            self._creates = 0
            self._changed.notify_all()


def _remove(pid: int, shared: Path, file: str) -> None:
    if pid == os.getpid():  # a child that was forked has the same futures, and ends sooner
        private.remove_own(shared, file)


def _conflict(name: str) -> Conflict:
    return Conflict(f"'{name}' exists with another definition; nothing was added", [name])
