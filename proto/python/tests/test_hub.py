"""The verbs of `Hub` and `AsyncHub` against a real hub."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import resource
import signal
import subprocess
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import BINARIES, PATIENCE_S, Server, eventually

import dhub
from dhub import Phase, State, Task, talk
from dhub._wire import hub_pb2 as wire
from dhub.find import Target
from dhub.which import Which


def test_a_task_from_its_creation_to_its_end(hub: dhub.Hub) -> None:
    assert hub.create("prep", command="./prep", retries=1, time_limit=2.5, dir="/tmp", env={"A": "b=c"}, stdin=b"\0x")
    assert not hub.create(
        "prep", command="./prep", retries=1, time_limit=2.5, dir="/tmp", env={"A": "b=c"}, stdin=b"\0x"
    )
    assert hub.create("sim", needs=["prep"], priority=-3)
    stolen = hub.steal(5)
    assert [lease.name for lease in stolen.leases] == ["prep"]
    lease = stolen.leases[0]
    assert lease == dhub.Lease("prep", 1, "./prep", 2.5, 3600.0, "/tmp", {"A": "b=c"}, b"\0x")
    assert hub.heartbeat(lease) == ([], False, False)
    assert hub.show("sim").task.state is State.WAITING
    hub.complete(lease, b"made it")
    shown = hub.show("prep")
    assert shown.task.state is State.DONE and str(shown.task.state) == "done"
    assert [(it.outcome, it.output) for it in shown.attempts] == [("done", b"made it")]
    assert [it.name for it in hub.show("sim").needs] == ["prep"]
    reported = hub.report([dhub.Outcome("nobody", 1)], want=1)
    assert [type(it) for it in reported.refused] == [dhub.NotFound] and reported.refused[0].names == ("nobody",)
    (sim,) = reported.stolen.leases
    assert (sim.name, sim.attempt) == ("sim", 1)
    hub.fail(sim, "no luck", exit_code=7)
    info = hub.show("sim").task
    assert (info.state, info.reason, info.exit_code) == (State.FAILED, "no luck", 7)
    waited = hub.wait(timeout=PATIENCE_S)
    assert waited.phase is Phase.FINISHED and waited.counts.finished == waited.counts.total == 2


def test_what_is_refused_is_an_exception_with_code_and_names(hub: dhub.Hub) -> None:
    hub.create("a", command="x")
    with pytest.raises(dhub.Conflict) as conflict:
        hub.create("a", command="y")
    assert conflict.value.names == ("a",) and conflict.value.code is dhub.ErrorCode.CONFLICT
    with pytest.raises(dhub.Cycle) as cycle:
        hub.create_many([Task("b", ["c"]), Task("c", ["b"])])
    assert set(cycle.value.names) == {"b", "c"}
    with pytest.raises(dhub.NotFound) as unknown:
        list(hub.tasks(["a", "nope"]))
    assert unknown.value.names == ("nope",)
    with pytest.raises(dhub.OverLimit):
        hub.create("n" * 1025)
    lease = hub.steal().leases[0]
    hub.complete(lease)
    with pytest.raises(dhub.Stale):
        hub.fail(lease)
    with pytest.raises(ValueError):
        hub.cancel()
    with pytest.raises(dhub.DhubError):
        hub.show("nope")


def test_values_of_the_wrong_kind_are_refused_by_name(hub: dhub.Hub) -> None:
    create: Callable[..., object] = hub.create
    wrong: dict[str, list[Any]] = {
        "needs are names of tasks, in a list": ["prep", 3],
        "a name in needs is a str": [[3]],
        "priority is a whole number": ["a"],
        "time_limit is a number of seconds": ["10m"],
        "env is a mapping": ["A=1"],
        "command is a str": [3],
    }
    for text, values in wrong.items():
        for value in values:
            with pytest.raises(TypeError, match=f"^{text}"):
                create("sim", **{"needs" if "needs" in text else text.split()[0]: value})
    for option, value in {"time_limit": -1, "retries": -1, "priority": 2**31}.items():
        with pytest.raises(ValueError, match=f"^{option} must be"):
            create("sim", **{option: value})
    with pytest.raises(ValueError, match="^time_limit must be"):
        create("sim", time_limit=float("nan"))
    with pytest.raises(TypeError, match="^name is a str"):
        create(3)
    with pytest.raises(TypeError, match="^needs are names of tasks"):
        hub.create_many([Task("q1", needs="abc")])
    with pytest.raises(TypeError, match="^names are names of tasks, in a list, not 'good'"):
        hub.wait_for("good")
    cancel: Callable[..., object] = hub.cancel
    with pytest.raises(TypeError, match=r"^the name of a task is a str, not \['s4', 's5'\]"):
        cancel(["s4", "s5"])
    with pytest.raises(ValueError, match="^there is no state 'finished': missing, waiting, ready"):
        list(hub.tasks(states=["finished"]))
    assert not list(hub.tasks())
    hub.create("good")
    assert [it.name for it in hub.tasks(states=["ready"])] == ["good"] == [it.name for it in hub.tasks(states="ready")]


def test_cancel_retry_and_release(hub: dhub.Hub) -> None:
    hub.create_many([Task("a"), Task("b", ["a"]), Task("c", ["b"])])
    assert hub.cancel("a").changed == 1
    assert [it.state for it in hub.tasks()] == [State.CANCELLED, State.SKIPPED, State.SKIPPED]
    assert [it.code for it in hub.retry("c").refused] == [dhub.ErrorCode.STATE]
    chosen = hub.retry(states=[State.CANCELLED])
    assert (chosen.changed, chosen.unskipped) == (1, 2)
    lease = hub.steal().leases[0]
    assert hub.release(lease) == 1
    again = hub.steal().leases[0]
    assert (again.name, again.attempt) == ("a", lease.attempt + 1)
    assert hub.exit() == 1
    assert hub.status().counts.ready == 1


def test_a_stream_of_tasks_takes_no_memory_and_lists_page(hub: dhub.Hub) -> None:
    n = 150_000
    hub.status()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    created = hub.create_many(f"task-{i:08}-with-a-name-of-some-length" for i in range(n))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (created.added, created.existing, created.ready) == (n, 0, n)
    # All of them at once would be 100 MB and more.
    assert after - before < 40_000, f"{after - before} kB"
    assert hub.create_many(f"task-{i:08}-with-a-name-of-some-length" for i in range(3)).existing == 3
    names = [it.name for it in hub.tasks(states=[State.READY])]
    assert len(names) == n and names[::100_000] == [
        "task-00000000-with-a-name-of-some-length",
        "task-00100000-with-a-name-of-some-length",
    ]
    # Big tasks go in batches by bytes: 12 MB here.
    assert hub.create_many(Task(f"big-{i}", stdin=bytes(60_000)) for i in range(200)).added == 200


def test_threads_and_a_forked_child_share_a_hub(hub: dhub.Hub) -> None:
    n = 8
    hub.create_many(f"t-{i}" for i in range(n))
    taken = []

    def steal() -> None:
        for lease in hub.steal(wait=PATIENCE_S).leases:
            hub.complete(lease)
            taken.append(lease.name)

    threads = [threading.Thread(target=steal) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [f"t-{i}" for i in range(n)]
    hub.create("for the child")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            hub.complete(hub.steal().leases[0])
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert hub.show("for the child").task.state is State.DONE


def test_waiting_for_some_tasks(hub: dhub.Hub) -> None:
    hub.create_many([Task("a"), Task("b"), Task("c", ["b"]), Task("other")])
    with pytest.raises(TimeoutError):
        hub.wait_for(["a", "b"], timeout=0.2)
    hub.complete(hub.steal().leases[0], b"said a")
    threading.Timer(0.2, lambda: hub.fail(hub.steal().leases[0], "no luck")).start()
    ended = hub.wait_for(["a", "b", "c"], timeout=PATIENCE_S)
    assert ended["a"].attempt is not None and ended["a"].attempt.output == b"said a"
    assert [ended[name].task.state for name in "abc"] == [State.DONE, State.FAILED, State.SKIPPED]
    assert ended["c"].attempt is None
    with pytest.raises(dhub.NotFound) as unknown:
        hub.wait_for(["a", "nope"])
    assert unknown.value.names == ("nope",)


def test_a_wait_goes_on_through_a_restart(server: Server, hub: dhub.Hub) -> None:
    hub.create("slow")
    lease = hub.steal().leases[0]
    waited = []
    thread = threading.Thread(target=lambda: waited.append(hub.wait()))
    thread.start()
    server.kill()
    server.start()
    hub.complete(lease)
    thread.join(PATIENCE_S)
    assert [it.phase for it in waited] == [Phase.FINISHED]


def test_a_request_waits_for_a_hub_that_is_restarted(server: Server) -> None:
    hub = dhub.Hub(timeout=PATIENCE_S)
    hub.create("a")
    server.kill()
    thread = threading.Thread(target=server.start)
    thread.start()
    assert hub.create("b")
    thread.join()
    assert [it.name for it in hub.tasks()] == ["a", "b"]


def test_no_hub_and_time_outs(server: Server, hub: dhub.Hub) -> None:
    hub.create("a")
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        hub.wait(timeout=0.2)
    assert time.monotonic() - begin < PATIENCE_S
    server.kill()
    impatient = dhub.Hub(target=hub.target, timeout=0.3)
    with pytest.raises(dhub.NoHub, match="no hub answers at ipc://"):
        impatient.status()
    with pytest.raises(dhub.NoHub, match=r"is gone \(nothing answers at ipc://\S+\)\n"):
        dhub.Hub(timeout=0)
    with pytest.raises(ValueError):
        dhub.Hub("udp://x:1")


def test_ctrl_c_ends_a_wait_and_the_hub_can_be_asked_again(hub: dhub.Hub) -> None:
    hub.create("a")
    threading.Timer(0.3, signal.pthread_kill, [threading.get_ident(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        hub.wait()
    assert hub.status().counts.ready == 1


@pytest.mark.parametrize("server", [[]], indirect=True)
def test_keys_and_roles(server: Server, hub: dhub.Hub) -> None:
    def dhub_access(*words: str) -> None:
        command = [str(BINARIES / "dhub"), "access", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    file = server.home / "ada.access"
    dhub_access("new", "ada", "--role", "submit", "--to", str(file))
    ada = dhub.Hub(access=file)
    assert ada.target.endpoint.startswith("ipc://") and ada.target.keys is not None
    assert "secret" in repr(ada.target.keys) and ada.target.keys.secret.decode() not in repr(ada.target)
    assert ada.create("a")
    with pytest.raises(dhub.Denied):
        ada.steal()
    dhub_access("revoke", "ada")
    with pytest.raises(dhub.Denied):
        eventually(lambda: ada.status() and False)
    # At the handshake: who is not known any more, and who has no key.
    with pytest.raises(dhub.Denied, match="does not let the key"):
        dhub.Hub(access=file, timeout=PATIENCE_S).status()
    plain = dhub.find.Target(ada.target.endpoint)
    with pytest.raises(dhub.Denied, match="none was given"):
        dhub.Hub(target=plain, timeout=PATIENCE_S).status()
    file.chmod(0o644)
    with pytest.raises(dhub.AccessError, match="chmod 600"):
        dhub.Hub(access=file)


def test_of_several_hubs_one_has_to_be_chosen(server: Server, hub: dhub.Hub) -> None:
    (server.home / "b").mkdir()
    second = subprocess.Popen(
        [BINARIES / "dhub", "-f", server.home / "b" / "second.db", "--local"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:

        def several() -> bool:
            try:
                dhub.Hub(timeout=0)
            except dhub.SeveralHubs as error:
                return "second" in str(error)
            return False

        eventually(several)
        assert dhub.Hub(hub.target.endpoint).status().file.endswith("run.db")
    finally:
        second.terminate()
        second.wait()


def test_workers_are_listed_and_told_to_leave(hub: dhub.Hub) -> None:
    with dhub.Hub(worker="node7") as worker:
        hub.create("a")
        worker.steal()
        assert [(it.name, it.leases) for it in hub.workers()] == [("node7", 1)]
        assert hub.drain("node*") == ["node7"]
        assert worker.steal().drain
        with pytest.raises(dhub.NotFound):
            hub.stop("elsewhere")


def test_the_asyncio_twin(server: Server) -> None:
    async def main() -> None:
        async with dhub.AsyncHub() as hub:
            assert await hub.create("a", command="x")
            assert (await hub.create_many(f"t-{i}" for i in range(2500))).added == 2500
            names = [it.name async for it in hub.tasks()]
            assert len(names) == 2501 and names[0] == "a"
            with pytest.raises(dhub.Conflict):
                await hub.create("a", command="y")
            # Many at a time; one that is given up harms nobody.
            waiting = asyncio.ensure_future(hub.wait())
            statuses = await asyncio.gather(*(hub.status() for _ in range(20)))
            assert {it.counts.ready for it in statuses} == {2501}
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            with pytest.raises(TimeoutError):
                await hub.wait(timeout=0.1)
            await hub.cancel(states=[State.READY])
            assert (await hub.wait()).phase is Phase.FINISHED

    asyncio.run(main())


def test_the_asyncio_twin_through_a_restart(server: Server) -> None:
    async def main() -> None:
        async with dhub.AsyncHub(timeout=PATIENCE_S) as hub:
            await hub.create("a")
            server.kill()
            created = asyncio.ensure_future(hub.create("b"))
            await asyncio.sleep(0)
            await asyncio.get_running_loop().run_in_executor(None, server.start)
            assert await created

    asyncio.run(main())


def test_copies_of_a_request_have_one_token_and_requests_have_different_ones() -> None:
    cancel = wire.Cancel(selection=wire.Selection(patterns=["*"]))
    tokens = set()
    for _ in range(2):
        asking = talk.request(Target("tcp://127.0.0.1:1"), 60.0, talk.Ask(wire.Request(cancel=cancel), "cancelled"))
        first = next(asking)
        # Silent, also when asked whether it is there.
        asking.send(None)
        again = asking.send(None)
        assert first.frame == again.frame
        tokens.add(wire.Request.FromString(first.frame).token)
    assert {len(token) for token in tokens} == {16} and len(tokens) == 2
    status = next(talk.request(Target("tcp://127.0.0.1:1"), 60.0, talk.Ask(wire.Request(status=wire.Status()), "status")))
    assert not wire.Request.FromString(status.frame).token


NOT_IN_PYTHON = {"top", "report", "completions", "help"}
"""Verbs of dquery that draw for people."""
OTHERWISE = {"addfile": ["create_many"], "list": ["tasks"], "worker": ["workers", "drain", "stop"]}


def test_every_verb_of_dquery_is_there() -> None:
    said = subprocess.run([BINARIES / "dquery", "--help"], capture_output=True, text=True, check=True).stdout
    commands = said.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    verbs = {line.split()[0] for line in commands if line[2:3].strip()}
    assert len(verbs) > 25 and NOT_IN_PYTHON <= verbs
    for verb in verbs - NOT_IN_PYTHON:
        for name in OTHERWISE.get(verb, [verb]):
            assert callable(getattr(dhub.Hub, name, None)), verb
            assert callable(getattr(dhub.AsyncHub, name, None)), verb


OPTIONS: dict[str, dict[str, str]] = {
    "create": {it: it for it in ("command", "stdin", "dir", "env", "priority", "retries")} | {"time-limit": "time_limit"},
    "steal": {"-n": "n", "wait": "wait", "lease": "lease", "worker": "Hub(worker=)", "hub-timeout": "Hub(hub_timeout=)"},
    "complete": {"attempt": "lease", "worker": "Hub(worker=)"},
    "fail": {"attempt": "lease", "worker": "Hub(worker=)", "exit-code": "exit_code", "reason": "reason"},
    "release": {"attempt": "leases", "worker": "Hub(worker=)"},
    "heartbeat": {"attempt": "leases", "worker": "Hub(worker=)"},
    "exit": {"worker": "Hub(worker=)"},
    "retry": {"done": "done"},
    "logs": {"attempt": "attempt", "hub-timeout": "Hub(hub_timeout=)"},
    "graph": {"depth": "depth"},
    "wait": {"wait-limit": "timeout", "hub-timeout": "Hub(hub_timeout=)"},
}
"""What options of dquery are called here."""
FILTERS = {
    "state": "states", "failed": "states", "prefix": "patterns", "worker": "workers", "since": "since",
    "exit-code": "exit_codes", "held": "held", "exact": "patterns",
}  # fmt: skip
"""Those that say which tasks; names are exact, and patterns something else."""
ON_A_TERMINAL = {
    "*": "color json help yes dry-run quiet",
    "list": "limit all sort reverse columns no-pager",
    "show": "output",
    "logs": "follow file",
    "wait": "every hold-on-failure",
    "graph": "all",
    "status": "watch",
    "export": "joblog file-mode",
    "backup": "file-mode",
    "addfile": "jsonl command dir env priority retries time-limit allow-missing",
}
"""What somebody has who looks, or who has shells and files and no Python."""


def test_every_option_of_a_verb_is_there() -> None:
    def of(*verb: str) -> set[str]:
        said = subprocess.run([BINARIES / "dquery", *verb, "--help"], capture_output=True, text=True, check=True).stdout
        return set(re.findall(r"^ {2,6}(?:-\w, )?--?([\w-]+)", said.partition("\nHub:")[0], re.MULTILINE))

    left_out = {verb: set(text.split()) for verb, text in ON_A_TERMINAL.items()}
    looked_at = 0
    for verb, names in {**{verb: [verb] for verb in OPTIONS}, **OTHERWISE, **{it: [it] for it in SELECTING}}.items():
        method = {"list": "tasks", "wait": "wait_for"}.get(verb, names[0])
        parameters = inspect.signature(getattr(dhub.Hub, method)).parameters
        for option in of(verb) - left_out["*"] - left_out.get(verb, set()):
            known = {**(FILTERS if "which" in parameters else {}), **OPTIONS.get(verb, {})}
            name = known.get(option) or known.get(f"-{option}")
            here = set(parameters) | (set(Which.__annotations__) if "which" in parameters else set())
            assert name is not None and (name.startswith("Hub(") or name in here), (verb, option, name)
            looked_at += 1
    assert looked_at > 60


SELECTING = ("cancel", "retry", "hold", "unhold", "priority")


def test_which_tasks_is_said_as_in_dquery(hub: dhub.Hub) -> None:
    hub.create_many([f"sim-{i}" for i in range(4)] + ["plot*", "plot"])
    begin = time.time()
    lease = hub.steal(1).leases[0]
    hub.fail(lease, exit_code=137)

    def names(**which: Any) -> list[str]:
        return [it.name for it in hub.tasks(**which)]

    assert names(patterns="sim-?") == [f"sim-{i}" for i in range(4)]
    assert names(patterns=["*-2", "pl?t"]) == ["sim-2", "plot"]
    # Names are no patterns.
    assert names(names=["plot*"]) == ["plot*"] and names(names=["plot"], patterns=["*3"]) == ["sim-3", "plot"]
    assert names(exit_codes=137) == names(states="failed") == names(workers=hub.worker) == ["sim-0"]
    assert names(exit_codes=[1, 2]) == names(workers="nobody*") == names(patterns="none*") == []
    assert len(names(since=begin - 60)) == len(names(since=timedelta(hours=1))) == 6
    assert len(names(since=datetime.now() - timedelta(minutes=1))) == 6 and not names(since=time.time() + 60)
    assert hub.hold(patterns="sim-*").changed == 3 and names(held=True) == ["sim-1", "sim-2", "sim-3"]
    assert hub.priority(7, patterns="sim-*", held=True).changed == 3 and hub.show("sim-3").task.priority == 7
    assert hub.unhold(held=True, patterns=["*1", "*2"]).changed == 2
    assert hub.cancel(patterns="sim-*", held=True).changed == 1 and hub.show("sim-3").task.state == State.CANCELLED
    assert hub.cancel("plot*").changed == 1 and hub.show("plot").task.state == State.READY
    assert hub.retry(exit_codes=[137], since=timedelta(hours=1)).changed == 1
    assert [it.task.name for it in hub.export(patterns="plot*", states=["ready"])] == ["plot"]
    assert set(hub.wait_for(patterns="*3")) == {"sim-3"} and hub.wait_for(patterns="none*") == {}
    assert [it.name for it in hub.tasks(iter(["sim-1", "sim-2"]), page=1)] == ["sim-1", "sim-2"]
    assert len(list(hub.tasks(patterns=iter(["sim-*"]), page=1))) == 4
    assert hub.wait_for(patterns=[]) == hub.wait_for([], workers=[]) == hub.wait_for(held=False) == {}
    with pytest.raises(TimeoutError, match="^not finished within 0.1 s$"):
        hub.wait_for(["plot"], 0.1, patterns="*3")
    for change in (hub.cancel, hub.retry, hub.hold, hub.unhold):
        with pytest.raises(ValueError, match="which tasks"):
            change(patterns=[])
    loose: Callable[..., object] = hub.cancel
    for wrong, error in (
        ({"since": "1h"}, "^since is a moment"), ({"exit_codes": ["x"]}, "^exit_codes is a whole"),
        ({"patterns": [3]}, "^a pattern of names is a str"),
        ({"pattern": "x"}, "unexpected keyword argument 'pattern'"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=error):
            loose(**wrong)
    with pytest.raises(ValueError, match="^since must be"):
        loose(since=-1)


def test_leases_by_name(hub: dhub.Hub) -> None:
    hub.create_many(["a", "b"])
    assert len(hub.steal(2).leases) == 2
    assert not hub.heartbeat("a", "b").lost and hub.release("a") == 1
    assert hub.show("a").task.state == State.READY and hub.show("b").task.state == State.RUNNING


def test_a_part_of_the_graph(hub: dhub.Hub) -> None:
    hub.create_many([Task("a"), Task("b", ["a"]), Task("c", ["b"]), Task("d", ["c"]), Task("other", ["a"])])

    def of(*names: str, depth: int | None = None) -> set[str]:
        picture = hub.graph(*names, depth=depth)
        said = subprocess.run(
            [BINARIES / "dquery", "graph", *names, *([] if depth is None else [f"--depth={depth}"])],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        nodes = set(re.findall(r'^  "(\w+)" \[', picture, re.MULTILINE))
        assert nodes == set(re.findall(r'tooltip="(\w+)"', said))
        return nodes

    assert of("c") == {"a", "b", "c", "d"} and of("c", depth=1) == {"b", "c", "d"} and of("c", depth=0) == {"c"}
    assert of("other", "d", depth=1) == {"other", "a", "d", "c"} and len(of()) == 5
    with pytest.raises(dhub.NotFound):
        hub.graph("nobody")


def test_holding_priorities_logs_and_the_graph(hub: dhub.Hub, home: Path) -> None:
    hub.create("a", command="true")
    hub.create("b", ["a"])
    assert hub.hold("a", "b").changed == 2 and not hub.steal().leases
    assert hub.priority(5, "a", states=[State.WAITING, State.READY]).changed == 1
    swapped: Callable[..., object] = hub.priority
    with pytest.raises(TypeError, match=r"a priority is a whole number, before the names: .* not priority\('a'\)"):
        swapped("a", 5)
    with pytest.raises(ValueError, match="^priority must be"):
        hub.priority(2**40, "a")

    class Five:
        def __index__(self) -> int:
            return 5

    assert swapped(Five(), "a").changed == 1  # type: ignore[attr-defined]
    assert hub.unhold("a").changed == 1
    lease = hub.steal().leases[0]
    with pytest.raises(LookupError):
        hub.logs("b")
    hub.complete(lease, b"written")
    assert hub.logs("a") == hub.logs("a", 1) == b"written" and hub.show("a").task.priority == 5
    with pytest.raises(LookupError):
        hub.logs("a", 2)
    a, b = hub.export()
    assert (a.task.name, b.task.name, b.needs, [it.outcome for it in a.attempts]) == ("a", "b", [a.id], ["done"])
    assert [it.task.command for it in hub.export(["a"], brief=True)] == [""]
    assert '"a" -> "b";' in hub.graph() and '"a" [tooltip=done];' in hub.graph()
    assert hub.backup(home / "copy.db") == (home / "copy.db").stat().st_size
    with pytest.raises(dhub.NotFound):
        list(hub.export(["nobody"]))
