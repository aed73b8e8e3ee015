"""What `concurrent.futures` promises of a `ProcessPoolExecutor`, and this one keeps."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import calls
import pytest
from conftest import PATIENCE_S, Pool, Server, eventually

import dhub
from dhub import DhubExecutor


@pytest.fixture
def executor(server: Server, pool: Pool) -> Iterator[DhubExecutor]:
    pool.workers("-j", 2)
    executor = DhubExecutor()
    yield executor
    executor.kill()
    executor.shutdown()


def program(text: str) -> subprocess.CompletedProcess[str]:
    """Runs a program that has an executor."""
    head = "import atexit, calls, dhub, os, time\nexecutor = dhub.DhubExecutor()\n"
    return subprocess.run([sys.executable, "-c", head + text], capture_output=True, text=True, timeout=PATIENCE_S)


def files(executor: DhubExecutor) -> list[str]:
    return sorted(it.name for it in executor.shared.iterdir())


def test_what_was_cancelled_does_not_run(executor: DhubExecutor, home: Path) -> None:
    done = program(f"""
futures = [executor.submit(calls.sleep, {str(home)!r} + f"/ran-{{i}}", 0.3) for i in range(20)]
print(sum(future.cancel() for future in futures))
""")
    assert done.returncode == 0, done.stderr
    # The program has waited for the others.
    assert 20 - len(list(home.glob("ran-*"))) == int(done.stdout) > 0
    assert all("ended" in it.read_text() for it in home.glob("ran-*"))


def test_a_shutdown_that_does_not_wait_cancels_all_the_same(executor: DhubExecutor, home: Path) -> None:
    done = program(f"""
futures = [executor.submit(calls.sleep, {str(home)!r} + f"/ran-{{i}}", 0.3) for i in range(20)]
executor.shutdown(wait=False, cancel_futures=True)
print(sum(future.cancelled() for future in futures))
""")
    assert done.returncode == 0, done.stderr
    assert 20 - len(list(home.glob("ran-*"))) == int(done.stdout) > 0


def test_the_end_of_a_program_waits_with_its_callbacks(executor: DhubExecutor) -> None:
    done = program("""
atexit.register(lambda: print("atexit"))
executor.submit(time.sleep, 0.5).add_done_callback(lambda future: (time.sleep(0.5), print("called back")))
executor.shutdown(wait=False)
print("main")
""")
    assert (done.returncode, done.stdout.split("\n")) == (0, ["main", "called back", "atexit", ""]), done.stderr


def test_nothing_is_submitted_once_the_program_ends(executor: DhubExecutor) -> None:
    done = program("""
@atexit.register
def late():
    try:
        executor.submit(id, None)
    except RuntimeError as error:
        print(error)
executor.submit(id, 42).result()
""")
    assert (done.returncode, done.stdout) == (0, "cannot schedule new futures after interpreter shutdown\n"), done.stderr


def test_no_file_stays(executor: DhubExecutor) -> None:
    data = os.urandom(200_000)
    blockers = [executor.submit(time.sleep, 60) for _ in range(2)]
    eventually(lambda: all(it.running() for it in blockers))
    waiting = [executor.submit(calls.same, data) for _ in range(3)]
    assert len(files(executor)) == 3
    assert all(it.cancel() for it in waiting) and not files(executor)
    assert all(it.kill() for it in blockers)
    done = program("""
kept = executor.submit(calls.same, os.urandom(200_000))
kept.result()
late = [executor.submit(calls.same, os.urandom(200_000)) for _ in range(3)]
if os.fork() == 0:
    raise SystemExit  # the child has the same futures, and ends first
os.wait()
assert len(kept.result()) == 200_000
executor.shutdown(wait=False)
""")
    assert done.returncode == 0, done.stderr
    assert not files(executor)


def test_nothing_is_scattered_after_a_shutdown(executor: DhubExecutor) -> None:
    idle, other = DhubExecutor(), DhubExecutor()
    for it in (idle, other):
        kept = it.scatter(list(range(1000)))
        assert it is idle or it.submit(len, kept).result(PATIENCE_S) == 1000
        assert files(executor)
        it.shutdown()
        # Also of one that never had a task.
        assert not files(executor)
        with pytest.raises(RuntimeError, match="after shutdown"):
            it.scatter([1])
    done = program("""
import threading
blocker = executor.submit(time.sleep, 0.2)
# As one that waits for its disk while another thread shuts the executor down.
store, wrote = executor.store, dhub.private.write
def slow(*args):
    executor.shutdown()
    wrote(*args)
dhub.private.write = slow
try:
    store.put("late")
except RuntimeError as error:
    print(error)
""")
    assert (done.stdout, done.stderr) == ("cannot scatter after shutdown\n", "") and not files(executor)


def test_a_child_that_was_forked_scatters_for_itself(executor: DhubExecutor) -> None:
    done = program("""
kept = executor.scatter([1, 2])
if os.fork() == 0:
    print(executor.submit(len, executor.scatter([1, 2, 3])).result(60), flush=True)
    executor.shutdown()
    os._exit(0)
assert os.wait()[1] == 0
print(executor.submit(len, kept).result(60))
""")
    assert (done.stdout, done.stderr) == ("3\n2\n", "") and not files(executor)


def test_a_callback_that_blocks_holds_up_no_result(executor: DhubExecutor) -> None:
    go = threading.Event()
    first = executor.submit(calls.square, 1)
    first.add_done_callback(lambda future: go.wait(PATIENCE_S))
    assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9
    # And it can wait for others.
    heard: list[int] = []
    second = executor.submit(calls.square, 4)
    second.add_done_callback(lambda future: heard.append(executor.submit(calls.square, 5).result(PATIENCE_S)))
    go.set()
    eventually(lambda: heard == [25])


def test_wrong_arguments_are_refused_by_name(server: Server) -> None:
    with pytest.raises(TypeError, match="max_workers=4"):
        DhubExecutor(4)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="mp_context"):
        DhubExecutor(mp_context=None)  # type: ignore[call-arg]
    for number in (0, -1):
        with pytest.raises(ValueError, match="max_workers must be greater than 0"):
            DhubExecutor(max_workers=number)
        with pytest.raises(ValueError, match="max_tasks_per_child must be >= 1"):
            DhubExecutor(max_tasks_per_child=number)
    with pytest.raises(TypeError, match="max_tasks_per_child must be an integer"):
        DhubExecutor(max_tasks_per_child=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="initializer must be a callable"):
        DhubExecutor(initializer=3)  # type: ignore[arg-type]
    with DhubExecutor() as executor:
        with pytest.raises(ValueError, match="chunksize must be >= 1"):
            executor.map(abs, [1], chunksize=0)
        with pytest.raises(ValueError, match="buffersize must be None or > 0"):
            executor.map(abs, [1], buffersize=0)
        with pytest.raises(TypeError, match="buffersize must be an integer or None"):
            executor.map(abs, [1], buffersize=1.5)  # type: ignore[arg-type]


def test_a_limit_for_one_executor(executor: DhubExecutor, pool: Pool, home: Path) -> None:
    pool.workers("-j", 2)
    with DhubExecutor(max_workers=2) as limited:
        futures = [limited.submit(calls.at_once, str(home / "limit"), 0.05) for _ in range(20)]
        assert futures[-1].cancel() and not futures[-1].running()
        late = limited.submit(calls.add, futures[-1], 1)
        assert max(it.result(PATIENCE_S) for it in futures[:-1]) == 2
        with pytest.raises(dhub.TaskSkipped):
            late.result(PATIENCE_S)


def test_an_initializer(executor: DhubExecutor) -> None:
    with DhubExecutor(initializer=calls.initialize, initargs=("there",)) as prepared:
        assert set(prepared.map(calls.initialized, range(50))) == {("there", 1)}
        assert set(prepared.map(calls.initialized, range(50), chunksize=5)) == {("there", 1)}
        # Also of what is put back after each call; and nothing of it is seen by others.
        with DhubExecutor(initializer=calls.set_variable, initargs=("SEEN", "here")) as other:
            assert set(other.map(os.getenv, ["SEEN"] * 20)) == {"here"}
            assert set(executor.map(os.getenv, ["SEEN"] * 20)) == {None}
    broken = DhubExecutor(initializer=calls.fail, initargs=("not today",))
    futures = [broken.submit(calls.square, i) for i in range(10)]
    for future in futures:
        with pytest.raises(BrokenExecutor, match="not today"):
            future.result(PATIENCE_S)
    with pytest.raises(BrokenExecutor, match="not today"):
        broken.submit(calls.square, 1)
    broken.shutdown()
    eventually(lambda: dhub.Hub().status().counts.ready == dhub.Hub().status().counts.running == 0)
    assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9


def test_a_process_for_so_many_tasks(executor: DhubExecutor) -> None:
    with DhubExecutor(max_tasks_per_child=3) as changing:
        pids = list(changing.map(calls.pid, range(30)))
        assert max(pids.count(pid) for pid in pids) == 3
        chunks = list(changing.map(calls.pid, range(60), chunksize=5))
        assert max(chunks.count(pid) for pid in chunks) == 15


def test_calls_that_wait_for_calls_in_any_way(executor: DhubExecutor) -> None:
    assert list(executor.map(calls.fan, range(8))) == [[0, 1, 4]] * 8


class Exiting:
    """Exits when it is pickled."""

    def __reduce__(self) -> Any:
        sys.exit(3)

    def method(self) -> None:
        pass


def test_what_exits_while_it_is_pickled_ends_its_future_only(executor: DhubExecutor) -> None:
    for future in (executor.submit(calls.same, Exiting()), executor.submit(Exiting().method)):
        with pytest.raises(SystemExit):
            future.result(PATIENCE_S)
    assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9


def test_more_calls_wait_for_calls_than_a_pool_has_processes(server: Server, pool: Pool) -> None:
    """The newest of those that wait are ended, with the reason; the others come to their end."""
    few = "import dhub.crew, dhub.worker; dhub.crew.AWAY_MAX = 3; dhub.worker.main(['-j', '2'])"
    pool.start(sys.executable, "-c", few)
    with DhubExecutor() as executor:
        futures = [executor.submit(calls.behind_the_gate, i) for i in range(8)]
        eventually(lambda: any(it.done() for it in futures))
        assert executor.submit_task(calls.square, 3, name="gate").result(PATIENCE_S) == 9
        errors = [it.exception(PATIENCE_S) for it in futures]
        assert [it.result() for it, error in zip(futures, errors) if error is None] == [
            i for i, error in enumerate(errors) if error is None
        ]
        ended = [error for error in errors if error is not None]
        assert 1 <= len(ended) <= 5
        for error in ended:
            assert isinstance(error, dhub.TaskKilled)
            assert "more than 3 calls of this pool wait for other calls: no process is left for those" in str(error)
        assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9


def test_what_calls_print_comes_out_here(executor: DhubExecutor, capsys: pytest.CaptureFixture[str]) -> None:
    with DhubExecutor(stdout=True) as loud:
        first = loud.submit(calls.say, "one")
        assert first.result(PATIENCE_S) == "one" and capsys.readouterr().out == "one\n"
        assert loud.submit(calls.say, loud.submit(calls.say, "two")).result(PATIENCE_S) == "two"
        assert capsys.readouterr().out == "two\ntwo\n"
        assert list(loud.map(calls.say, "abc", chunksize=2)) == ["a", "b", "c"]
        assert sorted(capsys.readouterr().out.split()) == ["a", "b", "c"]
        with pytest.raises(ValueError, match="three"):
            loud.submit(calls.say, "three", ValueError).result(PATIENCE_S)
        assert capsys.readouterr().out == "three\n"


def test_infinite_iterables(executor: DhubExecutor) -> None:
    asked = itertools.count()
    squares = executor.map(calls.square, asked, buffersize=4)
    assert list(itertools.islice(squares, 20)) == [x * x for x in range(20)]
    assert 20 <= next(asked) <= 26
    both = executor.map(pow, itertools.count(), itertools.repeat(2), chunksize=3, buffersize=2)
    assert list(itertools.islice(both, 20)) == [x * x for x in range(20)]
    loose = executor.map_unordered(calls.square, itertools.count(), buffersize=4)
    assert {next(loose) for _ in range(20)} <= {x * x for x in range(30)}


def test_results_as_they_end(executor: DhubExecutor) -> None:
    start = time.monotonic()
    results = executor.map_unordered(calls.sleep_for, [30, 0, 0.1])
    assert [next(results), next(results)] == [0, 0.1]
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() < start + 30
    with pytest.raises(Exception) as raised:
        list(executor.map_unordered(calls.sleep_for, [5], timeout=0.05))
    assert type(raised.value).__name__ == "TimeoutError"
    assert list(executor.starmap(pow, [(2, 3), (3, 2)])) == [8, 9]
    assert sorted(executor.map_unordered(calls.square, range(100), chunksize=7)) == [x * x for x in range(100)]


class Thing:
    def method(self) -> int:
        return 1


def test_references_are_dropped(executor: DhubExecutor) -> None:
    gc.disable()
    try:
        thing = Thing()
        gone: Any = weakref.ref(thing)
        future = executor.submit(thing.method)
        del thing
        assert future.result(PATIENCE_S) == 1
        eventually(lambda: gone() is None)
        for results in (
            executor.map(calls.thing, range(10)),
            executor.map(calls.thing, range(10), chunksize=4),
            executor.map_unordered(calls.thing, range(10)),
        ):
            count = 0
            while (last := next(results, None)) is not None:
                gone, last, count = weakref.ref(last), None, count + 1
                eventually(lambda: gone() is None)
            assert count == 10
        failed = executor.submit(calls.fail_weakly)
        lost = weakref.ref(failed.exception(PATIENCE_S))
        del failed
        eventually(lambda: lost() is None)
        sent = executor.submit(calls.same, calls.Thing())
        gone = weakref.ref(sent.result(PATIENCE_S))
        del sent
        eventually(lambda: gone() is None)
    finally:
        gc.enable()


def test_a_task_by_its_own_name(executor: DhubExecutor) -> None:
    hub = dhub.Hub()
    hub.create("before", command="true")
    first = executor.submit_task(calls.square, 3, name="nine", priority=7, retries=2, time_limit=60, needs=["before"])
    assert first.result(PATIENCE_S) == 9 and "task='nine'" in repr(first)
    task = hub.show("nine").task
    assert (task.priority, task.retries, task.time_limit, [it.name for it in hub.show("nine").needs]) == (
        7,
        2,
        60.0,
        ["before"],
    )
    # The same again is that task; another is refused.
    again = executor.submit_task(calls.square, 3, name="nine", priority=7, retries=2, time_limit=60, needs=["before"])
    assert again.result(PATIENCE_S) == 9 and hub.show("nine").task.attempt == 1
    with pytest.raises(dhub.Conflict):
        executor.submit_task(calls.square, 4, name="nine").result(PATIENCE_S)
    bad = executor.submit(calls.fail, "bad")
    with pytest.raises(dhub.TaskSkipped):
        executor.submit_task(calls.add, 1, needs=[bad], kwargs={}).result(PATIENCE_S)


def test_by_value_counts_for_arguments(executor: DhubExecutor, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cloudpickle

    (home / "only_here.py").write_text("def twice(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(str(home))
    import only_here  # type: ignore[import-not-found]

    with pytest.raises(ModuleNotFoundError):
        executor.submit(calls.apply, only_here.twice, 4).result(PATIENCE_S)
    cloudpickle.register_pickle_by_value(only_here)
    try:
        assert executor.submit(calls.apply, only_here.twice, 4).result(PATIENCE_S) == 8
        assert executor.submit(only_here.twice, 4).result(PATIENCE_S) == 8
    finally:
        cloudpickle.unregister_pickle_by_value(only_here)


def test_what_cannot_be_unpickled_fails_that_task_only(executor: DhubExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        executor.submit(calls.same, calls.Unopenable()).result(PATIENCE_S)
    assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9


def test_the_rest_of_a_map_is_cancelled_in_one_go(executor: DhubExecutor) -> None:
    blockers: list[Any] = [executor.submit(time.sleep, 60) for _ in range(2)]
    eventually(lambda: all(it.running() for it in blockers))
    begin = time.monotonic()
    results = executor.map(calls.square, range(5000), timeout=0.1)
    with pytest.raises(Exception) as raised:
        next(results)
    assert type(raised.value).__name__ == "TimeoutError"
    counts = dhub.Hub().status().counts
    assert (counts.ready, counts.done) == (0, 0)  # those that were not on their way never came to the hub
    assert not executor._courier._inbox or executor._courier.futures() == blockers
    assert time.monotonic() < begin + 30
