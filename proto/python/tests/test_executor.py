"""`DhubExecutor` with a real hub and real workers."""

from __future__ import annotations

import asyncio
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, as_completed, wait
from pathlib import Path
from typing import Any

import calls
import pytest
from conftest import BINARIES, PATIENCE_S, Pool, Server, eventually

import dhub
from dhub import DhubExecutor, State
from dhub.payload import RemoteTraceback


@pytest.fixture
def executor(server: Server, pool: Pool) -> Iterator[DhubExecutor]:
    pool.workers("-j", 2)
    executor = DhubExecutor()
    yield executor
    executor.kill()
    executor.shutdown()


def test_calls_and_their_results(executor: DhubExecutor) -> None:
    assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9
    offset = 10
    assert list(executor.map(lambda x: x + offset, range(100))) == list(range(10, 110))
    assert list(executor.map(pow, [2, 3], [5, 2, 9])) == [32, 9]
    assert list(executor.map(calls.square, range(1000), chunksize=64)) == [x * x for x in range(1000)]
    assert executor.submit(dict, a=1, b=2).result() == {"a": 1, "b": 2}
    futures = [executor.submit(calls.square, x) for x in range(20)]
    assert sorted(it.result() for it in as_completed(futures, PATIENCE_S)) == [x * x for x in range(20)]
    name, attempt, slot = executor.submit(calls.where).result()
    assert name.startswith("where-") and attempt == "1" and slot in ("0", "1")


def test_callbacks_and_waiting(executor: DhubExecutor) -> None:
    heard: list[Any] = []
    done = threading.Event()

    def callback(future: Any) -> None:
        heard.append(future.result())
        done.set()

    executor.submit(calls.square, 4).add_done_callback(callback)
    assert done.wait(PATIENCE_S) and heard == [16]
    quick: Any = executor.submit(calls.square, 2)
    slow: Any = executor.submit(time.sleep, 60)
    first = wait([quick, slow], PATIENCE_S, FIRST_COMPLETED)
    assert first.done == {quick} and first.not_done == {slow}
    with pytest.raises(TimeoutError if sys.version_info >= (3, 11) else Exception):
        slow.result(0.05)
    assert slow.kill() and slow.cancelled()


def test_a_callback_that_blocks_holds_up_no_iterator(executor: DhubExecutor) -> None:
    expected, go_on = [0, 1, 4, 9], threading.Event()
    executor.submit(calls.square, 1).add_done_callback(lambda _: go_on.wait())
    try:
        assert list(executor.map(calls.square, range(4), timeout=PATIENCE_S)) == expected
        assert sorted(executor.map_unordered(calls.square, range(4), timeout=PATIENCE_S)) == expected
        assert sorted(executor.map_unordered(calls.square, range(4), timeout=PATIENCE_S, buffersize=1)) == expected
        assert dhub.map(calls.square, range(4), progress=True, executor=executor) == expected
    finally:
        go_on.set()
    # What goes on in a callback, too.
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def callback(_: Any) -> None:
        try:
            heard.put(sorted(executor.map_unordered(calls.square, range(4), timeout=PATIENCE_S)))
        except BaseException as error:
            heard.put(error)

    executor.submit(calls.square, 2).add_done_callback(callback)
    assert heard.get(timeout=2 * PATIENCE_S) == expected
    # What has ended before it is asked for, failed or was cancelled.
    failing = executor.map_unordered(calls.fail, ["no luck"])
    with pytest.raises(ValueError, match="no luck"):
        next(failing)


def test_exceptions_come_with_the_remote_traceback(executor: DhubExecutor) -> None:
    with pytest.raises(ValueError, match="no luck") as raised:
        executor.submit(calls.fail, "no luck").result(PATIENCE_S)
    cause = raised.value.__cause__
    assert isinstance(cause, RemoteTraceback) and "raise ValueError(text)" in str(cause) and "calls.py" in str(cause)
    with pytest.raises(dhub.TaskFailed, match="odd 1 2") as odd:
        executor.submit(calls.fail_oddly).result(PATIENCE_S)
    assert "raise Odd(1, 2)" in str(odd.value.__cause__)
    with pytest.raises(SystemExit):
        executor.submit(calls.exit_, 3).result(PATIENCE_S)
    wrong = executor.submit(calls.square, "x")
    assert isinstance(wrong.exception(PATIENCE_S), TypeError)
    task = dhub.Hub().show(wrong.name).task
    assert (task.command, task.state, task.exit_code) == ("python3 -m dhub.call", State.FAILED, 1)
    assert task.reason.startswith("TypeError: ")


def test_what_cannot_be_pickled_says_so(executor: DhubExecutor) -> None:
    lock = threading.Lock()
    arguments: Any = executor.submit(calls.square, lock)
    function: Any = executor.submit(lambda: lock)
    for failed, where in (
        (arguments, "an argument of square cannot be sent to a worker"),
        (function, "the function <lambda> cannot be sent to a worker"),
    ):
        with pytest.raises(TypeError, match="cannot pickle") as raised:
            failed.result(PATIENCE_S)
        assert type(raised.value) is TypeError and where in str(raised.value.__cause__)
    with pytest.raises(TypeError, match="cannot pickle") as raised:
        executor.submit(calls.unpicklable).result(PATIENCE_S)
    assert "the result cannot be sent back" in str(raised.value.__cause__)
    # Later items of a map, at their place; what comes after is cancelled.
    results = executor.map(calls.same, [1, 2, lock, 4])
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(TypeError, match="cannot pickle"):
        next(results)
    future = executor.submit(time.sleep, 60)
    with pytest.raises(TypeError):
        pickle.dumps(future)
    future.kill()


def test_a_crash_of_the_interpreter_fails_that_task_only(executor: DhubExecutor) -> None:
    before = [executor.submit(calls.square, x) for x in range(50)]
    crash = executor.submit(calls.segfault)
    killed = executor.submit(calls.kill_me, signal.SIGKILL)
    after = [executor.submit(calls.square, x) for x in range(50)]
    with pytest.raises(dhub.TaskKilled, match="SIGSEGV") as raised:
        crash.result(PATIENCE_S)
    assert raised.value.exit_code == 128 + signal.SIGSEGV
    with pytest.raises(BrokenExecutor, match="SIGKILL"):
        killed.result(PATIENCE_S)
    assert [it.result(PATIENCE_S) for it in before + after] == [x * x for x in range(50)] * 2
    assert {it.failures for it in dhub.Hub().tasks(names=[it.name for it in before + after])} == {0}


def test_futures_as_arguments_are_dependencies(executor: DhubExecutor) -> None:
    a, b = executor.submit(calls.square, 3), executor.submit(calls.square, 4)
    later = executor.submit(calls.total, [a, b, executor.submit(calls.add, a, b)])
    assert later.result(PATIENCE_S) == 50
    assert [it.name for it in dhub.Hub().show(later.name).needs][:2] == [a.name, b.name]
    # Done by now: its value goes along.
    assert executor.submit(calls.add, a, 1).result(PATIENCE_S) == 10
    bad = executor.submit(calls.fail, "bad")
    skipped = executor.submit(calls.add, bad, 1)
    with pytest.raises(dhub.TaskSkipped) as raised:
        skipped.result(PATIENCE_S)
    assert isinstance(raised.value.__cause__, ValueError)
    with pytest.raises(dhub.TaskSkipped):
        executor.submit(calls.add, bad, 1).result(PATIENCE_S)
    with DhubExecutor() as other, pytest.raises(TypeError, match="own executor"):
        other.submit(calls.add, executor.submit(time.sleep, 0.2), 1).result(PATIENCE_S)


def test_large_arguments_and_results_go_through_files_that_are_removed(executor: DhubExecutor) -> None:
    def files() -> list[str]:
        return sorted(it.name for it in executor.shared.iterdir())

    data = os.urandom(300_000)
    first = executor.submit(calls.repeat, data, 2)
    second = executor.submit(len, first)
    assert second.result(PATIENCE_S) == 600_000
    assert first.result(PATIENCE_S) == data * 2
    third = executor.submit(calls.repeat, first, 1)
    assert third.result(PATIENCE_S) == data * 2
    assert executor.shared.stat().st_mode & 0o077 == 0
    assert len(files()) == 2, files()  # the results that somebody holds
    # The middle: as large as the hub takes, and a little more.
    for size in (47_000, 50_000, 59_000, 61_000, 65_536):
        assert executor.submit(bytes, size).result(PATIENCE_S) == bytes(size)
        assert executor.submit(len, bytes(size)).result(PATIENCE_S) == size
    del first, second, third
    eventually(lambda: not files())


def test_cancel_before_and_kill_while_it_runs(executor: DhubExecutor, home: Path) -> None:
    hub = dhub.Hub()
    running = executor.submit(calls.sleep, str(home / "running"), 60)
    eventually((home / "running").exists)
    blocker = executor.submit(time.sleep, 60)
    waiting = [executor.submit(calls.square, x) for x in range(20)]
    dependent = executor.submit(calls.add, waiting[-1], 1)
    eventually(blocker.running)
    assert running.running() and not running.cancel() and not blocker.cancel() and not running.done()
    assert not waiting[0].running() and all(it.cancel() for it in waiting)
    assert running.kill() and blocker.kill() and not running.running()
    cancelled: list[Any] = [running, blocker, *waiting]
    for future in cancelled:
        with pytest.raises(CancelledError):
            future.result(PATIENCE_S)
    with pytest.raises(dhub.TaskSkipped):
        dependent.result(PATIENCE_S)
    assert running.cancel() and running.done()
    # The slots are free, so what ran was ended.
    assert executor.submit(calls.square, 5).result(PATIENCE_S) == 25
    eventually(lambda: hub.status().counts.running == 0)
    assert "ended" not in (home / "running").read_text()
    assert hub.show(running.name).task.state is State.CANCELLED


def test_a_task_that_others_cancel_or_fail(executor: DhubExecutor, home: Path) -> None:
    hub = dhub.Hub()
    future = executor.submit(calls.sleep, str(home / "begun"), 60)
    eventually((home / "begun").exists)
    hub.cancel(future.name)
    with pytest.raises(CancelledError):
        future.result(PATIENCE_S)
    limited = DhubExecutor(time_limit=0.3, retries=0)
    with pytest.raises(dhub.TaskFailed, match="timed out after 0.3 s"):
        limited.submit(time.sleep, 60).result(PATIENCE_S)
    limited.shutdown()
    with DhubExecutor(retries=2) as stubborn:
        assert stubborn.submit(calls.fail_until, str(home / "tries"), 2).result(PATIENCE_S) == 3


def test_map_cancels_what_nobody_asks_for(executor: DhubExecutor) -> None:
    hub = dhub.Hub()
    with pytest.raises(ValueError):
        list(executor.map(lambda x: calls.fail("at once") if x == 0 else time.sleep(60), range(20)))
    # What workers hold by then goes on.
    eventually(lambda: hub.status().counts.ready == 0)
    counts = hub.status().counts
    assert counts.running >= 1 and counts.cancelled == 19 - counts.running, counts
    executor.kill()
    eventually(lambda: hub.status().counts.finished == 20)
    threading.Timer(0.3, signal.pthread_kill, [threading.get_ident(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        dhub.map(time.sleep, [60] * 5, executor=executor)
    eventually(lambda: hub.status().counts.finished == 25)


def test_shutdown(executor: DhubExecutor, home: Path) -> None:
    hub = dhub.Hub()
    second = DhubExecutor()
    sleeping = [second.submit(time.sleep, 0.1) for _ in range(100)]
    eventually(sleeping[0].running)
    # What a worker holds goes on, and all the rest is cancelled. These are the first, so it does not hold many.
    second.shutdown(cancel_futures=True)
    assert all(it.done() for it in sleeping) and sleeping[0].result() is None
    assert sum(it.cancelled() for it in sleeping) > 50
    assert hub.status().counts.cancelled == sum(it.cancelled() for it in sleeping)
    with DhubExecutor() as first:
        futures = [first.submit(calls.square, x) for x in range(50)]
    assert all(it.done() for it in futures)
    with pytest.raises(RuntimeError, match="after shutdown"):
        first.submit(calls.square, 1)
    third = DhubExecutor()
    future = third.submit(calls.square, 6)
    third.shutdown(wait=False)
    assert future.result(PATIENCE_S) == 36
    eventually(lambda: hub.status().counts.running == 0)


def test_the_hub_is_killed_in_the_middle(executor: DhubExecutor, server: Server) -> None:
    futures = [executor.submit(calls.square, x) for x in range(3000)]
    futures[100].result(PATIENCE_S)
    server.kill()
    more = [executor.submit(calls.square, x) for x in range(100)]
    server.start()
    assert [it.result(PATIENCE_S) for it in futures + more] == [x * x for x in [*range(3000), *range(100)]]


def test_a_pool_is_killed_and_its_task_runs_again(server: Server, pool: Pool, home: Path) -> None:
    server.stop()
    server.options = ["--local", "--worker-timeout", "2s"]
    server.start()
    first = pool.workers("-j", 1)
    (home / "once.pool").write_text(str(first.pid))
    with DhubExecutor() as executor:
        future = executor.submit(calls.once, str(home / "once"))
        first.wait(PATIENCE_S)
        # What it had started is gone with it.
        child = int((home / "once").read_text())
        eventually(lambda: not Path(f"/proc/{child}").exists() or "zombie" in Path(f"/proc/{child}/status").read_text())
        pool.workers("-j", 1)
        assert future.result(PATIENCE_S) == "second time"
        assert dhub.Hub().show(future.name).task.attempt == 2


def test_a_call_on_its_last_try_waits_for_a_call_that_kills_their_only_pool(
    server: Server, pool: Pool, home: Path
) -> None:
    server.stop()
    server.options = ["--local", "--worker-timeout", "2s"]
    server.start()
    path, pools = home / "pill", 0
    start = f'echo $$ >{path.with_suffix(".pool")}; exec "$0" -m dhub.worker -j 1'
    with DhubExecutor() as executor, dhub.Hub() as hub:
        future = executor.submit_task(calls.survive, str(path), name="waits", priority=5)
        while not future.done():
            pools += 1
            assert pools <= 6, hub.show("waits").task
            process = pool.start("sh", "-c", start, sys.executable)
            eventually(lambda: future.done() or process.poll() is not None)
            eventually(lambda: future.done() or hub.status().counts.running == 0)
        # Both shared four pools. Then the last try of the one was beside that of the other, which waited and is spared.
        assert "took down 5 workers in a row" in future.result()
        assert (pools, path.read_text()) == (6, "xxxxx")
        assert [hub.show(name).task.reclaims for name in ("waits", "pill")] == [4, 5]


def test_a_kworker_runs_the_same_tasks(server: Server, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    pool.start(BINARIES / "kworker", "-j", 1)
    with DhubExecutor() as executor:
        future = executor.submit(calls.square, 7)
        assert future.result(PATIENCE_S) == 49
        assert executor.submit(calls.add, executor.submit(bytes, 20_000), b"").kill()
        assert len(executor.submit(bytes, 20_000).result(PATIENCE_S)) == 20_000
        with pytest.raises(ValueError, match="no luck"):
            executor.submit(calls.fail, "no luck").result(PATIENCE_S)


def test_in_a_running_event_loop_and_in_a_forked_child(executor: DhubExecutor) -> None:
    async def notebook() -> int:
        # As a cell of a notebook does.
        assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(executor, calls.square, 4)

    assert asyncio.run(notebook()) == 16
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if executor.submit(calls.square, 5).result(PATIENCE_S) == 25 else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert executor.submit(calls.square, 6).result(PATIENCE_S) == 36


def test_a_program_that_ends_leaves_its_tasks_to_the_hub(server: Server, pool: Pool) -> None:
    program = "import dhub, calls; [dhub.DhubExecutor(detach=True).submit(calls.square, x) for x in range(300)]"
    assert pool.start(sys.executable, "-c", program).wait(PATIENCE_S) == 0
    assert dhub.Hub().status().counts.ready == 300


@pytest.mark.parametrize("server", [["--worker-timeout", "2s"]], indirect=True)
def test_over_encrypted_tcp_by_an_access_file(server: Server, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    file = server.home / "ada.access"
    command = [BINARIES / "dhub", "access", "new", "ada", "--role", "submit", "--role", "work", "--to", file]
    assert pool.start(*command).wait(PATIENCE_S) == 0, pool.log()
    pool.workers("-j", 1, "--access", file)
    with DhubExecutor(access=file) as executor:
        assert executor.target.keys is not None
        # Longer than a lease: heartbeats go through, too.
        long = executor.submit(time.sleep, 3.5)
        assert executor.submit(calls.square, 7).result(PATIENCE_S) == 49
        assert long.result(PATIENCE_S) is None
        assert dhub.Hub(access=file).show(long.name).task.reclaims == 0
        # A task asks the same hub, in the same way.
        assert executor.submit(calls.grow, 1).result(PATIENCE_S) == ["grown-1-0", "grown-1-1"]
        for process in pool.processes[1:]:
            process.terminate()
            process.wait(PATIENCE_S)
        server.kill()
        server.start()
        pool.workers("-j", 1, "--access", file)
        assert executor.submit(calls.square, 8).result(PATIENCE_S) == 64


def test_no_hub_ever_answers_again(server: Server) -> None:
    with DhubExecutor(hub_timeout=0.5) as executor:
        future = executor.submit(calls.square, 1)
        eventually(lambda: dhub.Hub().status().counts.ready == 1)
        server.kill()
        with pytest.raises(dhub.NoHub):
            future.result(PATIENCE_S)
        with pytest.raises(dhub.NoHub):
            executor.submit(calls.square, 1)


CTRL_C_AT_THE_END = """
import os, signal, sys, threading, time, traceback
import dhub

def executor_with_a_task():
    executor = dhub.DhubExecutor()
    executor.submit(time.sleep, 60)
    while not dhub.Hub().status().counts.ready:
        time.sleep(0.01)
    return executor

def interrupt(me):
    names = []
    while not {"_end_of_program", "join"} <= set(names):
        names = [it.f_code.co_name for it, _ in traceback.walk_stack(sys._current_frames()[me])]
    os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
first = executor_with_a_task()
print("has one", flush=True)
sys.stdin.readline()
second = executor_with_a_task()
threading.Thread(target=interrupt, args=[threading.get_ident()], daemon=True).start()
"""


def test_ctrl_c_at_the_end_asks_every_hub(server: Server, home: Path) -> None:
    """That one of them is silent spares the others no task, and makes it no end of another kind."""
    child = subprocess.Popen(
        [sys.executable, "-c", CTRL_C_AT_THE_END], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == b"has one\n"
        server.kill()
        (home / "second").mkdir()
        second = Server(home / "second", ["--local"])
        try:
            _, told = child.communicate(b"\n", timeout=PATIENCE_S)
            assert b"KeyboardInterrupt" in told and b"was not cancelled: no hub answers" in told, told.decode()
            assert dhub.Hub().status().counts.cancelled == 1
        finally:
            second.stop()
    finally:
        child.kill()
        child.wait()
