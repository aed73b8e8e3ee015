"""The processes of a pool, and the way between them and the hub: what is given to which, what is taken back from it,
which one is ended.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import zmq

from dhub import door, nursery
from dhub._wire import hub_pb2 as wire
from dhub.errors import NoHub
from dhub.find import Target
from dhub.halt import Halt
from dhub.nursery import say
from dhub.pool import Held, Key, Pool
from dhub.runner import killed_by
from dhub.slot import BACK, ENDED, REFUSED, Slot

AHEAD_S, AHEAD_MAX = 0.02, 64
"""What a process is given beyond the task that it runs: what it ends within this time, and how many at most."""
STUCK_S = 0.1
"""When one task takes so long, what waits behind it is taken back."""
AGAIN_S = 0.001
"""When a process could not say what it has begun, it is asked again."""
NAP_S = 0.002
"""Results that come within this time are looked at together, while every process has something to do."""
TERM_S = 5.0
"""Between SIGTERM and SIGKILL."""
AWAY_MAX = 200
"""So many calls of one pool can wait for other calls at the same time."""


class Crew:
    """The pool's processes, and the way between them and the hub."""

    def __init__(
        self,
        target: Target,
        name: str,
        slots: int,
        stay: bool,
        ahead: int | None,
        order: nursery.Order,
        halt: Halt | None = None,
        patience_s: float = float("inf"),
    ) -> None:
        self.order, self.jobs, self.halt, self.target = order, slots, halt, target
        self.first_answer_by = time.monotonic() + patience_s
        self.pool = Pool(target, name, slots, stay=stay, ahead=ahead)
        self.pool.in_hand = self._in_hand
        self.slots: dict[int, Slot] = {}
        self.poller = zmq.Poller()
        self.polled: list[Any] = []
        self.signals = 0
        self.stuck_at = 0.0
        self.leaving = False
        self.has_halted = self.has_told = False
        """So many tasks failed here that it leaves, and has said so."""
        self.is_torn = False
        """Something could not be taken back just now."""

    def run(self) -> None:
        """Until it is told to leave, or, with `--until-done`, nothing is left to do.

        Raises `NoHub` if none has answered within its patience; one that has, may come back whenever it likes.
        """
        pool = self.pool
        wake, wakened = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wakened, False)
        signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
        for number in nursery.stopping():
            signal.signal(number, self._signal)
        self._staff()
        while not pool.finished:
            pool.step()
            if not pool.is_welcome and time.monotonic() > self.first_answer_by:
                raise door.explain(NoHub(f"no hub answers at {self.target.place}"), self.target)
            self._tell()
            self.is_torn = False
            self._halt()
            if pool.draining:
                self._take_back(True)
                pool.drain()
                if not any(slot.given for slot in self.slots.values()) and pool.idle():
                    break
            if pool.stopping or self.signals > 1:
                break
            self._lost()
            self._limits()
            self._staff()
            self._give()
            timeout = min(pool.next_step(), self._next_limit())
            if not pool.is_welcome:
                timeout = min(timeout, max(0.0, self.first_answer_by - time.monotonic()))
            if self._busy() and timeout > NAP_S:
                time.sleep(NAP_S)
            self._poll(wake, timeout)

    def leave(self) -> None:
        """Ends what runs, then gives back everything."""
        self.leaving = True
        for slot in self.slots.values():
            if slot.given:
                self.order.kill(slot.pid, signal.SIGTERM)
            slot.close()
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
        open_ = [slot for slot in self.slots.values() if not slot.is_closed]
        wanted = [*self.pool.link.sockets(), self.order.control, wake, *(slot.end for slot in open_)]
        if wanted != self.polled:
            self.poller, self.polled = zmq.Poller(), wanted
            for it in wanted:
                self.poller.register(it, zmq.POLLIN)
        ready = dict(self.poller.poll(int(timeout * 1000) + 1 if timeout else 0))
        if wake in ready:
            os.read(wake, 4096)
        for slot in open_:
            if slot.end.fileno() in ready or slot.end in ready:
                self._hear(slot)
        if self.order.control.fileno() in ready or self.order.control in ready:
            self._died()

    def _hear(self, slot: Slot) -> None:
        """What it has to tell: mostly what has ended there."""
        for news in slot.news():
            if news.kind == ENDED:
                self._set_away(slot, False)
                self.pool.ended(news.held.key, news.outcome, news.ran, news.file)
            elif news.kind == REFUSED:
                self.pool.put_back([news.held])
            else:
                self._set_away(slot, news.kind != BACK)

    def _set_away(self, slot: Slot, away: bool) -> None:
        self.pool.away += away - slot.away
        slot.away = away

    def _died(self) -> None:
        for news in self.order.news():
            slot = self.slots.get(news["slot"])
            if slot is None:
                continue
            if "status" not in news:
                slot.pid = news["pid"]
                continue
            if not slot.is_closed:
                self._hear(slot)
            self._set_away(slot, False)
            ran, back = slot.died()
            for held in ran:
                self.pool.ended(held.key, self._crashed(held, slot, news["status"]), time.monotonic() - held.since)
            self.pool.put_back(back)
            if not slot.is_closed:
                slot.close()
            slot.ledger.close()
            del self.slots[slot.number]
        if not self.leaving:
            self._staff()

    def _crashed(self, held: Held, slot: Slot, status: int) -> wire.Outcome | None:
        if self.leaving or slot.gives_back:
            return None
        reason = slot.why or (killed_by(-status) if status < 0 else f"the process ended with exit code {status}")
        return wire.Outcome(
            name=held.key[0],
            attempt=held.key[1],
            result=wire.RESULT_FAILED,
            exit_code=128 - status if status < 0 else status,
            reason=reason,
        )

    def _staff(self) -> None:
        """As many processes as there are slots, and one more for each call that waits for others."""
        present = [slot for slot in self.slots.values() if not slot.away and not slot.is_closed]
        for _ in range(min(self.jobs - len(present), self.jobs + AWAY_MAX - len(self.slots))):
            number = next(number for number in range(len(self.slots) + 1) if number not in self.slots)
            self.slots[number] = Slot(number, *self.order.fork(number))
        for slot in sorted(present, key=lambda slot: -slot.number)[: max(0, len(present) - self.jobs)]:
            if not slot.given and not slot.killed_at:
                slot.close()
        # One at a time: who is ended makes room once it is gone.
        is_full = len(self.slots) >= self.jobs + AWAY_MAX and not any(it.killed_at for it in self.slots.values())
        if self.pool.away and not present and is_full:
            last = max((slot for slot in self.slots.values() if slot.given), key=lambda slot: _since(slot))
            self._kill(last, f"more than {AWAY_MAX} calls of this pool wait for other calls: no process is left for those")

    def _give(self) -> None:
        """To those that have the least first, so that none waits while another has several."""
        pool = self.pool
        if not pool.queue:
            return
        takers = sorted(self._takers(), key=lambda slot: slot.number)[: self.jobs]
        deep = 1 + pool.pace.soon(time.monotonic(), AHEAD_S, AHEAD_MAX)
        full: set[int] = set()
        for depth in range(deep):
            for slot in takers:
                if len(slot.given) <= depth and slot.number not in full:
                    held = pool.take()
                    if held is None:
                        return
                    if not slot.give(held):
                        full.add(slot.number)
                        pool.put_back([held])

    def _takers(self) -> Iterator[Slot]:
        return (slot for slot in self.slots.values() if not (slot.away or slot.killed_at or slot.is_closed))

    def _in_hand(self) -> Iterator[Key]:
        return (held.key for slot in self.slots.values() for held in slot.given.values())

    def _busy(self) -> bool:
        return all(len(slot.given) > 4 for slot in self._takers())

    def _take_back(self, all_: bool) -> None:
        """What waits behind a long task, or one that waits itself."""
        now = time.monotonic()
        for slot in self.slots.values():
            first = slot.first()
            if len(slot.given) > 1 and first is not None and (all_ or slot.away or now - first.since > STUCK_S):
                self._settle(slot)

    def _settle(self, slot: Slot) -> bool:
        """Takes back what it has not begun, and knows from then on what it runs. False: it is to be asked again."""
        if not slot.is_closed:
            self._hear(slot)
        back = slot.take_back()
        if back is None:
            self.is_torn = True
            return False
        self.pool.put_back(back)
        return True

    def _lost(self) -> None:
        """What was cancelled, or is somebody else's by now."""
        now = time.monotonic()
        if now >= self.stuck_at or self.pool.away:
            self.stuck_at = now + STUCK_S
            self._take_back(False)
        lost, self.pool.lost = self.pool.lost, []
        for key in lost:
            for slot in self.slots.values():
                if any(held.key == key for held in slot.given.values()):
                    if not self._settle(slot):
                        self.pool.lost.append(key)
                    elif slot.is_running(key):
                        self._kill(slot, "it was taken back")

    def _limits(self) -> None:
        """What takes longer than it may, and what does not heed SIGTERM."""
        now = time.monotonic()
        for slot in self.slots.values():
            first = slot.first()
            if slot.killed_at:
                if now > slot.killed_at + TERM_S or first is None:
                    self.order.kill(slot.pid, signal.SIGKILL)
                    slot.killed_at = now
            elif first is not None and first.lease.time_limit_ms:
                limit = first.lease.time_limit_ms / 1000
                if now > first.since + limit and self._settle(slot) and slot.is_running(first.key):
                    self._kill(slot, f"timed out after {_exact(limit)}")

    def _halt(self) -> None:
        """Leaves when it has enough of failures: says so once, and then ends what runs if that is wanted."""
        pool, halt = self.pool, self.halt
        if halt is None or pool.stopping:
            return
        if not (self.has_halted or pool.draining) and halt.is_due(len(pool.failing), pool.done):
            self.has_halted, pool.draining = True, True
        if self.has_halted and not self.has_told:
            # What is said is to stay true: of what its processes have in hand only that goes on which has begun.
            given = [slot for slot in self.slots.values() if slot.given]
            if not all([self._settle(slot) for slot in given]):
                return
            for slot in given:
                if not slot.is_closed:
                    self._hear(slot)
            self.has_told = True
            running = _count(sum(1 for slot in self.slots.values() if slot.given), "running task")
            failed = f"{_count(len(pool.failing), 'task')} failed here"
            pool.tell(f"{failed}; steals no more")
            then = f"ends {running}, gives all back" if halt.now else f"finishes {running}, gives the rest back"
            say(f"{failed} (--halt {halt}; dquery list --failed); {then}")
        if self.has_halted and halt.now:
            for slot in self.slots.values():
                if slot.given and not slot.killed_at and self._settle(slot) and slot.given:
                    slot.gives_back = True
                    self._kill(slot, "")

    def _next_limit(self) -> float:
        now, at = time.monotonic(), float("inf")
        if self.is_torn:
            at = now + AGAIN_S
        for slot in self.slots.values():
            first = slot.first()
            if slot.killed_at:
                at = min(at, slot.killed_at + TERM_S)
            elif first is not None:
                if len(slot.given) > 1:
                    at = min(at, now + STUCK_S)
                if first.lease.time_limit_ms:
                    at = min(at, first.since + first.lease.time_limit_ms / 1000)
        return max(0.0, at - now)

    def _kill(self, slot: Slot, why: str) -> None:
        """Nothing is given to it any more, and what it runs ends."""
        if not slot.killed_at:
            slot.killed_at, slot.why = time.monotonic(), why
            self.order.kill(slot.pid, signal.SIGTERM)

    def _tell(self) -> None:
        while self.pool.refused:
            refused = self.pool.refused.pop()
            say(f"{refused.names[0]}: its outcome came too late: {refused}")

    def _signal(self, number: int, frame: object) -> None:
        self.signals += 1
        if self.signals == 1:
            say(f"{signal.Signals(number).name}: what runs may end")
        self.pool.draining = True


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _exact(seconds: float) -> str:
    """0.3 s, 1 m 30 s, 2 h: as the other programs say it."""
    above = [(int(seconds // 86_400), "d"), (int(seconds % 86_400 // 3600), "h"), (int(seconds % 3600 // 60), "m")]
    parts = [f"{count} {unit}" for count, unit in above if count]
    return " ".join(parts + ([f"{seconds % 60:g} s"] if seconds % 60 or not parts else []))


def _since(slot: Slot) -> float:
    first = slot.first()
    return first.since if first is not None else 0.0
