"""Tasks that add tasks: the integral of a function, finer where it is needed.

    python adaptive.py

Each call looks at an interval. If two halves say about the same as the whole, its value is known; else it adds two
tasks, for the halves. Nobody knows beforehand how many there will be; the program waits until the hub has none left,
and adds up what they found.
"""

import math
import uuid
from typing import Optional

import dhub


def f(x: float) -> float:
    return math.exp(-100 * (x - 0.3) ** 2)


def simpson(a: float, b: float) -> float:
    return (b - a) / 6 * (f(a) + 4 * f((a + b) / 2) + f(b))


def look(job: dhub.Job) -> Optional[str]:
    """The value of an interval, or two more tasks. The name says which: RUN:A:B."""
    run, a, b = job.name.split(":")[0], *map(float, job.name.split(":")[1:])
    middle = (a + b) / 2
    whole, halves = simpson(a, b), simpson(a, middle) + simpson(middle, b)
    if abs(whole - halves) < 1e-9 * (b - a):
        return repr(halves)
    # Names that say all: when this task runs a second time, they are there already, which is no error.
    dhub.Hub().create_many([f"{run}:{a!r}:{middle!r}", f"{run}:{middle!r}:{b!r}"])
    return None


def main() -> None:
    hub = dhub.Hub()
    run = f"integral-{uuid.uuid4().hex[:8]}"
    hub.create(f"{run}:0.0:1.0")
    # Start this line in as many processes as you like; here is one.
    tally = dhub.work(look, until_done=True)
    names = [it.name for it in hub.tasks(states=[dhub.State.DONE]) if it.name.startswith(run)]
    outputs = (it.attempt.output for it in hub.wait_for(names).values() if it.attempt is not None)
    total = sum(float(output) for output in outputs if output)
    exact = math.sqrt(math.pi) / 20 * (math.erf(7) + math.erf(3))
    print(f"{tally.done} tasks, integral {total:.7f}, should be {exact:.7f}")


if __name__ == "__main__":
    main()
