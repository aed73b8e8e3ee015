"""`dhub.work`: a worker as a function call."""

from __future__ import annotations

import os
import pty
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE_S, Pool, Server, eventually

import dhub
from dhub import State, Task
from dhub._wire import hub_pb2 as wire


class Background:
    """`dhub.work` in a thread of its own."""

    def __init__(self, handler: Any, **options: Any) -> None:
        self.tally: Any = None
        self.error: BaseException | None = None

        def run() -> None:
            try:
                self.tally = dhub.work(handler, **options)
            except BaseException as error:
                self.error = error

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def join(self) -> Any:
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive() and self.error is None, self.error
        return self.tally


def test_outcomes_and_hooks(hub: dhub.Hub) -> None:
    hub.create_many([Task("text"), Task("bytes", ["text"]), Task("none"), Task("bad"), Task("outcome")])
    said: dict[str, Any] = {
        "text": "très bien",
        "bytes": b"\0\1",
        "none": None,
        "outcome": dhub.Outcome("", 0, False, 9, "why"),
    }
    told: list[Any] = []

    def handler(job: dhub.Job) -> Any:
        assert job.attempt == 1 and job.lease.term == 30.0
        return said[job.name]

    tally = dhub.work(
        handler,
        until_done=True,
        on_start=lambda: told.append("start"),
        before_task=lambda job: told.append(("before", job.name)),
        after_task=lambda job, outcome: told.append(("after", job.name, outcome.done)),
        on_stop=lambda tally: told.append(tally),
    )
    assert tally == (3, 2, 0) and told[0] == "start" and told[-1] == tally
    assert len(told) == 12 and ("after", "bad", False) in told and ("before", "text") in told
    output = {name: hub.show(name).attempts[0] for name in ("text", "bytes", "none", "bad", "outcome")}
    assert output["text"].output.decode() == "très bien" and output["bytes"].output == b"\0\1"
    assert output["none"].output == b"" and output["bad"].reason == "KeyError: 'bad'"
    assert b"Traceback" in output["bad"].output
    assert (output["outcome"].exit_code, output["outcome"].reason) == (9, "why")
    assert [it.name for it in hub.workers()] == []


def test_many_short_tasks_in_few_requests(hub: dhub.Hub) -> None:
    n = 5000
    hub.create_many(f"t-{i}" for i in range(n))
    names = set()
    assert dhub.work(lambda job: names.add(job.name), until_done=True) == (n, 0, 0)
    assert len(names) == n
    assert hub.status().counts.done == n and all(it.attempt <= 3 for it in hub.tasks())


@pytest.mark.parametrize("server", [["--local", "--worker-timeout", "1s"]], indirect=True)
def test_leases_are_renewed_while_a_task_takes_longer(hub: dhub.Hub) -> None:
    hub.create("long")
    assert dhub.work(lambda job: time.sleep(3.5), max_tasks=1) == (1, 0, 0)
    assert hub.show("long").task.reclaims == 0


def test_a_cancelled_task_is_told_and_a_drain_heeded(hub: dhub.Hub) -> None:
    hub.create_many([Task("first", priority=1), Task("second")])
    begun = threading.Event()
    lost = []

    def handler(job: dhub.Job) -> None:
        begun.set()
        if job.name == "first":
            until = time.monotonic() + PATIENCE_S
            while not job.lost and time.monotonic() < until:
                time.sleep(0.01)
            lost.append(job.lost)

    worker = Background(handler, name="mine", ahead=0)
    assert begun.wait(PATIENCE_S)
    hub.cancel("first")
    eventually(lambda: hub.show("second").task.state is State.DONE)
    assert lost == [True]
    assert hub.drain("mine") == ["mine"]
    assert worker.join() == (1, 0, 1)


def test_what_it_holds_is_given_back(hub: dhub.Hub) -> None:
    hub.create_many(f"t-{i}" for i in range(10))

    def handler(job: dhub.Job) -> None:
        threading.Timer(0.2, signal.pthread_kill, [threading.get_ident(), signal.SIGINT]).start()
        time.sleep(PATIENCE_S)

    with pytest.raises(KeyboardInterrupt):
        dhub.work(handler, ahead=5)
    assert hub.status().counts[:3] == (0, 10, 0)
    # SIGTERM: what runs ends first.
    assert dhub.work(lambda job: os.kill(os.getpid(), signal.SIGTERM), ahead=5) == (1, 0, 0)
    assert hub.status().counts[:4] == (0, 9, 0, 1)
    with pytest.raises(RuntimeError, match="of the hook"):
        dhub.work(lambda job: None, after_task=lambda job, outcome: exec('raise RuntimeError("of the hook")'))
    assert hub.status().counts.done == 2


def test_the_hub_is_killed_in_the_middle(server: Server, hub: dhub.Hub) -> None:
    n = 400
    hub.create_many(f"t-{i}" for i in range(n))
    count: list[str] = []

    def handler(job: dhub.Job) -> None:
        count.append(job.name)
        time.sleep(0.002)

    worker = Background(handler, until_done=True)
    eventually(lambda: len(count) > 50)
    server.kill()
    server.start()
    assert worker.join()[1:] == (0, 0)
    assert hub.status().counts.done == n and len(set(count)) == n


def test_no_hub(home: Path) -> None:
    with pytest.raises(dhub.NoHub):
        dhub.work(lambda job: None, timeout=0.1)


# --- python -m dhub.worker ---------------------------------------------------------------------


def test_a_pool_runs_commands_too(hub: dhub.Hub, pool: Pool, home: Path) -> None:
    hub.create_many(
        [
            Task("out", command="echo $A; pwd; cat; echo err >&2", dir="/", env={"A": "b c"}, stdin=b"in\n"),
            Task("exit", command="exit 7"),
            Task("kill", command="kill -9 $$"),
            Task("nowhere", command="true", dir="/no/such/directory"),
            Task("late", command="sleep 60", time_limit=0.3),
            Task("echo name"),
            Task("after", ["out"], command='test "$DHUB_TASK" = after -a "$DHUB_ATTEMPT" = 1'),
        ]
    )
    worker = pool.workers("-j", 2, "--until-done")
    assert worker.wait(PATIENCE_S) == 1, pool.log()
    tasks = {it.name: it for it in hub.tasks()}
    assert hub.show("out").attempts[0].output == b"b c\n/\nin\nerr\n"
    assert [tasks[name].state for name in ("out", "after", "echo name")] == [State.DONE] * 3
    assert (tasks["exit"].exit_code, tasks["exit"].reason) == (7, "exit 7")
    assert (tasks["kill"].exit_code, tasks["kill"].reason) == (137, "killed by SIGKILL")
    assert tasks["nowhere"].exit_code == 126 and "No such file" in tasks["nowhere"].reason
    assert tasks["late"].reason == "timed out after 0.3 s"


def test_a_pool_heeds_signals_and_orders(hub: dhub.Hub, pool: Pool, home: Path) -> None:
    hub.create_many(Task(f"t-{i}", command=f"echo x >> {home}/begun; sleep 0.5") for i in range(6))
    first = pool.workers("-j", 2, "--name", "first")
    eventually((home / "begun").exists)
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE_S) == 0
    counts = hub.status().counts
    assert counts.running == 0 and counts.done >= 1 and counts.done + counts.ready == 6
    hub.create("long", command=f"echo y >> {home}/long; sleep 60", priority=9)
    second = pool.workers("-j", 2, "--name", "second")
    eventually((home / "long").exists)
    assert hub.stop("second") == ["second"]
    assert second.wait(PATIENCE_S) == 0
    assert hub.show("long").task.state is State.READY
    third = pool.workers("-j", 1, "--name", "third")
    eventually(lambda: (home / "long").read_text() == "y\ny\n")
    third.send_signal(signal.SIGINT)
    eventually(lambda: "SIGINT: what runs may end" in pool.log())
    third.send_signal(signal.SIGINT)
    assert third.wait(PATIENCE_S) == 0
    assert hub.status().counts.running == 0 and hub.show("long").task.state is State.READY


def test_short_tasks_do_not_wait_behind_a_long_one(hub: dhub.Hub, pool: Pool, home: Path) -> None:
    with dhub.DhubExecutor() as executor:
        pool.workers("-j", 2)
        executor.submit(time.sleep, 0).result(PATIENCE_S)
        list(executor.map(abs, range(500)))
        # Given to a process with many others behind it, while tasks seem short.
        long = [executor.submit(time.sleep, 30)]
        assert list(executor.map(abs, range(500))) == list(range(500))
        assert not long[0].done()
        assert long[0].kill()


def test_a_pool_without_a_hub(home: Path, pool: Pool) -> None:
    assert pool.workers("--timeout", "0.1").wait(PATIENCE_S) == 7
    assert pool.workers("-s", "udp://x").wait(PATIENCE_S) == 2


def test_tasks_of_a_pool_on_a_terminal_have_none(hub: dhub.Hub) -> None:
    hub.create("ask", command="{ read -r x </dev/tty; } 2>/dev/null; echo rc=$?; cut -d' ' -f7 /proc/$$/stat")
    words = [sys.executable, "-m", "dhub.worker", "-j", "1"]
    child, screen = pty.fork()
    if child == 0:
        os.execv(sys.executable, words)
    try:
        eventually(lambda: hub.show("ask").task.state is State.DONE)
        output = hub.show("ask").attempts[0].output
        assert output.endswith(b"\n0\n") and not output.startswith(b"rc=0"), output
        # Ctrl-C is still for the pool.
        os.write(screen, b"\x03")
        eventually(lambda: b"what runs may end" in os.read(screen, 4096))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(screen)


def test_a_suspect_starts_when_the_hub_knows_what_has_ended() -> None:
    pool = dhub.pool.Pool(dhub.find.Target("ipc:///tmp/nobody.sock"), "w", 2)
    for name, suspect in (("a", False), ("pill", True), ("b", False)):
        held = dhub.pool.Held(wire.Lease(name=name, attempt=1, suspect=suspect))
        pool.held[held.key] = held
        pool.queue.append(held)
    a = pool.take()
    assert a is not None and a.key == ("a", 1)
    pool.ended(a.key, wire.Outcome(name="a", attempt=1, result=wire.RESULT_DONE), 0.25)
    assert pool._ended[0].run_ms == 250
    assert pool.take() is None, "a would be blamed for it"
    pool._completing = 0.0
    pool._reporting, pool._ended = list(pool._ended), type(pool._ended)()
    assert pool.take() is None
    pool._completed(wire.Completed())
    pill = pool.take()
    assert pill is not None and pill.key == ("pill", 1)
    pool.link.close()


KILLS_ITSELF = "import os, signal, dhub; dhub.work(lambda job: os.kill(os.getpid(), signal.SIGKILL), until_done=True)"


@pytest.mark.parametrize("server", [["--local", "--worker-timeout", "1s"]], indirect=True)
def test_a_task_that_kills_its_worker_at_once_fails_after_the_fifth(hub: dhub.Hub, pool: Pool) -> None:
    hub.create("pill")
    for _ in range(5):
        assert hub.show("pill").task.state is State.READY
        assert pool.start(sys.executable, "-c", KILLS_ITSELF).wait(PATIENCE_S) == -signal.SIGKILL
        eventually(lambda: hub.show("pill").task.state is not State.RUNNING)
    task = hub.show("pill").task
    assert task.state is State.FAILED and task.reason.startswith("took down 5 workers")
