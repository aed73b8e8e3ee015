"""Map and reduce over files: the most frequent words of a directory.

    python words.py DIRECTORY

Each file is counted by a task, and a tree of tasks adds the counts up, eight at a time. The counts go from worker to
worker: futures are arguments. Only the last one comes here.
"""

import pathlib
import re
import sys
from collections import Counter

import dhub


def count(path: str) -> Counter[str]:
    text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    return Counter(re.findall(r"[a-z]+", text.lower()))


def add(counts: list[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


def main(directory: str) -> None:
    files = sorted(str(path.absolute()) for path in pathlib.Path(directory).rglob("*.txt"))
    with dhub.DhubExecutor(retries=1) as executor:
        counts = [executor.submit(count, path) for path in files]
        while len(counts) > 1:
            counts = [executor.submit(add, counts[at : at + 8]) for at in range(0, len(counts), 8)]
        for word, times in counts[0].result().most_common(3):
            print(f"{times:6} {word}")


if __name__ == "__main__":
    main(sys.argv[1])
