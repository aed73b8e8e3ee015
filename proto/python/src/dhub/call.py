"""`python3 -m dhub.call`: makes one call, whose arguments are on standard input. That is the command of the executor's
tasks, so that any kworker can run them, at the price of one interpreter each.

`dhub.worker` makes the same calls in processes that are there already.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from pathlib import Path

from dhub import payload
from dhub.errors import AccessError
from dhub.find import ALL_ROLES, Access
from dhub.hub import Hub

COMMAND = "python3 -m dhub.call"
OUTPUT_BYTES_MAX = 12_000
"""Below what a kworker keeps of the output of a task, unless it is told otherwise."""


def results(names: list[str]) -> dict[str, payload.Result]:
    """What tasks that are done have left."""
    with Hub(timeout=60.0) as hub:
        ended = hub.wait_for(names)
    left = {}
    for name, it in ended.items():
        attempt = it.attempt
        if attempt is None:
            left[name] = payload.Result(name, 0, "", b"")
        else:
            left[name] = payload.Result(name, attempt.attempt, attempt.key, attempt.output)
    return left


@functools.lru_cache(maxsize=1)
def is_guest() -> bool:
    """Has this worker a key with fewer than all roles? Then nobody unpickles what it hands in, unless they trust it."""
    file = os.environ.get("DHUB_ACCESS")
    try:
        return bool(file) and Access(Path(os.path.abspath(file or ""))).roles != ALL_ROLES
    except AccessError:
        return False


def main() -> int:
    # The call may close its own.
    output = os.dup(1)
    made = payload.run_call(sys.stdin.buffer.read(), results, OUTPUT_BYTES_MAX, is_guest())
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    # The end of the output is the result: nothing may come after it.
    rest = memoryview(made.output)
    while rest:
        rest = rest[os.write(output, rest) :]
    os._exit(made.exit_code)


if __name__ == "__main__":
    main()
