"""A hub and a pool whose tasks turn from short to just so long that what waits behind them is taken back.

    DHUB_BIN=DIRECTORY python lost.py [--rounds N | --seconds S] [--seed N]

Meanwhile its processes are stopped and go on, and some tasks are cancelled. Exit code 1: a task has no result, has run
twice, or was not cancelled and did not run.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import deeds

import dhub

PATIENCE_S = 30.0
TASKS = 24


def stop_and_go(worker: int, chance: random.Random, over: threading.Event) -> None:
    """The processes of the pool, one at a time, for some milliseconds each."""
    while not over.wait(chance.random() * 0.5):
        with suppress(OSError, IndexError):
            nursery = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
            pid = int(chance.choice(nursery))
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.random() * 0.01)
            os.kill(pid, signal.SIGCONT)


def one_round(executor: Any, hub: dhub.Hub, log: Path, number: int, chance: random.Random) -> list[str]:
    """What went wrong."""
    list(executor.map(abs, range(300)))
    lengths = [0.0999 + 0.0005 * (i % 5) if chance.random() < 0.9 else chance.random() * 0.01 for i in range(TASKS)]
    futures: list[Any] = [executor.submit(deeds.note, str(log), lengths[i], (number, i)) for i in range(TASKS)]
    cancelled = [i for i in range(TASKS) if chance.random() < 0.05]
    for i in cancelled:
        time.sleep(chance.random() * 0.02)
        with suppress(dhub.DhubError):
            hub.cancel(futures[i].name)
    left: set[Any] = concurrent.futures.wait(futures, PATIENCE_S).not_done
    wrong = [f"{future.name} has no result after {PATIENCE_S:g} s" for future in left]
    ran = Counter(log.read_text().splitlines())
    for i, future in enumerate(futures):
        times = ran[str((number, i))]
        if times > 1 or (times == 0 and future.done() and not future.cancelled()):
            wrong.append(f"{future.name} ran {times} times")
    log.unlink()
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    chance, begin = random.Random(chosen.seed), time.monotonic()
    wrong: list[str] = []
    rounds = 0
    with TemporaryDirectory(prefix="dhub-lost-") as name:
        home = Path(name)
        (home / "run").mkdir(mode=0o700)
        os.environ.update(DHUB_DIR=str(home / "keys"), XDG_RUNTIME_DIR=str(home / "run"))
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        with open(home / "programs.log", "ab") as said:
            program = Path(os.environ["DHUB_BIN"]) / "dhub"
            server = subprocess.Popen([program, "--local", "-f", home / "run.db"], stderr=said)
            worker = subprocess.Popen([sys.executable, "-m", "dhub.worker", "-j", "2", "--timeout", "60"], stderr=said)
        over = threading.Event()
        enemy = threading.Thread(target=stop_and_go, args=(worker.pid, random.Random(chosen.seed), over))
        try:
            with dhub.Hub(timeout=60) as hub, dhub.DhubExecutor(timeout=60) as executor:
                executor.submit(abs, 1).result(PATIENCE_S)
                enemy.start()
                while rounds < chosen.rounds and time.monotonic() < begin + chosen.seconds and not wrong:
                    wrong = one_round(executor, hub, home / "log", rounds, chance)
                    rounds += 1
                if wrong:
                    hub.cancel(states=[dhub.State.WAITING, dhub.State.READY, dhub.State.RUNNING])
        finally:
            over.set()
            for process in (worker, server):
                process.terminate()
                process.wait()
    for line in wrong:
        print(line)
    print(f"{len(wrong)} wrong of {rounds * TASKS} tasks in {rounds} rounds, {time.monotonic() - begin:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
