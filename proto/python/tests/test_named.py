"""Tasks whose name somebody chose, and chooses again: what one future of such a task gets, all of them get."""

from __future__ import annotations

import gc
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
