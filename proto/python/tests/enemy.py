"""The scheduler of the system as an enemy of what a worker and its processes agree upon. No hub.

    python enemy.py [--rounds N | --seconds S] [--seed N]

Each round gives some tasks to a process that runs them as fast as it can, and takes back what was not begun, at any
moment: the process shares a core with all the others, is stopped and goes on, and is killed. Each task has to be told
of once or to come back, never both, and to have run once or not at all. Exit code 1: one did not.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from dhub import call, payload, runner
from dhub._wire import hub_pb2 as wire
from dhub.ledger import Ledger
from dhub.nursery import pair
from dhub.pool import Held
from dhub.slot import Slot

PATIENCE_S = 60.0


def note(path: str, text: str) -> None:
    """What is called: a line of its own for each time."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{text}\n".encode())
    os.close(file)


class Enemy:
    """One process that runs tasks, and what became of those it was given."""

    def __init__(self, seed: int, home: Path) -> None:
        self.random = random.Random(seed)
        self.log = home / "log"
        self.told: Counter[str] = Counter()
        self.back: Counter[str] = Counter()
        self.crashed: Counter[str] = Counter()
        self.given = 0
        self.rounds = self.deaths = 0
        # All on one core: who runs, and when, is as bad as it can be.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        self.slot = self.start()

    def start(self) -> Slot:
        mine, theirs = pair()
        mine.setblocking(False)
        ledger = Ledger.new()
        slot = Slot(0, mine, ledger)
        slot.pid = os.fork()
        if slot.pid == 0:
            try:
                mine.close()
                # Importable by name, as what people call is.
                sys.path.insert(0, str(Path(__file__).parent))
                runner.work(theirs, Ledger(os.dup(ledger.descriptor)), 0)
            finally:
                os._exit(0)
        theirs.close()
        return slot

    def lease(self) -> wire.Lease:
        self.given += 1
        name = f"t-{self.given}"
        stdin, _ = payload.dumps_call(
            payload.ONE,
            payload.dumps(_note, "the function"),
            pickle.dumps(((str(self.log), name), {})),
            [],
            self.log.parent,
            (),
            name,
        )
        return wire.Lease(name=name, attempt=1, command=call.COMMAND, stdin=stdin)

    def hear(self) -> None:
        for news in self.slot.news():
            assert news.outcome is not None and news.outcome.result == wire.RESULT_DONE, news
            self.told[news.held.key[0]] += 1

    def pause(self) -> None:
        kind = self.random.randrange(4)
        if kind == 0:
            os.sched_yield()
        elif kind == 1:
            time.sleep(self.random.random() * 2e-4)
        elif kind == 2:
            for _ in range(self.random.randrange(300)):
                pass

    def round(self) -> None:
        self.rounds += 1
        slot = self.slot
        for _ in range(self.random.randrange(1, 9)):
            assert slot.give(Held(self.lease()))
            if not self.random.randrange(8):
                self.pause()
        self.pause()
        stopped = not self.random.randrange(4)
        if stopped:
            os.kill(slot.pid, signal.SIGSTOP)
        back = slot.take_back()
        if stopped:
            os.kill(slot.pid, signal.SIGCONT)
        until = time.monotonic() + PATIENCE_S
        while back is None:  # it was stopped just as it began one
            assert time.monotonic() < until
            back = slot.take_back()
        self.back.update(held.key[0] for held in back)
        if not self.random.randrange(200):
            self.kill()
        while self.slot.given and time.monotonic() < until:
            self.hear()
        assert not self.slot.given, "a task of which nothing is told"

    def kill(self) -> None:
        """As for a cancel: what has begun ends with it."""
        self.deaths += 1
        os.kill(self.slot.pid, signal.SIGKILL)
        os.waitpid(self.slot.pid, 0)
        self.hear()
        ran, back = self.slot.died()
        assert len(ran) <= 1
        self.crashed.update(held.key[0] for held in ran)
        self.back.update(held.key[0] for held in back)
        self.end()
        self.slot = self.start()

    def end(self) -> None:
        self.slot.close()
        self.slot.ledger.close()

    def wrong(self) -> list[str]:
        """Tasks of which not exactly one thing is true."""
        ran = Counter(self.log.read_text().split()) if self.log.exists() else Counter()
        wrong = []
        for number in range(1, self.given + 1):
            name = f"t-{number}"
            told, back, crashed = self.told[name], self.back[name], self.crashed[name]
            times = {1} if told else {0, 1} if crashed else {0}
            if told + back + crashed != 1 or ran[name] not in times:
                wrong.append(f"{name}: told {told}, taken back {back}, killed {crashed}, ran {ran[name]} times")
        return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    wrong: list[str] = []
    rounds = deaths = given = back = 0
    begin = time.monotonic()
    while rounds < chosen.rounds and time.monotonic() < begin + chosen.seconds and not wrong:
        with TemporaryDirectory(prefix="dhub-enemy-") as home:
            enemy = Enemy(chosen.seed + rounds, Path(home))
            while enemy.rounds < min(10_000, chosen.rounds - rounds) and time.monotonic() < begin + chosen.seconds:
                enemy.round()
            enemy.end()
            os.waitpid(enemy.slot.pid, 0)
            wrong = enemy.wrong()
            rounds, deaths = rounds + enemy.rounds, deaths + enemy.deaths
            given, back = given + enemy.given, back + sum(enemy.back.values())
    for line in wrong[:10]:
        print(line)
    print(f"{len(wrong)} wrong of {given} tasks in {rounds} rounds; {back} taken back, {deaths} processes killed")
    return 1 if wrong else 0


try:
    from enemy import note as _note  # what goes by the name of the main program nobody could import
except ImportError:
    _note = note

if __name__ == "__main__":
    sys.exit(main())
