"""Who is at the hub's address when no hub answers."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from conftest import BINARIES, PATIENCE_S, Server, eventually

import dhub
from dhub import door


@contextmanager
def says(*words: bytes) -> Iterator[str]:
    """Somebody who says that to each who connects, piece by piece; with no words, who closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as open_lines:

        def talk() -> None:
            # Until the listener is closed.
            with suppress(OSError):
                while True:
                    line = open_lines.enter_context(listener.accept()[0])
                    for word in words:
                        line.sendall(word)
                        time.sleep(0.01)
                    if not words:
                        line.close()

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_a_full_hub_is_told_from_others() -> None:
    for words in [(door.FULL,), (door.FULL[:4], door.FULL[4:]), (door.FULL + b"\x03",)]:
        with says(*words) as endpoint:
            assert door.is_full(endpoint), words
    for words in [(), (b"\xff\0\0\0\0\0\0\0\x01\x7f",), (b"SSH-2.0-OpenSSH\r\n",), (b"\xffdhubfool\x7f",)]:
        with says(*words) as endpoint:
            assert not door.is_full(endpoint), words
    for nowhere in ["tcp://127.0.0.1:1", "ipc:///nowhere", "tcp://", "tcp://127.0.0.1:port"]:
        assert not door.is_full(nowhere)


def test_nobody_waits_long_for_who_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    # As when nobody answers who knows what a name is.
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: go_on.wait(PATIENCE_S) and [])
    begin = time.monotonic()
    assert not door.is_full("tcp://hub.example:1")
    assert time.monotonic() - begin < PATIENCE_S / 2
    go_on.set()


def tcp(access: Path) -> str:
    return str(json.loads(access.read_text())["endpoints"][0])


def test_a_hub_without_descriptors_says_so_and_both_clients_tell(home: Path) -> None:
    few = 'ulimit -n 64; exec "$0" "$@"'
    program: list[str | Path] = ["sh", "-c", few, BINARIES / "dhub", "-f", home / "run.db", "-p", "0", "--host", "127.0.0.1"]
    with open(home / "log", "wb") as log, subprocess.Popen(program, stderr=log) as hub, ExitStack() as hubs:
        hubs.callback(hub.terminate)
        eventually(lambda: b"your tools find it" in (home / "log").read_bytes())
        access = dhub.Hub().target.access
        assert access is not None
        endpoint = tcp(access)
        with pytest.raises(dhub.HubFull, match="no room for another connection"):
            for _ in range(64):
                other = hubs.enter_context(dhub.Hub(endpoint, timeout=2))
                assert other.hello()

        async def ask() -> None:
            async with dhub.AsyncHub(endpoint, timeout=1) as other:
                await other.hello()

        with pytest.raises(dhub.HubFull):
            asyncio.run(ask())
        # Over ipc there is always room.
        assert dhub.Hub().hello()
        hubs.close()


def test_what_closes_each_connection_is_no_full_hub(home: Path) -> None:
    server = Server(home, ["-p", "0", "--host", "127.0.0.1"])
    access = dhub.Hub().target.access
    assert access is not None
    endpoint = tcp(access)
    server.stop()
    with says() as nowhere, pytest.raises(dhub.DhubError) as error:
        port = nowhere.rpartition(":")[2]
        dhub.Hub(f"127.0.0.1:{port}", access=access, timeout=1).hello()
    assert not isinstance(error.value, dhub.HubFull)
    with pytest.raises(dhub.NoHub, match="no hub answers") as error:
        dhub.Hub(endpoint, access=access, timeout=1).hello()
    assert not isinstance(error.value, dhub.HubFull)
