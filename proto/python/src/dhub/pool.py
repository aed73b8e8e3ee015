"""What a worker holds, and what it asks the hub next. Where tasks run is somebody else's matter.

Steals ahead by measure, reports and steals in the same round trip, renews what it holds, and always has one request
parked in the hub: that is how the hub tells it what was lost, and to leave.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dhub import payload
from dhub._version import __version__
from dhub._wire import hub_pb2 as wire
from dhub.errors import Busy, NotFound, Refused
from dhub.find import Target
from dhub.link import Link
from dhub.pace import Pace

WAIT_S = 10.0
"""How long a request is parked."""
BEAT_MAX_S = 10.0
"""Also a worker that holds nothing shows that it is there."""
COLLECT_S = 0.005
"""Outcomes that come within this time share a request, while no slot waits for it."""
SURPLUS_S = 1.0
"""What is held ahead for so long beyond what will start soon others may have."""
AWAY_S_MAX = 10.0
"""How long its connections are left to others, however long the hub says; half of it to one and a half."""
PAUSE_S = 0.5
"""Before a hub that is busy is asked again."""
OUTCOMES_BYTES_MAX = 8 * 1024 * 1024
OVER = (wire.PHASE_EMPTY, wire.PHASE_STUCK, wire.PHASE_FINISHED)
"""Who does not stay leaves then."""
LEAVE_S = 5.0
"""How long a hub that is silent may keep a worker from leaving."""

Key = tuple[str, int]


class Held:
    """A lease, and since when its task runs; 0: it does not yet."""

    __slots__ = ("key", "lease", "since")

    def __init__(self, lease: wire.Lease) -> None:
        self.lease, self.key, self.since = lease, (lease.name, lease.attempt), 0.0


class Pool:
    """For one thread at a time. `step` asks and hears; `take` and `ended` are what tasks come and go by."""

    def __init__(self, target: Target, name: str, slots: int, *, stay: bool = True, ahead: int | None = None) -> None:
        self.link = Link(target)
        self.me = wire.Worker(name=name, id=os.urandom(16), host=socket.gethostname())
        self.slots, self.stay, self.ahead_fixed = slots, stay, ahead
        self.pace = Pace()
        self.in_hand: Callable[[], Iterable[Key]] = lambda: ()
        """What somebody here has taken, and has: what is neither there nor in `queue` goes back to the hub."""
        self.away = 0
        """So many of them wait for other tasks, and take no slot."""
        self.held: dict[Key, Held] = {}
        self.queue: deque[Held] = deque()
        """Of those held: the ones that nobody has taken yet."""
        self.lost: list[Key] = []
        """Taken by somebody here, and not ours any more: to be stopped. For the caller to empty."""
        self.refused: list[Refused] = []
        """Outcomes that came too late. For the caller to empty."""
        self.draining = False
        self.stopping = False
        self.finished = False
        """Without `stay`: all tasks of the hub are finished, or stuck, or there are none."""
        self.phase, self.not_done = 0, 0
        self.done, self.failed = 0, 0
        self.failing: set[str] = set()
        """Tasks that failed here and were not done here since: each counts once, however often it is tried."""
        self.note = ""
        """What people see of this pool at the hub."""
        self.error: Refused | None = None
        """Why the hub does not want to talk to this worker."""
        self.left = False
        self.is_welcome = False
        """The hub has answered."""
        self._files: dict[Key, Path] = {}
        """Of outcomes that the hub may not know yet: removed if it does not want them."""
        self._ended: deque[wire.Outcome] = deque()
        self._reporting: list[wire.Outcome] = []
        self._give_back: list[wire.Attempt] = []
        self._releasing: list[wire.Attempt] = []
        self._number = 0
        self._parked: tuple[int, int, float] | None = None  # request, for how many tasks, asked when
        self._parked_away = 0
        """How many waited for other tasks when it was asked."""
        self._steal_number = 0
        """Of the parked request, if it steals."""
        self._unheard = 0
        """The first of the steals that were replaced since one of them was answered; 0: there is none."""
        self._completing: float | None = None
        self._completing_steals = False
        self._completed_at = 0.0
        self._not_before = 0.0
        self._beat_at = 0.0
        self._beats = 0
        self._surplus_since: float | None = None
        self._term = 30.0
        self._leaving: float | None = None
        self._ask_hello()

    # --- what tasks come and go by ---------------------------------------------------------

    def take(self) -> Held | None:
        """A task to run now or soon; `started` says when.

        One that may have taken its last worker down is started when the hub knows what has ended here: else that
        would be blamed if it happens again.
        """
        if not self.queue:
            return None
        taken = len(self.held) - len(self.queue)
        if self.queue[0].lease.suspect and (self._ended or self._reporting or taken >= self.slots + self.away):
            return None
        return self.queue.popleft()

    def put_back(self, held: list[Held]) -> None:
        """Taken, not started, and free to be taken again: in the old order."""
        for it in held:
            it.since = 0.0
        self.queue.extendleft(reversed([it for it in held if it.key in self.held]))

    def ended(self, key: Key, outcome: wire.Outcome | None, ran: float, file: Path | None = None) -> None:
        """A task that was taken has ended. Without an outcome: it was lost, or is given back."""
        held = self.held.pop(key, None)
        if file is not None:
            self._files[key] = file
        if held is None:
            self._remove(key)
            return
        if outcome is None:
            self._give_back.append(wire.Attempt(name=key[0], attempt=key[1]))
            return
        if outcome.result == wire.RESULT_DONE:
            self.done += 1
            self.failing.discard(key[0])
        else:
            self.failed += 1
            self.failing.add(key[0])
        outcome.run_ms = int(ran * 1000)
        self._ended.append(outcome)
        self.pace.ended(ran, time.monotonic())

    def drain(self) -> None:
        """Takes no more tasks, and gives back those that nobody has taken."""
        self.draining = True
        for it in self.queue:
            if self.held.pop(it.key, None) is not None:
                self._give_back.append(wire.Attempt(name=it.key[0], attempt=it.key[1]))
        self.queue.clear()

    def tell(self, note: str) -> None:
        """People see it at once."""
        self.note, self._beat_at = note, 0.0

    def _remove(self, key: Key) -> None:
        file = self._files.pop(key, None)
        if file is not None:
            payload.unlink([file])

    def idle(self) -> bool:
        """Nothing runs, and the hub knows of all that has ended."""
        return not (self.held or self._ended or self._reporting or self._give_back or self._releasing)

    # --- the hub ----------------------------------------------------------------------------

    def step(self) -> None:
        """Hears what has come, and asks what is to be asked. Raises `Denied`, and what else the hub refuses."""
        now = time.monotonic()
        self.link.tick(now)
        self.link.receive()
        if self.error is not None:
            raise self.error
        self._beat(now)
        self._give_back_surplus(now)
        self._ask_release()
        self._ask_complete(now)
        self._ask_steal(now)

    def next_step(self) -> float:
        """When `step` has something to do although nothing has come: seconds from now."""
        now = time.monotonic()
        at = self.link.next_timeout()
        if not self.link.is_away():
            at = min(at, self._next_beat())
        if self._ended and self._completing is None:
            at = min(at, max(self._completed_at + COLLECT_S, self._not_before))
        if self._not_before > now:
            at = min(at, self._not_before)
        if self._parked is not None and self._parked_away != self.away:
            at = min(at, self._parked[2] + COLLECT_S)
        if self._surplus_since is not None:
            at = min(at, self._surplus_since + SURPLUS_S)
        elif self.queue and self.pace.last_end:
            at = min(at, max(now + 0.05, self.pace.last_end + 0.5))
        return max(0.0, at - now)

    def leave(self) -> bool:
        """Says Exit, after which all that was held is ready again; whether it is heard, or is given up."""
        now = time.monotonic()
        if self._leaving is None:
            self._leaving = now
            for outcome in self._ended:
                self._remove((outcome.name, outcome.attempt))
            self.link.come_back(now)

            def then(it: Any) -> None:
                self.left = True

            self.link.ask(wire.Request(exit=wire.Exit(worker=self.me)), then)
        self.link.tick(now)
        self.link.receive()
        return self.left or now > self._leaving + LEAVE_S

    def _ask_hello(self) -> None:
        def then(it: Any) -> None:
            if isinstance(it, Refused):
                self.error = it
                return
            self.is_welcome = True
            self._term = it.worker_timeout_ms / 1000
            self.link.open_reports(it.report_endpoint, self._term)

        self.link.ask(wire.Request(hello=wire.Hello(version=__version__)), then)

    def _next_beat(self) -> float:
        if self._beats == 0:
            return self._beat_at
        # Two of three may be lost. The second tells what the first tasks have come to.
        return self._beat_at + min(self._term / 3, BEAT_MAX_S, 1.0 if self._beats == 1 else BEAT_MAX_S)

    def _beat(self, now: float) -> None:
        if now < self._next_beat() or self.link.is_away():
            return
        self._give_back_forgotten()
        running = sum(1 for it in self.held.values() if it.since) - self.away
        # The lease of what has ended lasts until the hub knows it.
        ended = [wire.Attempt(name=it.name, attempt=it.attempt, started=True) for it in (*self._ended, *self._reporting)]
        beat = wire.Heartbeat(
            worker=self.me,
            attempts=[
                wire.Attempt(name=it.key[0], attempt=it.key[1], started=bool(it.since)) for it in self.held.values()
            ]
            + ended,
            sample=wire.Sample(slots=self.slots, running=running, load_1m=os.getloadavg()[0]),
            note=self.note,
        )
        self._beat_at, self._beats = now, self._beats + 1
        if not self.link.report(wire.Report(heartbeat=beat)):
            # Reports do not get through, as in a tunnel; requests do.
            self.link.ask(wire.Request(heartbeat=beat), self._heartbeaten)

    def _give_back_forgotten(self) -> None:
        """A lease is renewed for what is here, and for nothing else."""
        here = {it.key for it in self.queue}.union(self.in_hand())
        for key in [key for key in self.held if key not in here]:
            self.ended(key, None, 0.0)

    def _heartbeaten(self, it: Any) -> None:
        if not isinstance(it, Refused):
            self._told(it)

    def _told(self, it: Any) -> None:
        """What any answer to a worker may say."""
        for lost in it.lost:
            key = (lost.name, lost.attempt)
            held = self.held.pop(key, None)
            if held is None:
                continue
            try:
                self.queue.remove(held)
            except ValueError:
                self.lost.append(key)
        if it.stop:
            self.stopping = True
        if (it.drain or it.stop) and not self.draining:
            self.drain()

    def _ask_release(self) -> None:
        if self._releasing or not self._give_back:
            return
        self._releasing, self._give_back = self._give_back, []

        def then(it: Any) -> None:
            self._releasing = []

        self.link.ask(wire.Request(release=wire.Release(worker=self.me, attempts=self._releasing)), then)

    def _ask_complete(self, now: float) -> None:
        if self._completing is not None or not self._ended or now < self._not_before:
            return
        busy = len(self.queue) >= self.slots
        if busy and now < self._completed_at + COLLECT_S and not self.draining:
            return
        size = 0
        while self._ended and size < OUTCOMES_BYTES_MAX and len(self._reporting) < 10_000:
            outcome = self._ended.popleft()
            size += len(outcome.output) + 256
            self._reporting.append(outcome)
        want = 0 if self._parked is not None and self._parked[1] else self._free(now)
        self._completing, self._completing_steals = now, want > 0
        complete = wire.Complete(worker=self.me, outcomes=self._reporting, want=want)
        if want:
            complete.client, complete.number, complete.slots = self.me.id, self._next_number(), self.slots
            complete.waiting = self.away
        self.link.ask(wire.Request(complete=complete), self._completed)

    def _completed(self, it: Any) -> None:
        now = time.monotonic()
        asked = self._completing or now
        self._completing, self._completed_at = None, now
        if isinstance(it, Refused):
            self._ended.extendleft(reversed(self._reporting))
            self._reporting = []
            self._later(it)
            return
        self.pace.answered(now - asked)
        for refused in it.refused:
            self.refused.append(Refused(refused.message, [refused.name], refused.code))
            self._remove((refused.name, refused.attempt))
        if self._files:
            for outcome in self._reporting:
                self._files.pop((outcome.name, outcome.attempt), None)
        self._reporting = []
        if self._completing_steals:
            self._took(it.stolen)

    def _ask_steal(self, now: float) -> None:
        if (self._completing is not None and self._completing_steals) or now < self._not_before:
            return
        if self._leaving is not None or self.stopping:
            return
        n = self._free(now)
        replaces = 0
        if self._parked is not None:
            number, parked_n, asked = self._parked
            # One that waits for tasks is good enough; one that only listens makes room for one that steals, and
            # one that asks for more than can be run at once makes room for a smaller one. The hub knows how many
            # wait for others: what is tried alone depends on it.
            fits = (n == 0 and parked_n == 0) or (n > 0 and 0 < parked_n <= max(n, self.slots))
            if fits and self._parked_away == self.away:
                return
            if (n == 0 or fits) and now < asked + COLLECT_S:
                return
            replaces = number
        if n == 0 and self._ended:
            return
        if replaces:
            self.link.replace(replaces)
            # It may have been answered, and the answer be lost.
            self._unheard = self._unheard or self._steal_number
        # Who leaves when nothing is left hears first whether there is anything.
        wait = WAIT_S if self.stay or self.phase else 0.0
        steal = wire.Steal(
            worker=self.me,
            client=self.me.id,
            number=self._next_number(),
            n=n,
            wait_ms=int(wait * 1000),
            stay=self.stay,
            replaces=self._unheard,
            slots=self.slots,
            waiting=self.away,
        )
        self._steal_number = steal.number if n else 0
        asked = now

        def then(it: Any) -> None:
            if self._parked is not None and self._parked[0] == number:
                self._parked, self._steal_number, self._unheard = None, 0, 0
            if isinstance(it, Refused):
                self._later(it)
                return
            if n and it.leases:
                self.pace.answered(min(time.monotonic() - asked, WAIT_S))
            self._took(it)
            if not self.stay and n and not it.leases and it.phase in OVER:
                self.finished = self.idle()
                self._not_before = time.monotonic() + 0.05

        number = self.link.ask(wire.Request(steal=steal), then, wait)
        self._parked, self._parked_away = (number, n, now), self.away

    def _took(self, it: Any) -> None:
        known = self._told_of() if it.leases else set()
        for lease in it.leases:
            held = Held(lease)
            # The answer to a repeat may tell again what is here already, or has been here.
            if held.key not in self.held and held.key not in known:
                self.held[held.key] = held
                self.queue.append(held)
        self.phase, self.not_done = it.phase, it.not_done
        self._told(it)
        if self.draining and self.queue:
            self.drain()
        self._go_away(it.away_ms / 1000)

    def _go_away(self, away_s: float) -> None:
        """Leaves its connections to others, unless there is something that the hub has to hear."""
        if away_s and self.idle() and not self.draining and self._leaving is None:
            # Not all at the same moment.
            self.link.go_away(time.monotonic() + min(away_s, AWAY_S_MAX) * random.uniform(0.5, 1.5))

    def _told_of(self) -> set[Key]:
        """What has ended or is given back, and the hub may not know it yet."""
        outcomes = {(it.name, it.attempt) for it in (*self._ended, *self._reporting)}
        return outcomes.union((it.name, it.attempt) for it in (*self._give_back, *self._releasing))

    def _later(self, error: Refused) -> None:
        if isinstance(error, Busy):
            self._not_before = time.monotonic() + PAUSE_S
        elif not isinstance(error, NotFound):
            self.error = error

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _ahead(self, now: float) -> int:
        if self.draining:
            return 0
        return self.pace.ahead(self.slots, now) if self.ahead_fixed is None else self.ahead_fixed

    def _free(self, now: float) -> int:
        """How many more tasks to take."""
        if self.draining or self.stopping or len(self._ended) + len(self._reporting) > 20_000:
            return 0
        return max(0, self.slots + self.away + self._ahead(now) - len(self.held))

    def _give_back_surplus(self, now: float) -> None:
        """What will not start soon others may have: the tasks here have turned long."""
        surplus = min(len(self.held) - self.away - self.slots - self._ahead(now), len(self.queue))
        if surplus <= 0 or self.ahead_fixed is not None:
            self._surplus_since = None
            return
        if self._surplus_since is None:
            self._surplus_since = now
        if now < self._surplus_since + SURPLUS_S:
            return
        self._surplus_since = None
        for _ in range(surplus):
            held = self.queue.pop()
            if self.held.pop(held.key, None) is not None:
                self._give_back.append(wire.Attempt(name=held.key[0], attempt=held.key[1]))
