"""Tasks whose name somebody chose, and chooses again: what one future of such a task gets, all of them get."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import calls
import pytest
from conftest import PATIENCE_S, Pool, Server, eventually

import dhub
from dhub import DhubExecutor


@pytest.fixture
def executor(server: Server) -> Iterator[DhubExecutor]:
    """Without workers, until the test starts some."""
    executor = DhubExecutor()
    yield executor
    executor.kill()
    executor.shutdown()


def test_futures_of_one_task_share_its_result(executor: DhubExecutor, pool: Pool) -> None:
    futures = [executor.submit_task(calls.square, 3, name="same") for _ in range(3)]
    later = executor.submit(calls.total, futures)
    failed = [executor.submit_task(calls.fail, "no luck", name="fails") for _ in range(2)]
    pool.workers("-j", 2)
    assert [it.result(PATIENCE_S) for it in futures] == [9, 9, 9] and later.result(PATIENCE_S) == 27
    assert all(isinstance(it.exception(PATIENCE_S), ValueError) for it in failed)
    # When it has ended, the hub knows.
    assert executor.submit_task(calls.square, 3, name="same").result(PATIENCE_S) == 9
    assert dhub.Hub().show("same").task.attempt == 1
    executor.shutdown()


def test_a_limit_of_tasks_counts_one_task_once(server: Server, pool: Pool) -> None:
    with DhubExecutor(max_workers=1) as executor:
        blocker = executor.submit(calls.square, 2)
        futures: list[Any] = [executor.submit_task(calls.square, 3, name="same") for _ in range(3)]
        after = executor.submit(calls.square, 4)
        pool.workers("-j", 1)
        assert [it.result(PATIENCE_S) for it in [blocker, *futures, after]] == [4, 9, 9, 9, 16]


def test_while_it_is_pending_another_definition_is_a_conflict(executor: DhubExecutor, pool: Pool) -> None:
    first = executor.submit_task(calls.square, 3, name="same")
    others = [
        executor.submit_task(calls.square, 4, name="same"),
        executor.submit_task(calls.square, 3, name="same", priority=1),
    ]
    for other in others:
        with pytest.raises(dhub.Conflict, match="'same' exists with another definition") as raised:
            other.result(PATIENCE_S)
        assert raised.value.names == ("same",)
        with pytest.raises(dhub.TaskSkipped):
            executor.submit(calls.add, other, 1).result(PATIENCE_S)
    pool.workers("-j", 1)
    assert first.result(PATIENCE_S) == 9


@pytest.mark.parametrize("max_workers", [None, 1], ids=["in the hub", "here"])
def test_cancel_cancels_all_futures_of_a_task(server: Server, pool: Pool, max_workers: int | None) -> None:
    with DhubExecutor(max_workers=max_workers) as executor:
        blocker = executor.submit(calls.square, 2)
        futures = [executor.submit_task(calls.square, 3, name="same") for _ in range(3)]
        # With a limit the task is still here: the blocker is the only one that the hub has.
        eventually(lambda: dhub.Hub().status().counts.ready == (1 if max_workers else 2))
        assert futures[1].cancel() and all(it.cancelled() for it in futures)
        with pytest.raises(CancelledError):
            futures[2].result(PATIENCE_S)
        again = executor.submit_task(calls.square, 3, name="same")
        pool.workers("-j", 1)
        assert blocker.result(PATIENCE_S) == 4
        if max_workers:  # the hub has not heard of the first
            assert again.result(PATIENCE_S) == 9
        else:
            with pytest.raises(CancelledError):
                again.result(PATIENCE_S)
        # One that has ended is not cancelled, whatever has its name.
        executor.kill([blocker])


def test_shutdown_takes_all_futures_of_a_task_back(server: Server) -> None:
    executor = DhubExecutor()
    futures = [executor.submit_task(calls.square, 3, name="same") for _ in range(3)]
    executor.shutdown(cancel_futures=True)
    assert all(it.cancelled() for it in futures)


def test_its_result_is_this_ones(executor: DhubExecutor, pool: Pool, home: Path) -> None:
    """Also where it is large, or its argument is, and in another executor."""
    pool.workers("-j", 2)
    large = b"y" * 3_000_000
    for name, fn, argument, expected in (
        ("large result", bytes, len(large), bytes(len(large))),
        ("large argument", len, large, len(large)),
        ("small", calls.square, 3, 9),
    ):
        call: Any = fn
        assert executor.submit_task(call, argument, name=name).result(PATIENCE_S) == expected
        gc.collect()
        with DhubExecutor() as other:
            assert other.submit_task(call, argument, name=name).result(PATIENCE_S) == expected
            # The same call, but another definition: what the first needs, stays.
            assert isinstance(other.submit_task(call, argument, name=name, priority=5).exception(), dhub.Conflict)
        gc.collect()
        assert executor.submit_task(call, argument, name=name).result(PATIENCE_S) == expected
        assert dhub.Hub().show(name).task.attempt == 1
    # One file of each, however often it was asked for; the hub can try it again.
    assert sorted(it.suffix for it in executor.shared.iterdir()) == [".call", ".result"]
    tries = str(home / "tries")
    failed = executor.submit_task(calls.fail_until, tries, 1, large, name="again")
    assert isinstance(failed.exception(PATIENCE_S), RuntimeError)
    dhub.Hub().retry("again")
    assert executor.submit_task(calls.fail_until, tries, 1, large, name="again").result(PATIENCE_S) == 2


def test_what_executors_print_is_no_other_definition(server: Server, pool: Pool) -> None:
    pool.workers("-j", 1)
    for _ in range(2):
        with DhubExecutor(stdout=True) as executor:
            assert executor.submit_task(calls.square, 3, name="same").result(PATIENCE_S) == 9
    # A process that is initialized belongs to one executor, so this is a part of the definition.
    with DhubExecutor(initializer=calls.initialize, initargs=("x",)) as executor:
        assert executor.submit_task(calls.square, 4, name="initialized").result(PATIENCE_S) == 16
    with DhubExecutor(initializer=calls.initialize, initargs=("x",)) as executor:
        assert isinstance(
            executor.submit_task(calls.square, 4, name="initialized").exception(PATIENCE_S), dhub.Conflict
        )


def test_one_conflict_leaves_the_rest_of_its_batch(executor: DhubExecutor, pool: Pool) -> None:
    hub = dhub.Hub()
    for name in ("taken", "taken too"):
        hub.create(name, command="true", priority=-1)
    with executor._courier._changed:  # until all are there, so that they go together
        first = executor.submit(calls.square, 2)
        taken: list[Any] = [executor.submit_task(calls.square, 3, name=name) for name in ("taken", "taken too")]
        needs = executor.submit(calls.add, taken[0], 1)
        further = executor.submit(calls.add, needs, 1)
        named = executor.submit_task(calls.add, taken[1], 1, name="named")
        after = executor.submit(calls.add, first, 1)
        unlucky = executor.submit_task(calls.square, 5, name="free", needs=["not there"])
    pool.workers("-j", 2)
    assert first.result(PATIENCE_S) == 4 and after.result(PATIENCE_S) == 5
    for future, name in zip(taken, ("taken", "taken too")):
        with pytest.raises(dhub.Conflict, match=f"'{name}' exists with another definition; nothing was") as raised:
            future.result(PATIENCE_S)
        assert raised.value.names == (name,)
    for future in (needs, further, named):
        with pytest.raises(dhub.TaskSkipped) as skipped:
            future.result(PATIENCE_S)
        assert isinstance(skipped.value.__cause__, dhub.Conflict)
    # What the hub did not take is not there, and did no harm to what is.
    names = {it.name for it in hub.tasks(states=[state for state in dhub.State if state > dhub.State.MISSING])}
    assert names == {"taken", "taken too", first.name, after.name, "free"}
    assert hub.show("free").task.state == dhub.State.WAITING and unlucky.cancel()


def test_options_of_the_wrong_type_are_refused_by_name(executor: DhubExecutor) -> None:
    future = executor.submit(calls.square, 2)
    wrong: dict[str, list[Any]] = {
        "priority is a whole number": ["x", 1.5, b"1"],
        "retries is a whole number": ["x", 1.5],
        "time_limit is a number of seconds": ["x", [1]],
        "name is a str": [3, b"bytes"],
        "needs are futures, or names of tasks, in a list": ["abc", future, 3, [3], [None]],
        "kwargs is a mapping": ["ab", [1], 3],
    }
    for text, values in wrong.items():
        for value in values:
            with pytest.raises(TypeError) as raised:
                executor.submit_task(calls.square, 3, **{text.split()[0]: value})
            assert str(raised.value).startswith(text), (text, value)
            assert repr(value[0] if text.startswith("needs") and isinstance(value, list) else value) in str(raised.value)
    out_of_range: dict[str, list[Any]] = {
        "priority must be": [2**31, -(2**31) - 1],
        "retries must be": [-1, 1_000_001],
        "time_limit must be": [-1, -1.0, float("nan"), float("inf"), 1e20],
    }
    for text, values in out_of_range.items():
        for value in values:
            with pytest.raises(ValueError) as outside:
                executor.submit_task(calls.square, 3, **{text.split()[0]: value})
            assert str(outside.value).startswith(text) and repr(value) in str(outside.value), (text, value)
    for name in ("", "a\0b", "é" * 513):
        for options in ({"name": name}, {"needs": [name]}):
            with pytest.raises(ValueError, match="must have 1 to 1024 bytes, and no NUL"):
                executor.submit_task(calls.square, 3, **options)
    for options in ({"name": "\ud800x"}, {"needs": ["\ud800"]}):
        with pytest.raises(ValueError, match="^(a )?name .*must be text that UTF-8 can hold"):
            executor.submit_task(calls.square, 3, **options)
    with pytest.raises(ValueError, match="^time_limit must be"):
        executor.submit_task(calls.square, 3, time_limit=10**400)
    loose: Any = DhubExecutor
    for option in ("priority", "retries", "time_limit"):
        with pytest.raises(TypeError, match=f"^{option} is a"):
            loose(**{option: "x"})
    with pytest.raises(TypeError, match="^initargs is a tuple"):
        loose(initializer=calls.initialize, initargs=3)
    assert not [it for it in executor._courier.futures() if it is not future]
    assert executor.submit_task(calls.square, 3, priority=-1, retries=0, time_limit=2, needs=(future, "a")).cancel()


def test_one_that_the_hub_does_not_take_leaves_the_rest_of_its_batch(executor: DhubExecutor, pool: Pool) -> None:
    many = [f"need-{i}" for i in range(65_537)]
    with executor._courier._changed:
        futures = [executor.submit(calls.square, x) for x in range(9)]
        wrong = executor.submit_task(calls.square, 0, needs=many)
        futures += [executor.submit(calls.square, x) for x in range(9, 20)]
    pool.workers("-j", 2)
    assert [it.result(PATIENCE_S) for it in futures] == [x * x for x in range(20)]
    with pytest.raises(dhub.OverLimit, match="dependencies of 'square"):
        wrong.result(PATIENCE_S)
    assert executor.submit(calls.square, 3).result(PATIENCE_S) == 9


NEEDS = """
import sys
import dhub
executor = dhub.DhubExecutor()
future = executor.submit_task(abs, -3, name="-waits", needs=["prep", "never added", "later"])
future.add_done_callback(lambda it: print(it.result()))
"""


def test_a_name_that_nobody_adds_is_told(hub: dhub.Hub, pool: Pool) -> None:
    """At the end of the program, which waits for it."""
    pool.workers("-j", 1)
    hub.create("prep", command="true")
    program = pool.start(sys.executable, "-c", NEEDS)
    eventually(lambda: "later" in hub.status().missing)
    hub.create("later", command="true")
    told = (
        "dhub: 1 name that nobody added is waited for: never added\n"
        "  add it: dquery create 'never added'      or give up what waits: dquery cancel -- -waits\n"
    )
    eventually(lambda: told in pool.log())
    hub.create("never added", command="true")
    assert program.wait(PATIENCE_S) == 0
    # Once, and nothing of those that came in time.
    assert (pool.home / "process-1.log").read_text() == told + "3\n"


def test_a_name_that_nobody_adds_is_told_while_its_result_is_waited_for(
    executor: DhubExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    future = executor.submit_task(abs, -3, needs=[f"never-{i}" for i in range(12)])
    eventually(lambda: caplog.messages)
    assert "12 names that nobody added are waited for: never-0, never-1, " in caplog.text and ", …\n" in caplog.text
    assert future.cancel()


def test_of_more_names_than_are_asked_for_at_a_time_the_last_is_told(
    hub: dhub.Hub, executor: DhubExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    there = [f"there-{i}" for i in range(1200)]
    hub.create_many(dhub.Task(name) for name in there)
    future = executor.submit_task(abs, -3, needs=[*there, "never"])
    eventually(lambda: "1 name that nobody added is waited for: never\n" in caplog.text)
    assert future.cancel()


def test_that_no_worker_is_alive_is_told(executor: DhubExecutor, pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    futures = [executor.submit(abs, -x) for x in range(3)]
    eventually(lambda: "dhub: 3 calls wait, and no worker is alive: python -m dhub.worker -j N" in caplog.messages)
    pool.workers("-j", 1)
    assert [it.result(PATIENCE_S) for it in futures] == [0, 1, 2]


LEFT = """
import time
import dhub
with dhub.DhubExecutor() as executor:
    futures = [executor.submit(time.sleep, 60) for _ in range(3)]
    print("here", flush=True)
    futures[0].result()
"""


def test_a_second_ctrl_c_leaves_nothing_to_the_hub(hub: dhub.Hub, pool: Pool) -> None:
    program = pool.start(sys.executable, "-c", LEFT)
    eventually(lambda: hub.status().counts.ready == 3 and "here" in pool.log())
    program.send_signal(signal.SIGINT)
    eventually(lambda: "waits for 3 calls; Ctrl-C again cancels what is left" in pool.log())
    program.send_signal(signal.SIGINT)
    assert program.wait(PATIENCE_S) != 0
    assert hub.status().counts.cancelled == 3
