"""The way of a worker to the hub, against a hub that answers as the test wants."""

from __future__ import annotations

import concurrent.futures
import functools
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zmq
from conftest import BINARIES, Pool, Server, eventually
from zmq.utils.monitor import parse_monitor_message

import dhub
import dhub.pool
from dhub._wire import hub_pb2 as wire
from dhub.find import Target, is_same, with_address
from dhub.link import Link


def test_an_answer_to_a_request_that_was_replaced_counts_once(home: Path) -> None:
    endpoint = f"ipc://{home}/hub.sock"
    router: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
    router.bind(endpoint)
    link = Link(Target(endpoint))
    heard: list[tuple[int, Any]] = []
    numbers: list[int] = []
    for n in (1, 2, 3):
        # As a worker does that changes its mind faster than the hub answers.
        for number in numbers[-1:]:
            link.replace(number)
        then = functools.partial(lambda n, it: heard.append((n, it)), n)
        numbers.append(link.ask(wire.Request(steal=wire.Steal(n=n)), then, 10.0))
    asked = [router.recv_multipart() for _ in numbers]
    for parts in (asked[0], asked[0], asked[2]):
        request = wire.Request.FromString(parts[-1])
        reply = wire.Reply(id=request.id, stolen=wire.Stolen(leases=[wire.Lease(name=f"for {request.steal.n}")]))
        router.send_multipart([parts[0], b"", reply.SerializeToString()])
    eventually(lambda: (link.receive(), len(heard) == 2)[1])
    assert [(n, it.leases[0].name) for n, it in heard] == [(1, "for 1"), (3, "for 3")]
    assert not link.has(numbers[2])
    link.close()
    router.close(0)


class Asked(NamedTuple):
    """A request that a hub of the test's own has, and the way back."""

    way: list[bytes]
    request: wire.Request


class FewDescriptors:
    """A hub that says what the test wants to those who steal, and sees its connections."""

    def __init__(self) -> None:
        context = zmq.Context.instance()
        self.router: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        self.reports: zmq.Socket[bytes] = context.socket(zmq.PULL)
        self.router.linger = self.reports.linger = 0
        wanted = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        self.events = [it.get_monitor_socket(wanted) for it in (self.router, self.reports)]
        port = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self.report_port = self.reports.bind_to_random_port("tcp://127.0.0.1")
        self._connections = [0, 0]

    def connections(self) -> list[int]:
        """For requests and for reports."""
        for i, events in enumerate(self.events):
            while events.poll(0):
                event = parse_monitor_message(events.recv_multipart())["event"]
                self._connections[i] += 1 if event == zmq.EVENT_HANDSHAKE_SUCCEEDED else -1
        return self._connections

    def steal(self) -> Asked | None:
        """One that has come; what else has is answered."""
        while self.router.poll(10):
            *way, frame = self.router.recv_multipart()
            asked = Asked(way, wire.Request.FromString(frame))
            if asked.request.HasField("steal"):
                return asked
            if asked.request.HasField("hello"):
                endpoint = f"tcp://:{self.report_port}"
                welcome = wire.Welcome(worker_timeout_ms=30_000, lease_ms=60_000, report_endpoint=endpoint)
                self.reply(asked, wire.Reply(welcome=welcome))
            elif asked.request.HasField("exit"):
                self.reply(asked, wire.Reply(exited=wire.Exited()))
            else:
                self.reply(asked, wire.Reply(heartbeaten=wire.Heartbeaten()))
        return None

    def reply(self, asked: Asked, reply: wire.Reply) -> None:
        reply.id = asked.request.id
        self.router.send_multipart([*asked.way, reply.SerializeToString()])

    def close(self) -> None:
        for it in (self.router, self.reports):
            it.disable_monitor()
            it.close()


def test_a_pool_that_is_sent_away_ends_its_connections_and_comes_back_after_that_time() -> None:
    hub = FewDescriptors()
    pool = dhub.pool.Pool(Target(hub.endpoint), "few", 1)
    steal: Asked | None = None

    def asks() -> Asked | None:
        nonlocal steal
        pool.step()
        steal = hub.steal() or steal
        return steal if hub.connections() == [1, 1] else None

    def is_gone() -> bool:
        pool.step()
        return hub.connections() == [0, 0]

    for away_s in (0.8, 60.0):
        asked, told = eventually(asks), time.monotonic()
        assert asked is not None
        steal = None
        hub.reply(asked, wire.Reply(stolen=wire.Stolen(away_ms=int(away_s * 1000))))
        eventually(is_gone)
        if away_s < 1.0:
            eventually(asks)
            assert time.monotonic() - told >= away_s / 2
        else:
            assert pool.next_step() <= 15.0, "however long the hub says"
    # Who has to say something does not wait for that.
    eventually(lambda: (hub.steal(), pool.leave())[1])
    assert pool.left
    pool.link.close()
    hub.close()


@contextmanager
def stranger(endpoint: str, encrypted: bool) -> Iterator[None]:
    """Somebody else's hub where ours was: it hands out commands."""
    router: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
    router.linger, router.rcvtimeo = 0, 20
    if encrypted:
        router.curve_secretkey, router.curve_server = zmq.curve_keypair()[1], True

    def free() -> bool:
        try:
            router.bind(endpoint)
            return True
        except zmq.ZMQError:
            return False

    eventually(free)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                parts = router.recv_multipart()
            except zmq.Again:
                continue
            request = wire.Request.FromString(parts[-1])
            reply = wire.Reply(id=request.id, welcome=wire.Welcome(worker_timeout_ms=30_000, lease_ms=60_000))
            if request.HasField("steal"):
                lease = wire.Lease(name="theirs", command="echo done >owned", attempt=1)
                reply = wire.Reply(id=request.id, stolen=wire.Stolen(leases=[lease]))
            router.send_multipart([*parts[:-1], reply.SerializeToString()])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        router.close(0)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_stranger_at_the_socket_of_our_hub_is_not_served(
    server: Server, hub: dhub.Hub, pool: Pool, encrypted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(server.home)
    access = hub.target.access
    assert access is not None and hub.target.keys is not None
    hub.hello()
    running = pool.workers("-j", "1")
    eventually(lambda: len(list(hub.workers())) == 1)
    server.kill()
    with stranger(hub.target.endpoint, encrypted):
        ways: list[dict[str, Any]] = [{}, {"access": access}, {"server": hub.target.endpoint}]
        for way in ways:
            with pytest.raises(dhub.Denied, match="another hub than"):
                dhub.Hub(**way, timeout=1).steal()
        fresh = pool.workers("-j", "1", "--timeout", "20")
        # It waits for its hub, or leaves; the one that was there before waits in any case.
        if not encrypted:
            assert fresh.wait(30) == 11, pool.log()
        assert running.poll() is None, pool.log()
        pool.stop()
    assert not (server.home / "owned").exists()


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_stranger_at_the_place_of_our_hub_ends_no_wait(server: Server, hub: dhub.Hub, encrypted: bool) -> None:
    hub.create("one")
    waiting = dhub.Hub(timeout=1)
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        waited = threads.submit(waiting.wait)
        eventually(lambda: waiting.was_reached)
        server.kill()
        with stranger(hub.target.endpoint, encrypted):
            # More than one of its tries, and it has not given up.
            with pytest.raises(concurrent.futures.TimeoutError):
                waited.result(5)
        server.start()
        hub.complete(hub.steal().leases[0])
        assert waited.result(60).counts.done == 1


@pytest.mark.parametrize("server", [["-p", "0", "--host", "127.0.0.1"]], indirect=True)
def test_a_hub_is_known_by_each_name_of_its_machine_and_others_only_if_told_so(server: Server, hub: dhub.Hub) -> None:
    access = hub.target.access
    assert access is not None
    port = json.loads(access.read_text())["endpoints"][0].rpartition(":")[2]
    for name in ("localhost", "127.0.0.1", socket.gethostname()):
        with dhub.Hub(f"{name}:{port}") as other:
            assert other.target.keys == hub.target.keys
    with dhub.Hub(f"localhost:{port}") as other:
        assert other.hello()
    with pytest.raises(dhub.Denied, match="no key is known(.|\n)*insecure=True"):
        dhub.Hub("localhost:9")
    assert dhub.Hub("localhost:9", insecure=True).target.keys is None
    with pytest.raises(dhub.Denied, match="no key is known"):
        dhub.Hub("ipc:///nowhere.sock", insecure=True)


@pytest.mark.parametrize("options", [["--host", "127.0.0.1"], ["--insecure"]], ids=["encrypted", "plain"])
@pytest.mark.parametrize("server", [["-p", "0", "--host", "127.0.0.1"]], indirect=True)
def test_a_hub_at_the_port_of_one_that_was_killed_is_found(server: Server, hub: dhub.Hub, options: list[str]) -> None:
    access = hub.target.access
    assert access is not None
    port = json.loads(access.read_text())["endpoints"][0].rpartition(":")[2]
    hub.hello()
    server.kill()
    (server.home / "zoo").mkdir()
    program = [BINARIES / "dhub", "-f", server.home / "zoo.db", "-p", port, *options]
    with open(server.home / "zoo" / "log", "wb") as log, subprocess.Popen(program, stderr=log) as heir:
        try:
            eventually(lambda: b"your tools find it" in (server.home / "zoo" / "log").read_bytes())
            is_plain = "--insecure" in options
            with dhub.Hub(f"localhost:{port}", insecure=is_plain) as other:
                assert other.hello() and (other.target.keys is None) == is_plain
            # The key of the one that is gone, and nothing else, is known for its port.
            if is_plain:
                with pytest.raises(dhub.Denied, match="another hub than"):
                    dhub.Hub(f"localhost:{port}", timeout=1).hello()
        finally:
            heir.terminate()


def test_a_directory_of_keys_that_cannot_be_read_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").write_text("no directory")
    monkeypatch.setenv("DHUB_DIR", str(tmp_path / "keys"))
    with pytest.raises(dhub.AccessError, match="keys: not a directory"):
        dhub.Hub("localhost:9", insecure=True)


def test_a_socket_is_the_same_by_whatever_path(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    one = f"ipc://{tmp_path}/run/x.sock"
    for other in ["/run/./x.sock", "//run//x.sock", "/link/x.sock", "/run/../link/x.sock"]:
        assert is_same(one, f"ipc://{tmp_path}{other}"), other
    for other in ["/run/y.sock", "/x.sock", "/none/x.sock"]:
        assert not is_same(one, f"ipc://{tmp_path}{other}"), other


def test_a_name_with_addresses_of_ipv6_alone_becomes_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def known(*addresses: str) -> None:
        found = [(0, 0, 0, "", (address, 0)) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)

    known("fd00::2", "fd00::1")
    assert with_address("tcp://hub:7") == "tcp://[fd00::1]:7"
    for both in [("fd00::1", "10.0.0.1"), ("10.0.0.1",), ()]:
        known(*both)
        assert with_address("tcp://hub:7") == "tcp://hub:7"
    for none in ["tcp://[::1]:7", "ipc:///run/x.sock"]:
        known("fd00::1")
        assert with_address(none) == none
