"""Compares what a suite came to with the table of what differs, and why: `compare.py SUITE < outcomes`.

Exit code 1: something failed that the table does not explain, or nothing ran.
"""

from __future__ import annotations

import collections
import fnmatch
import sys
from pathlib import Path


def table(suite: str) -> list[tuple[str, str]]:
    """Patterns of tests, and why those do not pass."""
    rows = []
    for line in (Path(__file__).parent / "differs.md").read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0] == suite:
            rows.append((cells[1].replace("[", "[[]"), cells[2]))
    return rows


def main() -> int:
    suite, rows = sys.argv[1], table(sys.argv[1])
    counts: collections.Counter[str] = collections.Counter()
    for line in sys.stdin:
        words = line.rstrip("\n").split(" ", 2)
        if len(words) < 2 or words[0] not in ("passed", "failed", "skipped"):
            continue
        outcome, name, why = words[0], words[1], words[2] if len(words) > 2 else ""
        reason = next((reason for pattern, reason in rows if fnmatch.fnmatchcase(name, pattern)), None)
        if outcome == "failed" and reason is not None:
            outcome = "differs"
            print(f"{suite}: differs: {name}: {reason}")
        elif outcome == "failed":
            print(f"{suite}: FAILED: {name}: {why}")
        elif outcome == "passed" and reason is not None:
            print(f"{suite}: passes here, though the table has it: {name}")
        counts[outcome] += 1
    print(f"{suite}: " + ", ".join(f"{counts[it]} {it}" for it in ("passed", "differs", "failed", "skipped")))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
