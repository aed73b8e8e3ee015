"""The way of an executor's tasks to the hub, against a hub that answers as the test wants, and against a real one."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import calls
import pytest
import zmq
from conftest import PATIENCE_S, Server

import dhub
from dhub import DhubExecutor
from dhub._wire import hub_pb2 as wire
from dhub.find import Target

CANCELLED = wire.STATE_CANCELLED


class OwnHub:
    """A hub of the test's own: what was asked, in order, and what the test answers."""

    def __init__(self, endpoint: str) -> None:
        self.router: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self.router.linger = 0
        self.router.bind(endpoint)
        self.asked: list[str] = []
        self.ways: list[tuple[list[bytes], int]] = []

    def hear(self) -> int:
        """The number of the next request."""
        assert self.router.poll(int(PATIENCE_S * 1000)), self.asked
        *way, frame = self.router.recv_multipart()
        request = wire.Request.FromString(frame)
        names = {
            "create": [task.name for task in request.create.tasks],
            "wait": request.wait.names,
            "cancel": request.cancel.selection.names,
        }
        kind = str(request.WhichOneof("body"))
        self.asked.append(" ".join([kind, *names[kind]]))
        self.ways.append((way, request.id))
        return len(self.asked) - 1

    def reply(self, number: int, **body: Any) -> None:
        way, id_ = self.ways[number]
        self.router.send_multipart([*way, wire.Reply(id=id_, **body).SerializeToString()])

    def cancelled(self, number: int, name: str) -> None:
        task = wire.TaskInfo(name=name, state=CANCELLED)
        self.reply(number, waited=wire.Waited(ended=[wire.EndedTask(task=task)]))


@pytest.fixture
def own(home: Path) -> Iterator[OwnHub]:
    own = OwnHub(f"ipc://{home}/hub.sock")
    yield own
    own.router.close(0)


def test_what_the_hub_did_not_take_is_not_waited_for_and_holds_no_result_up(own: OwnHub, home: Path) -> None:
    executor = DhubExecutor(target=Target(f"ipc://{home}/hub.sock"), shared=home / "shared")
    good = executor.submit_task(calls.square, 1, name="good")
    own.reply(own.hear(), created=wire.Created(added=1))
    waits = own.hear()
    with executor._courier._changed:  # so that they go together
        bad = executor.submit_task(calls.square, 2, name="bad")
        fine = executor.submit_task(calls.square, 3, name="fine")
    first = own.hear()
    needs: Any = executor.submit_task(calls.add, bad, 1, name="needs")
    second = own.hear()
    own.reply(second, error=wire.Error(code=wire.ERROR_BUSY, message="later"))
    own.reply(first, error=wire.Error(code=wire.ERROR_CONFLICT, message="exists", names=["bad"]))
    assert isinstance(bad.exception(PATIENCE_S), dhub.Conflict)
    assert isinstance(needs.exception(PATIENCE_S), dhub.TaskSkipped)
    own.reply(own.hear(), cancelled=wire.Cancelled())
    again = own.hear()
    # An answer about a task that the hub has had for long counts while others go there again.
    own.cancelled(waits, "good")
    assert concurrent.futures.wait([good], PATIENCE_S).done and good.cancelled()
    own.reply(again, created=wire.Created(added=1))
    own.cancelled(own.hear(), "fine")
    assert concurrent.futures.wait([fine], PATIENCE_S).done and fine.cancelled()
    # It ends although the one that the hub was too busy for never goes there: that has ended.
    executor.shutdown()
    assert not own.router.poll(0)
    expected = ["create good", "wait good", "create bad fine", "create needs", "cancel needs", "create fine", "wait fine"]
    assert own.asked == expected


def test_a_hub_that_is_busy_is_asked_again_and_for_nothing_else(own: OwnHub, home: Path) -> None:
    executor = DhubExecutor(target=Target(f"ipc://{home}/hub.sock"), shared=home / "shared")
    future = executor.submit_task(calls.square, 1, name="one")
    # Whether it runs is not known here.
    assert "state=unfinished" in repr(future) and "pending" not in repr(future)
    for _ in range(2):
        own.reply(own.hear(), error=wire.Error(code=wire.ERROR_BUSY, message="later"))
    own.reply(own.hear(), created=wire.Created(added=1))
    own.cancelled(own.hear(), "one")
    executor.shutdown()
    assert future.cancelled() and "state=cancelled" in repr(future)
    assert own.asked == ["create one"] * 3 + ["wait one"]


def test_what_needs_one_that_cannot_go_is_skipped_in_the_same_batch(server: Server) -> None:
    executor = DhubExecutor()
    with executor._courier._changed:
        lost: Any = executor.submit(calls.square, threading.Lock())
        needs: Any = executor.submit(calls.square, lost)
        further = executor.submit(calls.square, needs)
    try:
        for future in (needs, further):
            assert isinstance(future.exception(PATIENCE_S), dhub.TaskSkipped)
    finally:
        executor.kill()
