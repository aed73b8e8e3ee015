"""A pipeline with failures: three steps for each item, some of which fail.

    python pipeline.py

A step that fails is tried again (`retries`). What it does not get right then is skipped from there on, and the other
items are not held up.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, as_completed

import dhub


def fetch(item: int) -> bytes:
    attempt = int(os.environ["DHUB_ATTEMPT"])
    if item == 2 and attempt == 1:
        raise ConnectionError("the server is busy")  # passes at the second try
    if item == 3:
        raise FileNotFoundError(f"there is no item {item}")
    return b"x" * item * 1000


def measure(data: bytes) -> int:
    if len(data) == 5000:
        os.abort()  # a crash of the interpreter, as a bug in a library would be
    return len(data)


def store(item: int, size: int) -> str:
    return f"item {item}: {size} bytes"


def main() -> None:
    with dhub.DhubExecutor(retries=1) as executor:
        stored: dict[Future[str], int] = {}
        for item in range(1, 7):
            data = executor.submit(fetch, item)
            stored[executor.submit(store, item, executor.submit(measure, data))] = item
        lines = []
        for future in as_completed(stored):
            try:
                lines.append(future.result())
            except dhub.TaskSkipped as skipped:
                lines.append(f"item {stored[future]}: skipped, {skipped.__cause__ or skipped}")
    print("\n".join(sorted(lines)))


if __name__ == "__main__":
    main()
