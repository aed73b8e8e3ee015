"""A hub of its own for each test, found as people's hubs are; real processes, real sockets."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, TypeVar

import pytest

import dhub

ROOT = Path(__file__).resolve().parents[3]
BINARIES = Path(os.environ.get("DHUB_BIN") or Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug")
PATIENCE_S = 60.0

T = TypeVar("T")


def eventually(what: Callable[[], T], seconds: float = PATIENCE_S) -> T:
    """The first result that is true; a test fails if there is none in time."""
    until = time.monotonic() + seconds
    while True:
        result = what()
        if result:
            return result
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.02)


class Server:
    """A dhub process on one file; it can be killed and started again."""

    def __init__(self, home: Path, options: list[str]) -> None:
        self.home, self.options = home, options
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        log = open(self.home / "dhub.log", "ab")
        self.process = subprocess.Popen(
            [BINARIES / "dhub", "-f", self.home / "run.db", *self.options],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        log.close()
        try:
            eventually(self._answers)
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, (self.home / "dhub.log").read_text()
        try:
            with dhub.Hub(timeout=1) as hub:
                return bool(hub.hello())
        except dhub.DhubError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty world: keys, sockets and files of this test only."""
    # Not pytest's own, whose paths are too long for a socket.
    path = Path(tempfile.mkdtemp(prefix="dhub-py-"))
    (path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("DHUB_DIR", str(path / "keys"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path / "run"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    for name in ("DHUB_HUB", "DHUB_ACCESS", "DHUB_INSECURE", "DHUB_WORKER"):
        monkeypatch.delenv(name, raising=False)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def server(home: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running hub. `@pytest.mark.parametrize("server", [[...]], indirect=True)` gives it options."""
    server = Server(home, getattr(request, "param", ["--local"]))
    yield server
    server.stop()


@pytest.fixture
def hub(server: Server) -> Iterator[dhub.Hub]:
    with dhub.Hub() as hub:
        yield hub


class Pool:
    """Processes that are ended with the test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *command: object) -> subprocess.Popen[bytes]:
        log = open(self.home / f"process-{len(self.processes)}.log", "ab")
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        self.processes.append(process)
        return process

    def workers(self, *options: object) -> subprocess.Popen[bytes]:
        """`python -m dhub.worker` with these options."""
        return self.start(sys.executable, "-m", "dhub.worker", *options)

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.home.glob("process-*.log")))

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def pool(home: Path) -> Iterator[Pool]:
    pool = Pool(home)
    yield pool
    pool.stop()
