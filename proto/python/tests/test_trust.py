"""What workers hand in whose keys are not the owner's: nothing of it runs here."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import calls
import pytest
from conftest import BINARIES, PATIENCE_S, Pool, Server

import dhub
from dhub import DhubExecutor, TaskFailed, payload
from dhub.payload import RemoteTraceback

GUARDED = ["--host", "127.0.0.1", "-p", "0"]
pytestmark = pytest.mark.parametrize("server", [GUARDED], indirect=True)


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def executor(server: Server) -> Iterator[DhubExecutor]:
    executor = DhubExecutor()
    yield executor
    executor.shutdown(wait=False, cancel_futures=True)


def key(server: Server, name: str, *roles: str) -> Path:
    """The access file of a new key."""
    access = server.home / f"{name}.access"
    words = ["access", "new", name, "--to", str(access)]
    for role in roles:
        words += ["--role", role]
    subprocess.run([BINARIES / "dhub", *words], check=True, capture_output=True)
    return access


def hand_in(access: Path, output: bytes, done: bool = True) -> dhub.Lease:
    """As a worker with that key: steals a task and says that this is what came of it."""
    with dhub.Hub(access=access) as hub:
        leases = hub.steal(wait=PATIENCE_S, stay=True).leases
        said = dhub.Outcome(leases[0].name, leases[0].attempt, done, output=output)
        assert not hub.report([said]).refused
        return leases[0]


def result(kind: int, data: bytes) -> bytes:
    return data + struct.pack("<BI4s", kind, len(data), b"dhub")


def test_a_pickle_of_a_key_that_is_not_trusted_is_not_opened(server: Server, executor: DhubExecutor) -> None:
    access = key(server, "lab", "work")
    marker = server.home / "marker"
    future = executor.submit(calls.square, 3)
    hand_in(access, result(0, pickle.dumps(Evil(marker))))
    with pytest.raises(TaskFailed, match=r"the key 'lab' .*trust=\['lab'\]"):
        future.result(PATIENCE_S)
    assert not marker.exists()


def test_nor_is_an_exception_but_its_text_is_told(server: Server, executor: DhubExecutor) -> None:
    access = key(server, "lab", "work")
    marker = server.home / "marker"
    told = json.dumps(["no luck", "Traceback: here"]).encode()
    evil = pickle.dumps(Evil(marker))
    for data in (struct.pack("<I", len(told)) + told + evil, pickle.dumps((evil, "no luck", "here")), b"", evil):
        future = executor.submit(calls.square, 3)
        hand_in(access, result(2, data), done=False)
        with pytest.raises(TaskFailed) as raised:
            future.result(PATIENCE_S)
        if data.endswith(evil) and data != evil:
            assert raised.value.reason == "no luck" and "here" in str(raised.value.__cause__)
            assert isinstance(raised.value.__cause__, RemoteTraceback)
    assert not marker.exists()


def test_no_path_of_a_worker_is_opened_or_removed(server: Server, executor: DhubExecutor) -> None:
    lab, trusted = key(server, "lab", "work"), key(server, "good", "work")
    marker, file = server.home / "marker", server.home / "precious"
    file.write_bytes(pickle.dumps(Evil(marker)))
    for access, trust in ((lab, []), (trusted, ["good"])):
        for kind in (1, 4):
            with DhubExecutor(trust=trust) as mine:
                future = mine.submit(calls.square, 3)
                hand_in(access, result(kind, os.fsencode(file)))
                with pytest.raises(TaskFailed):
                    future.result(PATIENCE_S)
                del future
    assert file.exists() and not marker.exists()


def test_a_result_file_is_no_link(server: Server) -> None:
    access = key(server, "good", "work")
    marker, file = server.home / "marker", server.home / "precious"
    file.write_bytes(pickle.dumps(Evil(marker)))
    with DhubExecutor(trust=["good"]) as executor:
        future = executor.submit(calls.square, 3)
        link = executor.shared / name_of(future.name, b"0123456789abcdef")
        link.symlink_to(file)
        hand_in(access, result(1, b"0123456789abcdef"))
        with pytest.raises(TaskFailed, match="cannot be read"):
            future.result(PATIENCE_S)
        del future
    assert file.exists() and link.is_symlink() and not marker.exists()


def name_of(task: str, token: bytes) -> str:
    name = payload.result_file(payload.Result(task, 1, "", result(1, token)))
    assert name is not None
    return name


def test_who_hands_in_for_one_task_names_no_file_of_another(server: Server) -> None:
    access, token = key(server, "good", "work"), b"0123456789abcdef"
    with DhubExecutor(trust=["good"]) as executor:
        first, second = executor.submit(calls.square, 3), executor.submit(calls.square, 4)
        file = executor.shared / name_of(second.name, token)
        file.write_bytes(pickle.dumps("of the second"))
        hand_in(access, result(1, token))
        with pytest.raises(TaskFailed, match="cannot be read"):
            first.result(PATIENCE_S)
        del first
        hand_in(access, result(1, token))
        assert str(second.result(PATIENCE_S)) == "of the second"


def test_plain_data_needs_no_trust(server: Server, executor: DhubExecutor, pool: Pool) -> None:
    pool.workers("-j", 1, "--access", key(server, "lab", "work"))
    values: list[Any] = [None, True, 7, -0.5, 10**30, "ü☃", [1, [2.5, None]], {"a": {"b": []}}, "x" * 100_000]
    for value in values:
        future = executor.submit(calls.same, value)
        got = future.result(PATIENCE_S)
        assert got == value and type(got) is type(value)
    assert list(executor.map(calls.square, range(10), chunksize=3)) == [x * x for x in range(10)]
    for other in ((1, 2), {1: 2}, float("inf"), b"bytes", {"a": (1,)}, "\ud800"):
        with pytest.raises(TaskFailed, match=r"trust=\['lab'\]"):
            executor.submit(calls.same, other).result(PATIENCE_S)
    with pytest.raises(TaskFailed, match="ValueError: no") as raised:
        executor.submit(calls.fail, "no").result(PATIENCE_S)
    assert "in fail" in str(raised.value.__cause__)


def test_a_key_that_is_trusted_hands_in_what_it_likes(server: Server, pool: Pool) -> None:
    pool.workers("-j", 1, "--access", key(server, "lab", "observe", "work"))
    with DhubExecutor(trust=["lab"]) as executor:
        first = executor.submit(calls.same, (1, 2))
        assert first.result(PATIENCE_S) == (1, 2)
        assert executor.submit(calls.same, {"need": first}).result(PATIENCE_S) == {"need": (1, 2)}
        with pytest.raises(ValueError, match="no"):
            executor.submit(calls.fail, "no").result(PATIENCE_S)
        assert len(executor.submit(bytes, 100_000).result(PATIENCE_S)) == 100_000


def test_a_worker_opens_no_result_that_the_executor_does_not_trust(server: Server, pool: Pool) -> None:
    access = key(server, "lab", "work")
    marker = server.home / "marker"
    with DhubExecutor() as executor:
        first = executor.submit(calls.square, 3)
        hand_in(access, result(0, pickle.dumps(Evil(marker))))
        second = executor.submit(calls.add, first)
        pool.workers("-j", 1)
        with pytest.raises(TaskFailed, match=r"trust=\['lab'\]"):
            second.result(PATIENCE_S)
    assert not marker.exists()


def test_the_owners_workers_need_no_trust(server: Server, executor: DhubExecutor, pool: Pool) -> None:
    owner = next((server.home / "keys").glob("*/owner.access"))
    pool.workers("-j", 1, "--access", owner)
    assert executor.submit(calls.same, (1, {2})).result(PATIENCE_S) == (1, {2})
    with pytest.raises(TypeError, match="list"):
        DhubExecutor(trust="lab")


def test_a_file_of_arguments_is_no_link(server: Server, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o700)
    data, file = payload.dumps_call(
        payload.ONE, payload.dumps(len, "the function"), pickle.dumps(((b"x" * 70_000,), {})), [], shared, (), "task"
    )
    assert file is not None
    assert payload.run_call(data, lambda names: {}, 1000, True).exit_code == 0
    moved = file.rename(tmp_path / "elsewhere")
    file.symlink_to(moved)
    made = payload.run_call(data, lambda names: {}, 1000, True)
    assert made.exit_code == 1 and "OSError" in made.reason
