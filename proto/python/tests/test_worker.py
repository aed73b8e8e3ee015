"""`python -m dhub.worker`: no task is lost or runs twice, and none finds what another has left."""

from __future__ import annotations

import functools
import gc
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import calls
import deeds
import pytest
from conftest import PATIENCE_S, Pool, Server, eventually

import dhub
from dhub import DhubExecutor, State, Task, nursery, payload
from dhub._wire import hub_pb2 as wire
from dhub.ledger import Ledger
from dhub.pool import Held
from dhub.pool import Pool as Held_by
from dhub.slot import Slot
from dhub.worker import options as worker_options


@pytest.fixture
def executor(server: Server) -> Iterator[DhubExecutor]:
    executor = DhubExecutor()
    yield executor
    executor.shutdown(cancel_futures=True)


# --- which tasks a process has begun -------------------------------------------------------------


def test_both_sides_know_what_was_begun_whenever_either_is_stopped() -> None:
    """Longer: scripts/soak.sh python."""
    program = Path(__file__).parent / "enemy.py"
    done = subprocess.run([sys.executable, program, "--rounds", "3000"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_cancel_ends_that_task_and_no_other(executor: DhubExecutor, pool: Pool, home: Path) -> None:
    pool.workers("-j", 2)
    log, chance = str(home / "log"), random.Random(1)
    executor.submit(calls.square, 1).result(PATIENCE_S)
    kept: list[Any] = []
    taken: list[Any] = []
    with dhub.Hub() as hub:
        for turn in range(40):
            list(executor.map(abs, range(100)))
            futures = [executor.submit(deeds.note, log, chance.random() * 0.006, (turn, i)) for i in range(30)]
            for future in futures:
                if chance.random() < 0.3:
                    time.sleep(chance.random() * 0.004)
                    hub.cancel(future.name)
                    taken.append(future)
                else:
                    kept.append(future)
    results = [future.result(PATIENCE_S) for future in kept]
    ran = Counter((home / "log").read_text().splitlines())
    assert {value: ran[str(value)] for value in results if ran[str(value)] != 1} == {}
    assert all(times == 1 for times in ran.values()), ran.most_common(3)


@pytest.mark.parametrize("server", [["--local", "--worker-timeout", "1s"]], indirect=True)
def test_a_lease_that_nobody_holds_is_given_back(hub: dhub.Hub) -> None:
    hub.create("forgotten")
    pool = Held_by(hub.target, "mine", 1)
    until = time.monotonic() + PATIENCE_S
    while pool.take() is None:
        assert time.monotonic() < until
        pool.step()
    # Taken, and lost on the way: it is not renewed for ever.
    while hub.show("forgotten").task.attempt < 2:
        assert time.monotonic() < until
        pool.step()
    pool.link.close()


def test_what_a_dead_process_was_making_is_removed(tmp_path: Path) -> None:
    mine, theirs = nursery.pair()
    mine.setblocking(False)
    ledger = Ledger.new()
    slot, file = Slot(0, mine, ledger), tmp_path / "half.result"
    for name in ("first", "second", "third"):
        assert slot.give(Held(wire.Lease(name=name, attempt=1)))
    pid = os.fork()
    if pid == 0:
        own = Ledger(os.dup(ledger.descriptor))
        own.begin(1)
        theirs.send(payload_of(1))
        own.begin(2)
        own.making(file)
        file.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    theirs.close()
    # Also what it had told before it died, with tasks unread.
    assert [news.held.key[0] for news in slot.news()] == ["first"]
    ran, back = slot.died()
    assert [held.key[0] for held in ran] == ["second"] and [held.key[0] for held in back] == ["third"]
    assert not file.exists()


def payload_of(number: int) -> bytes:
    from dhub.slot import ENDED, HEAD

    return HEAD.pack(ENDED, number, 0, 0) + wire.Outcome().SerializeToString()


# --- what a task leaves ----------------------------------------------------------------------------


@pytest.mark.parametrize("deed", deeds.DIRTY, ids=lambda deed: str(deed.__name__))
def test_a_process_is_as_it_was_after_a_call(executor: DhubExecutor, pool: Pool, deed: Callable[[], Any]) -> None:
    pool.workers("-j", 1)
    before = executor.submit(deeds.look).result(PATIENCE_S)
    left = executor.submit(deed).result(PATIENCE_S)
    assert executor.submit(deeds.look).result(PATIENCE_S) == before
    later = {deeds.alarm: 1.2, deeds.raises_later: 0.2}.get(deed, 0.0)
    assert executor.submit(time.sleep, later).result(PATIENCE_S) is None
    if deed is deeds.child:
        eventually(lambda: not Path(f"/proc/{left}").exists())
    if deed is deeds.closes:
        assert left == "closed" and "said before" in pool.log()


def test_what_an_initializer_has_set_stays_for_its_own_calls(executor: DhubExecutor, pool: Pool) -> None:
    pool.workers("-j", 1)
    with dhub.Hub() as hub:
        own = [executor.submit(deeds.Session("mine")).result(PATIENCE_S) for _ in range(3)]
        assert {it[1:] for it in own} == {(signal.SIG_IGN, "mine other")} and len({it[0] for it in own}) == 1
        plain = executor.submit(deeds.session).result(PATIENCE_S)
        assert plain[1:] == (signal.SIG_DFL, "none none") and plain[0] != own[0][0]
        other = executor.submit(deeds.Session("another")).result(PATIENCE_S)
        assert other[0] == plain[0] and other[2] == "another other"
        hub.create("command", command="echo ${SESSION:-none}")
        hub.wait_for(["command"])
        assert hub.show("command").attempts[0].output == b"none\n"
        assert all(it.attempt == 1 for it in hub.tasks())


def test_a_copy_that_a_call_has_forked_takes_no_calls(executor: DhubExecutor, pool: Pool, home: Path) -> None:
    pool.workers("-j", 1)
    log = str(home / "log")
    futures = [executor.submit(deeds.twice, log) for _ in range(5)]
    after = [executor.submit(deeds.note, log, 0.0, i) for i in range(50)]
    assert all(future.result(PATIENCE_S) > 0 for future in futures)
    assert [future.result(PATIENCE_S) for future in after] == list(range(50))
    lines = Counter((home / "log").read_text().split())
    assert lines.pop("None") == 5 and set(lines.values()) == {1}


def test_each_call_has_a_function_of_its_own(executor: DhubExecutor, pool: Pool) -> None:
    pool.workers("-j", 2)
    kept: list[int] = []
    for function in (functools.partial(deeds.add, []), deeds.Adder().add, lambda x: deeds.add(kept, x)):
        assert list(executor.map(function, range(10))) == [1] * 10
        # As in ProcessPoolExecutor: what is sent together is one.
        assert list(executor.map(function, range(10), chunksize=5)) == [1, 2, 3, 4, 5] * 2


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_kept_of_a_call(executor: DhubExecutor, pool: Pool, fails: bool) -> None:
    pool.workers("-j", 1)
    for _ in range(3):
        for function in (deeds.keeps, functools.partial(deeds.keeps, deeds.Precious(), fails)):
            arguments = (deeds.Precious(), fails) if function is deeds.keeps else ()
            assert (executor.submit(function, *arguments).exception(PATIENCE_S) is None) is not fails
        assert executor.submit(deeds.alive).result(PATIENCE_S) == 0


# --- results ---------------------------------------------------------------------------------------


def test_large_results_have_files_of_their_own(tmp_path: Path) -> None:
    names = set()
    for size in (100_000, 200_000):
        stdin, _ = payload.dumps_call(
            payload.ONE, payload.dumps(bytes, "the function"), pickle.dumps(((size,), {})), [], tmp_path, (), "name"
        )
        # As a worker runs it that says nothing of names.
        env = {name: value for name, value in os.environ.items() if not name.startswith("DHUB_TASK")}
        done = subprocess.run([sys.executable, "-m", "dhub.call"], input=stdin, capture_output=True, env=env)
        result = payload.Result("name", 1, "", done.stdout)
        names.add(payload.result_file(result))
        assert payload.loads_result(result, tmp_path, ()) == bytes(size)
    assert len(names) == 2 and None not in names


def test_a_large_exception_comes_whole(executor: DhubExecutor, pool: Pool) -> None:
    pool.workers("-j", 1)
    error = executor.submit(deeds.large_error, 1_000_000).exception(PATIENCE_S)
    assert isinstance(error, KeyError) and error.args == ("x" * 1_000_000, 1_000_000)
    assert "in large_error" in str(error.__cause__)
    del error
    gc.collect()
    eventually(lambda: not list(executor.shared.iterdir()))


def test_what_cannot_be_unpickled_fails_that_task_only(executor: DhubExecutor, pool: Pool) -> None:
    pool.workers("-j", 1)
    futures = [executor.submit(calls.same, it) for it in (1, deeds.NeverBack(), 2)]
    assert futures[0].result(PATIENCE_S) == 1 and futures[2].result(PATIENCE_S) == 2
    with pytest.raises(ValueError, match="no number"):
        futures[1].result(PATIENCE_S)


@pytest.mark.parametrize("at_once", [True, False])
def test_an_exception_that_exits_in_pickle_fails_its_task_only(
    executor: DhubExecutor, pool: Pool, at_once: bool
) -> None:
    pool.workers("-j", 1)
    pid = executor.submit(calls.pid, 0).result(PATIENCE_S)
    with pytest.raises(dhub.TaskFailed, match="Exits: as it says") as raised:
        executor.submit(deeds.exits, at_once).result(PATIENCE_S)
    assert not isinstance(raised.value, dhub.TaskKilled) and "in exits" in str(raised.value.__cause__)
    assert executor.submit(calls.pid, 0).result(PATIENCE_S) == pid


def test_what_is_too_deep_for_pickle_says_so_as_pickle_does(executor: DhubExecutor, pool: Pool) -> None:
    pool.workers("-j", 1)
    for future in (executor.submit(deeds.deep), executor.submit(calls.same, deeds.deep())):
        with pytest.raises(RecursionError):
            future.result(PATIENCE_S)
    assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9


def test_the_file_of_a_result_that_nobody_wants_is_removed(executor: DhubExecutor, pool: Pool, home: Path) -> None:
    pool.workers("-j", 1)
    begun = home / "begun"
    future = executor.submit(deeds.stubborn, str(begun), 1_000_000)
    eventually(begun.exists)
    with dhub.Hub() as hub:
        hub.cancel(future.name)
        time.sleep(0.2)
        (home / "begun.go").touch()
        assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9
        assert hub.show(future.name).task.state is State.CANCELLED
    assert not list(executor.shared.iterdir())


# --- calls that wait for calls -----------------------------------------------------------------------


def test_a_call_that_waits_for_calls_leaves_its_slot_to_them(executor: DhubExecutor, pool: Pool) -> None:
    pool.workers("-j", 1)
    assert executor.submit(deeds.depth, 4).result(PATIENCE_S) == 4
    assert [it.result(PATIENCE_S) for it in [executor.submit(deeds.depth, 2) for _ in range(8)]] == [2] * 8
    # Not more at the same time than it was told.
    assert executor.submit(calls.where).result(PATIENCE_S)[2] == "0"


# --- where it runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "streams", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full", "</dev/null >&- 2>/dev/full", "<&- >&2"], ids=repr
)
def test_a_worker_needs_no_streams(executor: DhubExecutor, pool: Pool, streams: str) -> None:
    pool.start("sh", "-c", f"exec '{sys.executable}' -m dhub.worker -j 1 {streams}")
    for _ in range(3):
        assert executor.submit(deeds.chatter, "some text").result(PATIENCE_S) == 9
    with dhub.Hub() as hub:
        hub.create_many([Task("command", command="echo out; echo err >&2; cat", stdin=b"in")])
        hub.wait_for(["command"])
        assert hub.show("command").attempts[0].output == b"out\nerr\nin"
        # It is told to leave, and can tell nobody.
        hub.drain("*")
    assert pool.processes[0].wait(PATIENCE_S) == 0


def test_nobody_reads_what_a_worker_says_of_an_empty_hub(server: Server) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        worker = [sys.executable, "-m", "dhub.worker", "-j", "1", "--until-done"]
        assert subprocess.run(worker, stdin=subprocess.DEVNULL, stderr=writing, timeout=PATIENCE_S).returncode == 0
    finally:
        os.close(writing)


def test_a_pool_without_a_hub_says_so_in_its_own_words(home: Path) -> None:
    def worker(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "dhub.worker", "-j", "1", "--timeout", "0.1", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        assert not re.search("access=|server=|insecure=", done.stderr), done.stderr
        return done.returncode, done.stderr

    code, told = worker("-s", "127.0.0.1:1")
    assert code == 11 and "give its access file with --access FILE or DHUB_ACCESS" in told
    assert "wants no key: --insecure or DHUB_INSECURE=1" in told
    code, told = worker()
    assert code == 7 and "another: -s or --access" in told
    code, told = worker("--access", str(home / "nope"))
    assert code == 26 and "nope" in told
    code, told = worker("-s", "no.such.machine.invalid", "--insecure")
    assert code == 7 and "'no.such.machine.invalid' is no name of a machine that can be found here" in told
    assert "-s ADDRESS:PORT, or DHUB_HUB" in told
    code, told = worker("-s", "127.0.0.1:1", "--insecure")
    assert code == 7 and "no hub answers at tcp://127.0.0.1:1 (waited 1 s)\n  start it with: dhub -f FILE" in told


def test_a_pool_that_had_an_answer_waits_for_its_hub(server: Server, pool: Pool) -> None:
    worker = pool.workers("-j", "1", "--timeout", "8")
    with DhubExecutor() as executor:
        assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9
        server.kill()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(9)
        server.start()
        assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9


def test_nohup_is_respected(executor: DhubExecutor, pool: Pool) -> None:
    worker = pool.start("sh", "-c", f"trap '' HUP; exec '{sys.executable}' -m dhub.worker -j 1")
    pid = executor.submit(os.getpid).result(PATIENCE_S)
    for target in (worker.pid, executor.submit(os.getppid).result(PATIENCE_S), pid):
        os.kill(target, signal.SIGHUP)
    assert executor.submit(os.getpid).result(PATIENCE_S) == pid
    assert "SIGHUP" not in pool.log()


# --- how many processes were left ------------------------------------------------------------------


def test_what_a_task_leaves_in_the_background_is_ended_and_counted(
    executor: DhubExecutor, hub: dhub.Hub, pool: Pool, home: Path
) -> None:
    hub.create("two", command=f"for i in 1 2; do sleep 1000 >{home}/$i 2>&1 & echo $! >>{home}/pids; done")
    pool.workers("-j", 1)
    hub.wait_for(["two"], timeout=PATIENCE_S)
    attempt = hub.show("two").attempts[0]
    assert (attempt.outcome, attempt.left_behind) == ("done", 2)
    for pid in (home / "pids").read_text().split():
        eventually(lambda: not Path(f"/proc/{pid}").exists())
    call = executor.submit(deeds.leave_behind)
    left = call.result(PATIENCE_S)
    eventually(lambda: not Path(f"/proc/{left}").exists())
    assert hub.show(call.name).attempts[0].left_behind == 1


def test_what_has_ended_in_the_background_was_not_left(hub: dhub.Hub, pool: Pool) -> None:
    names = [f"t{i}" for i in range(5)]
    hub.create_many([Task(name, command="true & sleep 0.1; echo $PPID") for name in names])
    pool.workers("-j", 1, "--until-done").wait(PATIENCE_S)
    shown = [hub.show(name).attempts[0] for name in names]
    assert [it.left_behind for it in shown] == [0] * 5
    # One process for all of them.
    assert shown[0].output.strip().isdigit() and len({it.output for it in shown}) == 1


def test_how_a_child_ended_is_not_lost_for_a_later_call(executor: DhubExecutor, pool: Pool) -> None:
    pool.workers("-j", 1)
    assert executor.submit(deeds.keep_child).result(PATIENCE_S)
    # Another process, or the child's own exit code: not 0, as of one that somebody else has waited for.
    assert executor.submit(deeds.ask_child).result(PATIENCE_S) in (None, 1)


# --- --halt --------------------------------------------------------------------------------------


@pytest.mark.parametrize("halt", ["soon,fail=1", "now,fail=1"])
def test_a_pool_that_has_enough_of_failures_leaves(hub: dhub.Hub, pool: Pool, home: Path, halt: str) -> None:
    long = f"echo >{home}/began; until test -e {home}/gate; do sleep 0.02; done"
    hub.create("long", command=long, priority=9)
    hub.create("bad", command=f"until test -e {home}/began; do sleep 0.02; done; exit 3", priority=8)
    hub.create_many([Task(name) for name in "ab"])
    worker = pool.workers("-j", 2, "--until-done", "--halt", halt)
    told = f"1 task failed here (--halt {halt}; dquery list --failed); "
    eventually(lambda: told in pool.log())
    if halt.startswith("soon"):
        assert "finishes 1 running task, gives the rest back" in pool.log()
        assert hub.show("long").task.state == State.RUNNING
        (home / "gate").touch()
    else:
        assert "ends 1 running task, gives all back" in pool.log()
    assert worker.wait(PATIENCE_S) == 1, pool.log()
    counts = hub.status().counts
    assert (counts.failed, counts.running) == (1, 0)
    # What was ended has not failed.
    assert (counts.done, counts.ready) == ((1, 2) if halt.startswith("soon") else (0, 3))
    assert hub.show("long").task.failures == 0


def test_what_a_pool_says_when_it_has_enough_of_failures_stays_true(
    executor: DhubExecutor, hub: dhub.Hub, pool: Pool
) -> None:
    worker = pool.workers("-j", 2, "--halt", "soon,fail=3")
    # So short that its processes are given many at a time.
    list(executor.map(abs, range(1000)))
    with executor._courier._changed:
        for _ in range(400):
            executor.submit(calls.fail, "at once")
    assert worker.wait(PATIENCE_S) == 1, pool.log()
    told = re.search(r"(\d+) tasks failed here .* finishes (\d+) running tasks?, gives", pool.log())
    assert told is not None, pool.log()
    failed, running = int(told[1]), int(told[2])
    counts = hub.status().counts
    assert running <= 2 and failed <= counts.failed <= failed + running, (counts, pool.log())


def test_a_part_of_what_ended_is_enough_from_the_third_failure_on(hub: dhub.Hub, pool: Pool) -> None:
    hub.create_many([Task(f"t{n}", command="false" if n % 4 == 3 else "true") for n in range(40)])
    worker = pool.workers("-j", 1, "--ahead", 0, "--halt", "soon,fail=25%", "--until-done")
    assert worker.wait(PATIENCE_S) == 1, pool.log()
    assert "3 tasks failed here (--halt soon,fail=25%;" in pool.log()
    counts = hub.status().counts
    assert (counts.failed, counts.done) == (3, 9)


@pytest.mark.parametrize(
    "text", ["", "now", "fail=1", "now,success=1", "now,fail=0", "now,fail=+1", "Now,fail=1", "now,fail=101%"]
)
def test_a_halt_that_means_nothing_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        worker_options(["--halt", text])
    assert ended.value.code == 2 and "--halt" in capsys.readouterr().err
    for good in ("now,fail=1", "soon,fail=5%"):
        assert str(worker_options(["--halt", good]).halt) == good
