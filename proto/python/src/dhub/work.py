"""`work`: a worker as a function call. The caller's thread runs the tasks, another one talks to the hub."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple, Union

import zmq

from dhub.find import PathLike, Target, find
from dhub.model import Lease, Outcome
from dhub.pool import Held, Pool


class Job:
    """A task that runs here. Its fields are those of its `lease`."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.name, self.attempt = lease.name, lease.attempt
        self.command, self.stdin = lease.command, lease.stdin
        self.lost = False
        """It was cancelled, or is somebody else's by now: its outcome will not count. Ask while it runs, and return."""

    def __repr__(self) -> str:
        return f"Job({self.name!r}, attempt {self.attempt})"


class Tally(NamedTuple):
    """What became of the tasks of one worker."""

    done: int
    failed: int
    lost: int


Handler = Callable[[Job], Union[None, str, bytes, Outcome]]


def work(
    handler: Handler,
    server: str | None = None,
    *,
    access: PathLike | None = None,
    insecure: bool = False,
    name: str | None = None,
    until_done: bool = False,
    max_tasks: int | None = None,
    ahead: int | None = None,
    on_start: Callable[[], object] | None = None,
    before_task: Callable[[Job], object] | None = None,
    after_task: Callable[[Job, Outcome], object] | None = None,
    on_stop: Callable[[Tally], object] | None = None,
    timeout: float = 5.0,
    target: Target | None = None,
) -> Tally:
    """Steals tasks and calls `handler(job)` for each, one at a time, until told to leave.

    What the handler returns is the output of the task: text or bytes, of which the hub keeps the last 64 KiB, None, or
    an `Outcome` that says all. If it raises an exception the task fails, with the traceback as output. Leases are
    renewed in another thread, which needs the interpreter now and then: a handler that holds it for 30 s in C code
    loses its task; `python -m dhub.worker` does not have that problem.

    Leaves when the hub says drain or stop, after `max_tasks` tasks, on SIGTERM (after the task that runs, in the main
    thread), on Ctrl-C (at once; the task is given back), and with `until_done` when every task of the hub is finished
    or stuck. While tasks are short it holds some `ahead`, by measure unless a number is given.

    `on_start` and `on_stop` are called once, `before_task` and `after_task` around each task; what `before_task`
    raises fails the task, what others raise ends the worker.

    Raises as `Hub` when there is no hub at the start, and `Denied`. Later silence of the hub is waited for.
    """
    target = target or find(server, access, timeout, insecure)
    worker = _Worker(Pool(target, name or f"{socket.gethostname()}:{os.getpid()}", 1, stay=not until_done, ahead=ahead))
    previous: Any = None
    in_main = threading.current_thread() is threading.main_thread()
    if in_main:
        previous = signal.signal(signal.SIGTERM, lambda number, frame: worker.drain())
    try:
        if on_start is not None:
            on_start()
        worker.start()
        count = 0
        while (max_tasks is None or count < max_tasks) and (held := worker.take()) is not None:
            count += 1
            job = worker.running
            assert job is not None
            begin = time.monotonic()
            outcome = _run(handler, before_task, job)
            worker.ended(held, outcome, time.monotonic() - begin)
            if after_task is not None:
                after_task(job, outcome)
    finally:
        worker.leave()
        if in_main:
            signal.signal(signal.SIGTERM, previous)
        tally = worker.tally()
        if on_stop is not None:
            on_stop(tally)
    worker.check()
    return tally


def _run(handler: Handler, before: Callable[[Job], object] | None, job: Job) -> Outcome:
    try:
        if before is not None:
            before(job)
        said = handler(job)
    except Exception as error:
        reason = "".join(traceback.format_exception_only(type(error), error)).strip()
        return Outcome(job.name, job.attempt, False, 1, reason, traceback.format_exc().encode("utf-8", "replace"))
    if isinstance(said, Outcome):
        return said._replace(name=job.name, attempt=job.attempt)
    output = said.encode("utf-8", "replace") if isinstance(said, str) else said or b""
    return Outcome(job.name, job.attempt, output=output)


class _Worker:
    """A pool of one slot, and the thread that talks for it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.pool.in_hand = lambda: [] if self.running is None else [(self.running.name, self.running.attempt)]
        self.running: Job | None = None
        self.changed = threading.Condition()
        self.over = False
        """The thread is to end."""
        self.error: BaseException | None = None
        self.lost = 0
        self.wake, self.wakened = os.pipe()
        os.set_blocking(self.wakened, False)
        self.thread = threading.Thread(target=self._talk, name="dhub-worker", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def take(self) -> Held | None:
        """The next task; None: leave."""
        with self.changed:
            while True:
                pool = self.pool
                held = None if pool.draining or self.error is not None else pool.take()
                if held is not None:
                    held.since = time.monotonic()
                    self.running = Job(Lease.of(held.lease))
                    self._notify()
                    return held
                if pool.draining or pool.finished or self.error is not None:
                    return None
                self.changed.wait()

    def ended(self, held: Held, outcome: Outcome, ran: float) -> None:
        with self.changed:
            if self.running is not None and self.running.lost:
                self.lost += 1
            self.running = None
            self.pool.ended(held.key, outcome.to_wire(), ran)
        self._notify()

    def drain(self) -> None:
        """From a signal handler: takes no lock."""
        self.pool.draining = True
        self._notify()

    def leave(self) -> None:
        """Tells what has ended and gives back the rest; waits some seconds for a hub that is silent."""
        if self.thread.is_alive():
            with self.changed:
                self.pool.drain()
                until = time.monotonic() + 5.0
                if self.running is not None:  # left in the middle
                    self.pool.ended((self.running.name, self.running.attempt), None, 0.0)
                self._notify()
                while not self.pool.idle() and self.error is None and time.monotonic() < until:
                    self.changed.wait(0.05)
                self.over = True
            self._notify()
            self.thread.join()
            while self.error is None and not self.pool.leave():
                time.sleep(0.002)
        self.pool.link.close(1.0)
        os.close(self.wake)
        os.close(self.wakened)

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def tally(self) -> Tally:
        return Tally(self.pool.done, self.pool.failed, self.lost)

    def _talk(self) -> None:
        pool = self.pool
        try:
            while not self.over:
                with self.changed:
                    pool.step()
                    for name, attempt in pool.lost:
                        if self.running is not None and (self.running.name, self.running.attempt) == (name, attempt):
                            self.running.lost = True
                    pool.lost.clear()
                    pool.refused.clear()
                    self.changed.notify_all()
                    timeout, sockets = pool.next_step(), pool.link.sockets()
                poller = zmq.Poller()
                for it in [*sockets, self.wake]:
                    poller.register(it, zmq.POLLIN)
                ready = dict(poller.poll(int(timeout * 1000) + 1 if timeout else 0))
                if self.wake in ready:
                    os.read(self.wake, 4096)
        except BaseException as error:
            with self.changed:
                self.error = error
                self.changed.notify_all()

    def _notify(self) -> None:
        try:
            os.write(self.wakened, b"x")
        except BlockingIOError:
            pass
