"""docs/protocol.md says enough: a worker that was written from it alone (bare.py) does what a hub and its tasks expect."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from conftest import BINARIES, Pool, Server, eventually

import dhub
from dhub import State

BARE = Path(__file__).parent / "bare.py"


def access(*args: object) -> str:
    done = subprocess.run([BINARIES / "dhub", "access", *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(pool: Pool, file: Path) -> subprocess.Popen[bytes]:
    return pool.start(sys.executable, BARE, file, json.loads(file.read_text())["ipc"])


def test_tasks_find_what_they_expect(hub: dhub.Hub, home: Path, pool: Pool) -> None:
    file = home / "bare.access"
    access("new", "bare", "--role", "work", "--to", file)
    script = (
        'echo "$DHUB_TASK $DHUB_ATTEMPT $DHUB_SLOT $OWN"; echo err >&2; cat; readlink /proc/self/fd/0;'
        'echo "$DHUB_HUB"; test -n "$DHUB_WORKER" && test -r "$DHUB_ACCESS"'
    )
    hub.create("a", command=script, env={"OWN": "mine", "DHUB_SLOT": "no"}, dir=str(home))
    hub.create("b", command="cat; exit 3", needs=["a"], stdin=b"from the hub\n")
    worker = start(pool, file)
    assert worker.wait(60) == 0, pool.log()
    a, b = hub.show("a").attempts[0], hub.show("b").attempts[0]
    endpoint = json.loads(file.read_text())["ipc"]
    assert a.output.decode() == f"a 1 0 mine\nerr\n/dev/null\n{endpoint}\n"
    assert (a.outcome, b.outcome, b.exit_code, b.output) == ("done", "failed", 3, b"from the hub\n")


def test_stop_is_no_failure(hub: dhub.Hub, home: Path, pool: Pool) -> None:
    file = home / "bare.access"
    access("new", "bare", "--role", "work", "--to", file)
    hub.create("a", command="sleep 1000")
    worker = start(pool, file)
    eventually(lambda: hub.show("a").task.state is State.RUNNING)
    done = subprocess.run([BINARIES / "dquery", "worker", "stop", hub.show("a").task.worker])
    assert done.returncode == 0 and worker.wait(60) == 0, pool.log()
    shown = hub.show("a")
    assert (shown.task.state, shown.task.failures, shown.attempts) == (State.READY, 0, [])


def test_a_key_that_is_taken_back_is_told_from_a_hub_that_is_gone(
    server: Server, hub: dhub.Hub, home: Path, pool: Pool
) -> None:
    file = home / "bare.access"
    access("new", "bare", "--role", "work", "--to", file)
    hub.create("later", needs=["nobody adds it yet"])
    hub.create("a", command="sleep 1000")
    # While the hub is gone a worker waits; when it is back it is let in.
    server.kill()
    worker = start(pool, file)
    server.start()
    eventually(lambda: hub.show("a").task.state is State.RUNNING)
    # Over the connection that it has.
    access("revoke", "bare")
    assert worker.wait(60) == 11, pool.log()
    # At the handshake.
    assert start(pool, file).wait(60) == 11, pool.log()
