"""Runs the cases in turn and prints the table of docs/performance.md: `python table.py N RUNS`."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
from pathlib import Path

CASES = {
    "dhub_map": "`DhubExecutor.map`, a task for each item",
    "process_pool": "`ProcessPoolExecutor.map`",
    "dask": "`dask.distributed`, LocalCluster",
    "dispy": "`dispy`, JobCluster",
    "dhub_chunks": "`DhubExecutor.map(chunksize=64)`",
    "process_pool_chunks": "`ProcessPoolExecutor.map(chunksize=64)`",
    "one_at_a_time": "`submit(f).result()`, one after the other",
}
MUST = {"dask": 8, "dispy": 15}


TIMEOUT_S = {"dispy": 30}
"""Its node loses a job now and then, and then waits for ever: such runs are repeated."""
TRIES = {"dispy": 5}


def run(case: str, n: int) -> object:
    command = [sys.executable, str(Path(__file__).with_name("cases.py")), case, str(n)]
    said = ""
    for _ in range(TRIES.get(case, 1)):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            try:
                out, said = process.communicate(timeout=TIMEOUT_S.get(case, 600))
                if process.returncode == 0:
                    return json.loads(out.splitlines()[-1])
            except subprocess.TimeoutExpired:
                said = "it takes too long"
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
    sys.exit(f"{case} failed:\n{said[-3000:]}")


def main(n: int, runs: int) -> None:
    rates: dict[str, list[float]] = {case: [] for case in CASES}
    for turn in range(runs):
        for case in CASES:
            rates[case].append(n / run(case, n))  # type: ignore[operator]
            print(f"{turn + 1}/{runs} {case}: {rates[case][-1]:,.0f} calls a second", file=sys.stderr, flush=True)
    medians = {case: statistics.median(found) for case, found in rates.items()}
    print(f"{n:,} calls of a function that does nothing, 2 worker processes, median of {runs} runs in turn:\n")
    print("dispy: 500 calls that sleep 3 ms, which is taken off; it loses calls that end at once.\n")
    print("| way | calls a second (min to max) | dhub's rate by it | must |\n| --- | --- | --- | --- |")
    for case, words in CASES.items():
        by = medians["dhub_chunks" if case.endswith("_chunks") else "dhub_map"] / medians[case]
        ratio = "" if case.startswith(("dhub", "one")) else f"{by:.2f}"
        low, high = min(rates[case]), max(rates[case])
        print(f"| {words} | {medians[case]:,.0f} ({low:,.0f} to {high:,.0f}) | {ratio} | {MUST.get(case, '')} |")
    times = run("overhead", 0)
    assert isinstance(times, dict)
    print(
        "\nOne request at a time, medians in µs:\n\n| request | bare socket | `dhub.Hub` | more | must |\n| --- | --- | --- | --- | --- |"
    )
    for words, kind in (("complete and steal", ""), ("hello", " hello")):
        bare, hub = times[f"bare{kind}"], times[f"hub{kind}"]
        print(f"| {words} | {bare:.0f} | {hub:.0f} | {hub - bare:.0f} | 100 |")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
