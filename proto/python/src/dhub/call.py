"""`python3 -m dhub.call`: makes one call, whose arguments are on standard input. That is the command of the executor's
tasks, so that any kworker can run them, at the price of one interpreter each.

`dhub.worker` makes the same calls in processes that are there already.
"""

from __future__ import annotations

import os
import sys

from dhub import payload
from dhub.hub import Hub

COMMAND = "python3 -m dhub.call"
OUTPUT_BYTES_MAX = 12_000
"""Below what a kworker keeps of the output of a task, unless it is told otherwise."""


def results(names: list[str]) -> dict[str, bytes]:
    """The outputs of tasks that are done."""
    with Hub(timeout=60.0) as hub:
        ended = hub.wait_for(names)
    return {name: it.attempt.output if it.attempt is not None else b"" for name, it in ended.items()}


def main() -> int:
    task, attempt = os.environ.get("DHUB_TASK", "call"), int(os.environ.get("DHUB_ATTEMPT", "0"))
    done, output, _ = payload.run_call(sys.stdin.buffer.read(), task, attempt, results, OUTPUT_BYTES_MAX)
    sys.stdout.flush()
    sys.stderr.flush()
    # The end of the output is the result: nothing may come after it.
    rest = memoryview(output)
    while rest:
        rest = rest[os.write(1, rest) :]
    os._exit(0 if done else 1)


if __name__ == "__main__":
    main()
