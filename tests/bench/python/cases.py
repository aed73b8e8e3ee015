"""One way to map a function that does nothing, measured once: `python cases.py CASE N` prints a line of JSON.

Two worker processes each; to start and stop them does not count, and each has run some calls before.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from noop import NAP_S, nap, noop

WARM = 200
CHUNK = 64
WORKERS = 2
ONE_AT_A_TIME = 1000
DISPY_CALLS = 500


def timed(run: Callable[[int], list[int]], n: int) -> float:
    """Seconds for n calls."""
    assert run(WARM) == list(range(WARM))
    begin = time.perf_counter()
    values = run(n)
    seconds = time.perf_counter() - begin
    assert values == list(range(n))
    return seconds


@contextmanager
def hub() -> Iterator[Path]:
    """A hub with a file, where `DHUB_BENCH_DIR` says: a disk, not memory."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("DHUB_BENCH_DIR")) as name:
        home = Path(name)
        with tempfile.TemporaryDirectory(prefix="dhub-") as run:
            os.environ.update(DHUB_DIR=str(home / "keys"), XDG_RUNTIME_DIR=run)
            command = [os.environ["DHUB_BENCH_HUB"], "--local", "-f", str(home / "run.db")]
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                yield home
            finally:
                server.terminate()
                server.wait()


@contextmanager
def executor() -> Iterator[Any]:
    import dhub

    with hub(), dhub.DhubExecutor() as it:
        worker = subprocess.Popen([sys.executable, "-m", "dhub.worker", "-j", str(WORKERS)], stderr=subprocess.DEVNULL)
        try:
            yield it
        finally:
            worker.terminate()
            worker.wait()


def dhub_map(n: int) -> float:
    with executor() as pool:
        return timed(lambda n: list(pool.map(noop, range(n))), n)


def dhub_chunks(n: int) -> float:
    with executor() as pool:
        return timed(lambda n: list(pool.map(noop, range(n), chunksize=CHUNK)), n)


def process_pool(n: int) -> float:
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(WORKERS) as pool:
        return timed(lambda n: list(pool.map(noop, range(n))), n)


def process_pool_chunks(n: int) -> float:
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(WORKERS) as pool:
        return timed(lambda n: list(pool.map(noop, range(n), chunksize=CHUNK)), n)


def dask(n: int) -> float:
    from distributed import Client, LocalCluster

    options = {"n_workers": WORKERS, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        return timed(lambda n: client.gather(client.map(noop, range(n), pure=False)), n)


def dispy(n: int) -> float:
    import dispy as peer

    # It leaves files, and what a run that was killed has left stops the next one.
    place = tempfile.mkdtemp()
    os.chdir(place)
    node = subprocess.Popen(
        [
            sys.executable,
            Path(sys.executable).parent / "dispynode.py",
            *("--cpus", str(WORKERS), "--host", "127.0.0.1", "--clean", "--daemon", "--dest_path_prefix", place),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        cluster = peer.JobCluster(nap, nodes=["127.0.0.1"], host="127.0.0.1")

        def run(n: int) -> list[int]:
            jobs = [cluster.submit(x) for x in range(n)]
            return [job() for job in jobs]

        # Longer runs hardly ever come to their end. What the calls sleep is taken off.
        few = min(n, DISPY_CALLS)
        seconds = (timed(run, few) - few * NAP_S / WORKERS) * n / few
        cluster.close()
        return seconds
    finally:
        node.terminate()
        node.wait()


def overhead(n: int) -> dict[str, float]:
    """Microseconds: complete and steal by `dhub.Hub`, and by frames made beforehand over a bare socket; also Hello."""
    import dhub
    import zmq
    from dhub._wire import hub_pb2 as wire

    n = ONE_AT_A_TIME
    found: dict[str, list[float]] = {"bare": [], "hub": [], "bare hello": [], "hub hello": []}
    with hub(), dhub.Hub(worker="bare") as client:
        bare = zmq.Context().socket(zmq.REQ)
        bare.connect(client.target.endpoint)
        worker = wire.Worker(name="bare")
        for turn in range(5):
            for kind in ("bare", "hub"):
                names = [f"{kind}-{turn}-{i}" for i in range(n + 1)]
                client.create_many(names)
                client.steal(1)
                if kind == "bare":
                    frames = []
                    for number, name in enumerate(names[:-1], turn * n + 1):
                        outcome = wire.Outcome(name=name, result=wire.RESULT_DONE, attempt=1)
                        complete = wire.Complete(
                            worker=worker, outcomes=[outcome], want=1, client=b"b" * 16, number=number
                        )
                        frames.append(wire.Request(complete=complete).SerializeToString())
                    for frame in frames:
                        begin = time.perf_counter()
                        bare.send(frame)
                        bare.recv()
                        found[kind].append((time.perf_counter() - begin) * 1e6)
                else:
                    for name in names[:-1]:
                        begin = time.perf_counter()
                        client.report([dhub.Outcome(name, 1)], want=1)
                        found[kind].append((time.perf_counter() - begin) * 1e6)
                client.complete(dhub.Lease(names[-1], 1, "", None, 0, "", {}, b""))
            hello = wire.Request(hello=wire.Hello()).SerializeToString()
            for _ in range(n):
                begin = time.perf_counter()
                bare.send(hello)
                bare.recv()
                between = time.perf_counter()
                client.hello()
                found["bare hello"].append((between - begin) * 1e6)
                found["hub hello"].append((time.perf_counter() - between) * 1e6)
        assert client.status().counts.done == 10 * (n + 1), client.status().counts
        bare.close(0)
    return {kind: statistics.median(times) for kind, times in found.items()}


def one_at_a_time(n: int) -> float:
    """Seconds for n calls, each submitted when the one before is back."""
    with executor() as pool:
        return timed(lambda n: [pool.submit(noop, x).result() for x in range(n)], ONE_AT_A_TIME) * n / ONE_AT_A_TIME


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](int(sys.argv[2]))))
