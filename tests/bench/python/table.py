"""Runs the cases in turn and prints the table of docs/performance.md: `python table.py N RUNS`."""

from __future__ import annotations

import json
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


def run(case: str, n: int) -> object:
    command = [sys.executable, str(Path(__file__).with_name("cases.py")), case, str(n)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{case} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(n: int, runs: int) -> None:
    rates: dict[str, list[float]] = {case: [] for case in CASES}
    for turn in range(runs):
        for case in CASES:
            rates[case].append(n / run(case, n))  # type: ignore[operator]
            print(f"{turn + 1}/{runs} {case}: {rates[case][-1]:,.0f} calls a second", file=sys.stderr, flush=True)
    medians = {case: statistics.median(found) for case, found in rates.items()}
    print(f"{n:,} calls of a function that does nothing, 2 worker processes, median of {runs} runs in turn:\n")
    print("| way | calls a second (min to max) | dhub's rate by it | must |\n| --- | --- | --- | --- |")
    for case, words in CASES.items():
        by = medians["dhub_chunks" if case.endswith("_chunks") else "dhub_map"] / medians[case]
        ratio = "" if case.startswith(("dhub", "one")) else f"{by:.2f}"
        low, high = min(rates[case]), max(rates[case])
        print(f"| {words} | {medians[case]:,.0f} ({low:,.0f} to {high:,.0f}) | {ratio} | {MUST.get(case, '')} |")
    times = run("overhead", 0)
    assert isinstance(times, dict)
    print("\nOne request at a time, medians in µs:\n\n| request | bare socket | `dhub.Hub` | more | must |\n| --- | --- | --- | --- | --- |")
    for words, kind in (("complete and steal", ""), ("hello", " hello")):
        bare, hub = times[f"bare{kind}"], times[f"hub{kind}"]
        print(f"| {words} | {bare:.0f} | {hub:.0f} | {hub - bare:.0f} | 100 |")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
