"""`python -m dhub.worker -j 8`: a pool of processes that are there already, for the calls of `DhubExecutor`.

Other tasks it runs by `/bin/sh -c`, simpler than kworker does: one that leaves processes behind is for a kworker. What
crashes the interpreter, or kills it, fails that task alone; another process takes its place.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from typing import Any

import zmq

from dhub import call, nursery, payload
from dhub._version import __version__
from dhub._wire import hub_pb2 as wire
from dhub.errors import AccessError, Denied, DhubError, NoHub, Refused
from dhub.find import INSECURE, Target, find
from dhub.model import OUTPUT_BYTES_MAX, Phase
from dhub.pool import Held, Key, Pool

MESSAGE_BYTES = 1 << 20
AHEAD_S, AHEAD_MAX = 0.02, 64
"""What a process is given beyond the task that it runs: what it ends within this time, and how many at most."""
STUCK_S = 0.1
"""When one task takes so long, what waits behind it is taken back."""
NAP_S = 0.002
"""Results that come within this time are looked at together, while every process has something to do."""
TERM_S = 5.0
"""Between SIGTERM and SIGKILL."""
RAN = struct.Struct("<I")
"""Before each outcome: how many microseconds the task took."""


# --- a process that runs tasks -----------------------------------------------------------------


def work(end: socket.socket, slot: int) -> None:
    """Runs one task after the other, until nobody sends any more."""
    os.environ["DHUB_SLOT"] = str(slot)
    while True:
        data = end.recv(MESSAGE_BYTES)
        if not data:
            return
        begin = time.perf_counter()
        outcome = run(wire.Lease.FromString(data))
        ran = min(int((time.perf_counter() - begin) * 1e6), 0xFFFF_FFFF)
        end.send(RAN.pack(ran) + outcome.SerializeToString())


def run(lease: wire.Lease) -> wire.Outcome:
    """Runs one task here: a call in this process, anything else in one of its own."""
    os.environ["DHUB_TASK"], os.environ["DHUB_ATTEMPT"] = lease.name, str(lease.attempt)
    if lease.command != call.COMMAND or not payload.is_call(lease.stdin):
        return _command(lease)
    done, output, reason = payload.run_call(
        lease.stdin, lease.name, lease.attempt, call.results, payload.RESULT_BYTES_MAX, call.is_guest()
    )
    sys.stdout.flush()
    sys.stderr.flush()
    return wire.Outcome(
        name=lease.name,
        attempt=lease.attempt,
        result=wire.RESULT_DONE if done else wire.RESULT_FAILED,
        exit_code=0 if done else 1,
        reason=reason.encode("utf-8", "replace")[:1000].decode("utf-8", "ignore"),
        output=output,
    )


def _command(lease: wire.Lease) -> wire.Outcome:
    env = {**os.environ, **dict(entry.split("=", 1) for entry in lease.env)}
    outcome = wire.Outcome(name=lease.name, attempt=lease.attempt, result=wire.RESULT_FAILED)
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", lease.command or lease.name],
            input=lease.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=lease.dir or None,
            env=env,
        )
    except (OSError, ValueError) as error:
        outcome.exit_code, outcome.reason = 126, str(error)[:1000]
        return outcome
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    outcome.exit_code, outcome.output = code, done.stdout[-OUTPUT_BYTES_MAX:]
    if code == 0:
        outcome.result = wire.RESULT_DONE
    else:
        outcome.reason = f"exit {code}" if done.returncode >= 0 else _killed(-done.returncode)
    return outcome


def _killed(number: int) -> str:
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"killed by signal {number}"


# --- the process that talks to the hub -----------------------------------------------------------


class Slot:
    """A process, and what it was given: the first of them runs."""

    def __init__(self, number: int, ends: tuple[socket.socket, socket.socket]) -> None:
        self.number = number
        self.mine, self.theirs = ends
        self.pid = 0
        self.given: deque[Held] = deque()
        self.killed_at = 0.0
        self.why = ""
        self.victim: Key | None = None
        """The task that it is killed for."""

    def give(self, held: Held) -> bool:
        """False: there is no room."""
        try:
            self.mine.send(held.lease.SerializeToString())
        except BlockingIOError:
            return False
        if not self.given:
            held.since = time.monotonic()
        self.given.append(held)
        return True

    def take_back(self) -> list[Held]:
        """What it has not begun, in order."""
        count = 0
        while True:
            try:
                if not self.theirs.recv(MESSAGE_BYTES, socket.MSG_DONTWAIT):
                    break  # closed already
                count += 1
            except BlockingIOError:
                break
        return [self.given.pop() for _ in range(count)][::-1]

    def close(self) -> None:
        self.mine.close()
        self.theirs.close()


class Worker:
    """The pool's processes, and the way between them and the hub."""

    def __init__(
        self, target: Target, name: str, slots: int, options: argparse.Namespace, order: nursery.Order
    ) -> None:
        self.order = order
        self.pool = Pool(target, name, slots, stay=not options.until_done, ahead=options.ahead)
        self.slots = {number: Slot(number, order.fork(number)) for number in range(slots)}
        self.poller = zmq.Poller()
        self.polled: list[Any] = []
        self.signals = 0
        self.stuck_at = 0.0
        self.leaving = False

    def run(self) -> None:
        """Until it is told to leave, or, with `--until-done`, nothing is left to do."""
        pool = self.pool
        wake, wakened = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wakened, False)
        signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._signal)
        while not pool.finished:
            pool.step()
            self._tell()
            if pool.draining:
                self._take_back(True)
                pool.drain()
                if not any(slot.given for slot in self.slots.values()) and pool.idle():
                    break
            if pool.stopping or self.signals > 1:
                break
            self._lost()
            self._limits()
            self._give()
            timeout = min(pool.next_step(), self._next_limit())
            if self._busy() and timeout > NAP_S:
                time.sleep(NAP_S)
            self._poll(wake, timeout)

    def leave(self) -> None:
        """Ends what runs, then gives back everything."""
        self.leaving = True
        for slot in self.slots.values():
            if slot.given:
                self.order.kill(slot.pid, signal.SIGTERM)
            slot.mine.close()
        until = time.monotonic() + TERM_S
        while self.slots and time.monotonic() < until:
            self._died()
            time.sleep(0.005)
        for slot in self.slots.values():
            self.order.kill(slot.pid, signal.SIGKILL)
        while not self.pool.leave():
            time.sleep(0.005)
        self.pool.link.close(1.0)

    # --- one turn -------------------------------------------------------------------------------

    def _poll(self, wake: int, timeout: float) -> None:
        wanted = [*self.pool.link.sockets(), self.order.control, wake, *(slot.mine for slot in self.slots.values())]
        if wanted != self.polled:
            self.poller, self.polled = zmq.Poller(), wanted
            for it in wanted:
                self.poller.register(it, zmq.POLLIN)
        ready = dict(self.poller.poll(int(timeout * 1000) + 1 if timeout else 0))
        if wake in ready:
            os.read(wake, 4096)
        for slot in list(self.slots.values()):
            if slot.mine.fileno() in ready or slot.mine in ready:
                self._results(slot)
        if self.order.control.fileno() in ready or self.order.control in ready:
            self._died()

    def _results(self, slot: Slot) -> None:
        """What has ended there."""
        while True:
            try:
                data = slot.mine.recv(MESSAGE_BYTES)
            except OSError:  # nothing more for now, or for ever: the nursery tells
                return
            if not data:
                return
            outcome = wire.Outcome.FromString(data[RAN.size :])
            key = (outcome.name, outcome.attempt)
            if not slot.given or slot.given[0].key != key:
                continue
            slot.given.popleft()
            if slot.given:
                slot.given[0].since = time.monotonic()
            self.pool.ended(key, outcome, RAN.unpack_from(data)[0] / 1e6)

    def _died(self) -> None:
        for news in self.order.news():
            slot = self.slots.get(news["slot"])
            if slot is None:
                continue
            if "status" not in news:
                slot.pid = news["pid"]
                continue
            self._results(slot)
            back = slot.take_back()
            for held in slot.given:  # at most the one that it ran
                self.pool.ended(held.key, self._crashed(held, slot, news["status"]), time.monotonic() - held.since)
            self.pool.put_back(back)
            slot.close()
            del self.slots[slot.number]
            if not self.leaving:
                self.slots[slot.number] = Slot(slot.number, self.order.fork(slot.number))

    def _crashed(self, held: Held, slot: Slot, status: int) -> wire.Outcome | None:
        if self.leaving or (slot.victim is not None and slot.victim != held.key):
            return None  # given back; of the second kind is what began when the victim had just ended
        reason = slot.why or (_killed(-status) if status < 0 else f"the process ended with exit code {status}")
        return wire.Outcome(
            name=held.key[0],
            attempt=held.key[1],
            result=wire.RESULT_FAILED,
            exit_code=128 - status if status < 0 else status,
            reason=reason,
        )

    def _give(self) -> None:
        """To those that have the least first, so that none waits while another has several."""
        pool = self.pool
        if not pool.queue:
            return
        deep = 1 + pool.pace.soon(time.monotonic(), AHEAD_S, AHEAD_MAX)
        for depth in range(deep):
            for slot in self.slots.values():
                if len(slot.given) <= depth and slot.killed_at == 0.0:
                    held = pool.take()
                    if held is None:
                        return
                    if not slot.give(held):
                        pool.put_back([held])
                        return

    def _busy(self) -> bool:
        return all(len(slot.given) > 4 for slot in self.slots.values())

    def _take_back(self, all_: bool) -> None:
        """What waits behind a long task."""
        now = time.monotonic()
        for slot in self.slots.values():
            if len(slot.given) > 1 and (all_ or now - slot.given[0].since > STUCK_S):
                self._results(slot)
                self.pool.put_back(slot.take_back())

    def _lost(self) -> None:
        """What was cancelled, or is somebody else's by now."""
        now = time.monotonic()
        if now >= self.stuck_at:
            self.stuck_at = now + STUCK_S
            self._take_back(False)
        while self.pool.lost:
            key = self.pool.lost.pop()
            for slot in self.slots.values():
                if any(held.key == key for held in slot.given):
                    self._results(slot)
                    self.pool.put_back(slot.take_back())
                    if slot.given and slot.given[0].key == key:
                        self._kill(slot, "it was taken back")

    def _limits(self) -> None:
        """What takes longer than it may, and what does not heed SIGTERM."""
        now = time.monotonic()
        for slot in self.slots.values():
            if slot.killed_at and now > slot.killed_at + TERM_S:
                self.order.kill(slot.pid, signal.SIGKILL)
                slot.killed_at = now
            elif slot.given and not slot.killed_at:
                held = slot.given[0]
                if held.lease.time_limit_ms and now > held.since + held.lease.time_limit_ms / 1000:
                    self.pool.put_back(slot.take_back())
                    self._kill(slot, f"timed out after {held.lease.time_limit_ms / 1000:g} s")

    def _next_limit(self) -> float:
        now, at = time.monotonic(), float("inf")
        for slot in self.slots.values():
            if slot.killed_at:
                at = min(at, slot.killed_at + TERM_S)
            elif slot.given:
                if len(slot.given) > 1:
                    at = min(at, now + STUCK_S)
                limit = slot.given[0].lease.time_limit_ms
                if limit:
                    at = min(at, slot.given[0].since + limit / 1000)
        return max(0.0, at - now)

    def _kill(self, slot: Slot, why: str) -> None:
        if not slot.killed_at:
            slot.killed_at, slot.why, slot.victim = time.monotonic(), why, slot.given[0].key
            self.order.kill(slot.pid, signal.SIGTERM)

    def _tell(self) -> None:
        while self.pool.refused:
            refused = self.pool.refused.pop()
            print(f"dhub.worker: {refused.names[0]}: its outcome came too late: {refused}", file=sys.stderr, flush=True)

    def _signal(self, number: int, frame: object) -> None:
        self.signals += 1
        if self.signals == 1:
            print(f"dhub.worker: {signal.Signals(number).name}: what runs may end", file=sys.stderr, flush=True)
        self.pool.draining = True


def options(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dhub.worker", description=(__doc__ or "").partition("\n\n")[2])
    add = parser.add_argument
    add("-j", "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)")
    add("-s", "--server", metavar="ENDPOINT", help="where the hub is [env: DHUB_HUB]")
    add("--access", metavar="FILE", help="an access file [env: DHUB_ACCESS]")
    add("--insecure", action="store_true", help="talk to a hub at -s that wants no key [env: DHUB_INSECURE=1]")
    add("--name", help="of the pool, for people (default: HOST:PID)")
    add("--until-done", action="store_true", help="leave when every task of the hub is finished, or stuck; at once if it has none")
    add("--ahead", type=int, metavar="N", help="hold so many tasks ahead (default: by measure)")
    add("--timeout", type=float, default=5.0, metavar="SECONDS", help="how long to look for a hub (default: 5)")
    add("--version", action="version", version=f"dhub {__version__}")
    chosen = parser.parse_args(words)
    if chosen.jobs < 1:
        parser.error("-j: at least 1")
    return chosen


def main(words: list[str] | None = None) -> int:
    """The exit codes are those of kworker: 0, 1 some failed, 5 stuck, 7 no hub, 9, 11 denied."""
    chosen = options(words)
    try:
        target = find(chosen.server, chosen.access, chosen.timeout, chosen.insecure)
    except (DhubError, ValueError) as error:
        print(f"dhub.worker: {error}", file=sys.stderr)
        code = {NoHub: 7, AccessError: 9, Denied: 11}
        return next((number for kind, number in code.items() if isinstance(error, kind)), 2)
    name = chosen.name or f"{socket.gethostname()}:{os.getpid()}"
    os.environ.update(DHUB_HUB=target.endpoint, DHUB_WORKER=name)
    os.environ.pop("DHUB_ACCESS", None)
    os.environ.pop(INSECURE, None)
    if target.access is not None:
        os.environ["DHUB_ACCESS"] = str(target.access)
    else:
        os.environ[INSECURE] = "1"

    def talk(order: nursery.Order) -> int:
        worker = Worker(target, name, chosen.jobs, chosen, order)
        try:
            worker.run()
            worker.leave()
        except Refused as error:
            print(f"dhub.worker: {error}", file=sys.stderr)
            return 11 if isinstance(error, Denied) else 6
        except EOFError:
            return 70
        if not chosen.until_done or not worker.pool.finished:
            return 0
        if worker.pool.phase == Phase.EMPTY:
            print("dhub.worker: the hub has no tasks; without --until-done it is waited for the first", file=sys.stderr)
        return 5 if worker.pool.phase == Phase.STUCK else 1 if worker.pool.not_done else 0

    print(f"dhub.worker {name} · {chosen.jobs} processes · hub {target.endpoint}", file=sys.stderr, flush=True)
    return nursery.run(talk, work)


if __name__ == "__main__":
    sys.exit(main())
