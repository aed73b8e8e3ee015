"""`python -m dhub.worker -j 8`: a pool of processes that are there already, for the calls of `DhubExecutor`.

Other tasks it runs by `/bin/sh -c`, simpler than kworker does: processes in the background that hold its output are
waited for. What crashes the interpreter, or kills it, fails that task alone; another process takes its place.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys

from dhub import nursery
from dhub._version import __version__
from dhub.baseline import open_streams
from dhub.crew import Crew
from dhub.errors import AccessError, Denied, DhubError, HubFull, NoHub, Refused
from dhub.find import INSECURE, Unreachable, find
from dhub.halt import Halt
from dhub.model import Phase
from dhub.nursery import say
from dhub.runner import work


ANSWER_S = 1.0
"""A hub that is there may take so long for the first answer, however short the look for one is to be."""
TO_HAVE_ONE = "start it with: dhub -f FILE      another address: -s or DHUB_HUB      to wait for it: --timeout SECONDS"
SAID = (
    (r"\baccess='([^']*)'", r"--access \1"),
    (r"\bserver='([^']*)'", r"-s \1"),
    (r"\b(of|leave out) access=", r"\1 --access"),
    (r"\bwith access=", "with --access FILE"),
    (r"\bwithout access=", "without --access"),
    (r"\bserver= or access=", "-s or --access"),
    (r"\bserver= and insecure=True", "-s ENDPOINT --insecure"),
    (r"\binsecure=True", "--insecure"),
)
"""How errors mean it in Python, and how it is meant here."""


def as_options(error: Exception) -> str:
    text = str(error)
    for said, meant in SAID:
        text = re.sub(said, meant, text)
    return text


def _not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("a file is needed")
    return text


def options(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dhub.worker", description=(__doc__ or "").partition("\n\n")[2])
    add = parser.add_argument
    add("-j", "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)")
    add("-s", "--server", metavar="ENDPOINT", help="where the hub is [env: DHUB_HUB]")
    add("--access", type=_not_empty, metavar="FILE", help="an access file [env: DHUB_ACCESS]")
    add("--insecure", action="store_true", help="talk to a hub at -s that wants no key [env: DHUB_INSECURE=1]")
    add("--name", help="of the pool, for people (default: HOST:PID)")
    add("--until-done", action="store_true", help="leave when every task of the hub is finished, or stuck; at once if it has none")
    add(
        "--halt",
        type=Halt.parse,
        metavar="WHEN",
        help="soon or now, a comma, and fail=N or fail=N%%: leave, with exit code 1, when so many tasks have failed here, or so "
        "many percent of those that ended here (at least 3); soon: what runs may end, now: it is ended, and given back",
    )
    add("--ahead", type=int, metavar="N", help="hold so many tasks ahead (default: by measure)")
    add("--timeout", type=float, default=5.0, metavar="SECONDS", help="how long a hub may take to be found, and to answer first (default: 5)")
    add("--version", action="version", version=f"dhub {__version__}")
    chosen = parser.parse_args(words)
    if chosen.jobs < 1:
        parser.error("-j: at least 1")
    return chosen


def main(words: list[str] | None = None) -> int:
    """The exit codes are those of kworker: 0, 1 some failed or --halt, 2 wrong options, 5 stuck, 7 no hub, 9 out of reach, 11 denied, 26 keys."""
    open_streams()
    chosen = options(words)
    try:
        target = find(chosen.server, chosen.access, chosen.timeout, chosen.insecure)
    except (DhubError, ValueError) as error:
        say(as_options(error))
        code = {NoHub: 7, Unreachable: 9, AccessError: 26, Denied: 11}
        return next((number for kind, number in code.items() if isinstance(error, kind)), 2)
    name = chosen.name or f"{socket.gethostname()}:{os.getpid()}"
    os.environ.update(DHUB_HUB=target.endpoint, DHUB_WORKER=name)
    os.environ.pop("DHUB_ACCESS", None)
    os.environ.pop(INSECURE, None)
    if target.access is not None:
        os.environ["DHUB_ACCESS"] = str(target.access)
    else:
        os.environ[INSECURE] = "1"

    def talk(order: nursery.Order) -> int:
        stay, patience_s = not chosen.until_done, max(chosen.timeout, ANSWER_S)
        crew = Crew(target, name, chosen.jobs, stay, chosen.ahead, order, chosen.halt, patience_s)
        try:
            crew.run()
            crew.leave()
        except Refused as error:
            say(as_options(error))
            return 11 if isinstance(error, Denied) else 6
        except NoHub as error:
            advice = "" if isinstance(error, HubFull) else f" (waited {patience_s:g} s)\n  {TO_HAVE_ONE}"
            say(f"{error}{advice}")
            return 7
        except EOFError:
            return 70
        if crew.has_halted:
            return 1
        if not chosen.until_done or not crew.pool.finished:
            return 0
        if crew.pool.phase == Phase.EMPTY:
            say("the hub has no tasks; without --until-done a pool waits for the first")
        return 5 if crew.pool.phase == Phase.STUCK else 1 if crew.pool.not_done else 0

    say(f"{name} · {chosen.jobs} processes · hub {target.endpoint}")
    return nursery.run(talk, work)


if __name__ == "__main__":
    sys.exit(main())
