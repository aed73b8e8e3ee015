"""Which hub is meant, and how to reach it: the same way as dquery and kworker.

What is said counts first, then the environment (`DHUB_HUB`, `DHUB_ACCESS`), then the hubs that this user
runs: on this machine over ipc, on others by the access files in `~/.dhub`.
"""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple, Union

from dhub import private
from dhub._version import __version__
from dhub.errors import AccessError, NoHub, SeveralHubs

PORT = 6125
SOCKET_PATH_BYTES_MAX = 107
"""Longest path of a Unix socket."""
ACCESS_FORMAT = 1
"""Counts up when older tools could not read the file."""
PROBE_S = 1.0
"""How long another machine may take to show that a hub runs there."""
AGAIN_S = 0.05
"""A hub that was started just now is there soon."""
ALL_ROLES = {"observe", "submit", "work", "admin"}

PathLike = Union[str, "os.PathLike[str]"]


class Keys(NamedTuple):
    """What CURVE needs on the side of a client, in Z85."""

    server: bytes
    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return "Keys(secret)"


class Target(NamedTuple):
    """A hub, and what it takes to talk to it."""

    endpoint: str
    keys: Keys | None = None
    """None: over ipc, or plain."""
    access: Path | None = None
    """The access file that it is known by."""
    about: str = ""
    """Which hub that should be, for people to whom it does not answer."""

    @property
    def place(self) -> str:
        """The endpoint, and why the hub is looked for there."""
        return f"{self.endpoint}, where {self.about}" if self.about else self.endpoint

    def reports_to(self, told: str) -> Target | None:
        """Where reports go, if the hub named `told` for that; it leaves the host to the client. None: nowhere."""
        if told.startswith("tcp://:"):
            if not self.endpoint.startswith("tcp://"):
                return None
            told = self.endpoint.rpartition(":")[0] + told[len("tcp://") :]
        return self._replace(endpoint=told) if told else None


class Access:
    """What an access file says. Raises `AccessError` for a file that is none, or that others can read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            said: dict[str, Any] = json.loads(private.read(path))
            if int(said["format"]) > ACCESS_FORMAT:
                raise AccessError(
                    f"{path} is an access file of a newer dhub (format {said['format']}); this is {__version__}"
                )
            self.file, self.host, self.ipc = str(said["file"]), str(said["host"]), str(said["ipc"])
            self.boot_id = str(said["boot_id"])
            self.endpoints = [str(endpoint) for endpoint in said["endpoints"]]
            self.roles = {str(role) for role in said["roles"]}
            self.keys = Keys(*(_key(said, name) for name in ("server_key", "public_key", "secret_key")))
        except (ValueError, KeyError, TypeError, AttributeError):
            # What was wrong is not shown: it may be a key.
            raise AccessError(f"{path} is no access file; dhub access new makes one") from None

    @property
    def is_here(self) -> bool:
        """Was the hub started on this machine, since it was switched on?"""
        return bool(self.boot_id) and self.boot_id == boot_id() and self.host == socket.gethostname()

    @property
    def ipc_answers(self) -> bool:
        """Does the hub take connections on this machine?"""
        return self.is_here and self.ipc.startswith("ipc://") and takes_connections(self.ipc[len("ipc://") :])

    @property
    def about(self) -> str:
        return f"{self.path} says that {self.file or 'a hub in memory'} is, on {self.host}"

    def target(self) -> Target:
        """Over ipc if the hub is on this machine and everything may be asked, as over ipc it may; else by its key."""
        if self.roles == ALL_ROLES and self.ipc_answers:
            return Target(self.ipc, None, self.path, self.about)
        if not self.endpoints:
            raise AccessError(f"{self.path} names no encrypted endpoint of the hub, and the hub is not on this machine")
        return self.at(self.endpoints[0])

    def at(self, endpoint: str) -> Target:
        """At this endpoint, which may be a tunnel to where the file says."""
        if endpoint.startswith("tcp://"):
            return Target(endpoint, self.keys, self.path, self.about)
        return Target(endpoint)


def find(server: str | None, access: PathLike | None, timeout: float) -> Target:
    """The hub to talk to; waits up to `timeout` seconds for one that is about to start.

    Raises `NoHub`, `SeveralHubs`, `AccessError`, and `ValueError` for what is no endpoint.
    """
    until = time.monotonic() + timeout
    while True:
        try:
            return find_now(server, access)
        except NoHub:
            if time.monotonic() >= until:
                raise
        time.sleep(AGAIN_S)


def find_now(server: str | None, access: PathLike | None) -> Target:
    """As `find`, without waiting."""
    if server is None and access is None:
        server, access = os.environ.get("DHUB_HUB") or None, os.environ.get("DHUB_ACCESS") or None
    endpoint = parse(server) if server is not None else None
    if access is not None:
        file = Access(Path(os.path.abspath(access)))
        return file.at(endpoint) if endpoint is not None else file.target()
    if endpoint is not None:
        for known, _ in hubs():
            if endpoint in known.endpoints:
                return known.at(endpoint)
        return Target(endpoint)
    return _only()


def parse(text: str) -> str:
    """Accepts what people type: `host`, `host:port` or a whole endpoint. Raises `ValueError`."""
    text = text.strip()
    scheme, has_scheme, rest = text.partition("://")
    if not has_scheme:
        scheme, rest = "tcp", text
    if scheme == "tcp" and rest:
        host, colon, port = rest.rpartition(":")
        if not colon:
            return f"tcp://{rest}:{PORT}"
        if host and (port == "*" or re.fullmatch("[0-9]{1,5}", port) and int(port) <= 65535):
            return f"tcp://{rest}"
        raise ValueError(f"'{text}' has no host, or its port is not 0 to 65535")
    if scheme == "ipc" and rest:
        if len(os.fsencode(rest)) > SOCKET_PATH_BYTES_MAX:
            raise ValueError(f"the path of a socket has at most {SOCKET_PATH_BYTES_MAX} bytes: '{rest}'")
        return text
    raise ValueError(f"'{text}' is neither tcp://HOST:PORT nor ipc://PATH")


def directory() -> Path:
    """`$DHUB_DIR`, else `~/.dhub`."""
    return Path(os.environ.get("DHUB_DIR") or Path.home() / ".dhub")


def socket_dir() -> Path:
    """`$XDG_RUNTIME_DIR/dhub`, else a directory of this user below the temporary directory."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        return Path(runtime) / "dhub"
    return Path(os.environ.get("TMPDIR") or tempfile.gettempdir()) / f"dhub-{os.getuid()}"


def boot_id() -> str:
    """Another one after each start of the machine. Empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def takes_connections(path: str) -> bool:
    """Does a Unix socket answer there?"""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
            return True
        except OSError:
            return False


def hubs() -> list[tuple[Access, str]]:
    """The hubs of this user that run, or that did not stop as asked: their owner's access, and which they are."""
    found: list[tuple[Access, str]] = []
    home = directory()
    if not home.is_dir():
        return found
    private.check_dir(home, "set DHUB_DIR to a directory of yours")
    for hub in sorted(home.iterdir()):
        owner = hub / "owner.access"
        try:
            live = json.loads(private.read(hub / "live.json"))
            about = f"process {live['process']} since {live['since']}"
        except (AccessError, ValueError, KeyError, TypeError):
            continue
        # Without it its owner's key was taken back: for others to reach, by a file that they name.
        if owner.exists():
            access = Access(owner)
            found.append((access, f"{access.file or 'in memory'}, on {access.host}, {about}"))
    return found


def _key(said: dict[str, Any], name: str) -> bytes:
    key = said[name].encode("ascii")
    if len(key) != 40:
        raise ValueError(name)
    return bytes(key)


def _live() -> list[str]:
    """Endpoints of this user's hubs on this machine that take connections now."""
    directory = socket_dir()
    if not directory.is_dir():
        return []
    private.check_dir(directory, "set XDG_RUNTIME_DIR to a directory of yours")
    return [f"ipc://{path}" for path in sorted(directory.glob("*.sock")) if takes_connections(str(path))]


def _only() -> Target:
    """The only hub of this user that runs."""
    here = _live()
    away: list[tuple[Access, str]] = []
    gone: list[tuple[Access, str]] = []
    for access, about in hubs():
        if access.is_here and access.ipc in here:
            continue
        if access.ipc_answers:
            here.append(access.ipc)
        elif not access.is_here and access.host != socket.gethostname() and access.endpoints:
            away.append((access, about))
        else:
            gone.append((access, about))
    if len(here) + len(away) > 1:
        # One that was killed on another machine is still listed.
        away = [hub for hub in away if any(_answers(endpoint) for endpoint in hub[0].endpoints)]
    if len(here) == 1 and not away:
        return Target(here[0])
    if len(away) == 1 and not here:
        return away[0][0].target()
    if here or away:
        choices = [f"server={endpoint!r}" for endpoint in here]
        choices += [f"access={str(access.path)!r}  ({about})" for access, about in away]
        raise SeveralHubs("several of your hubs run; choose one:\n  " + "\n  ".join(choices))
    if gone:
        access, about = gone[-1]
        raise NoHub(f"the hub of {about} is gone\n  start it again with: dhub -f {access.file or 'FILE'}")
    raise NoHub(
        f"none of your hubs runs (looked on this machine and in {directory()})\n"
        "  start one with: dhub -f FILE      another: server= or access="
    )


def _answers(endpoint: str) -> bool:
    """Does something take connections there?"""
    host, _, port = endpoint[len("tcp://") :].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PROBE_S).close()
        return True
    except (OSError, ValueError):
        return False
