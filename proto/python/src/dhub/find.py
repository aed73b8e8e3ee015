"""Which hub is meant, and how to reach it: the same way as dquery and kworker.

What is said counts first, then the environment (`DHUB_HUB`, `DHUB_ACCESS`), then the hubs that this user runs, by the
access files in `~/.dhub`: on this machine over ipc, on others over TCP. The key of the access file decides who is
talked to; without one only `insecure` says that nobody does.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
import time
from pathlib import Path
from typing import Any, NamedTuple, Union

from dhub import private
from dhub._version import __version__
from dhub.errors import AccessError, Denied, NoHub, SeveralHubs

PORT = 6125
SOCKET_PATH_BYTES_MAX = 107
"""Longest path of a Unix socket."""
ACCESS_FORMAT = 1
"""Counts up when older tools could not read the file."""
PROBE_S = 1.0
"""How long another machine may take to show that a hub runs there."""
AGAIN_S = 0.05
"""A hub that was started just now is there soon."""
AWAY = 1
"""The last of `_presence` that may be a hub that runs."""
_Z85 = re.compile(r"[0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")
"""A key."""
ALL_ROLES = {"observe", "submit", "work", "admin"}
INSECURE = "DHUB_INSECURE"
"""For scripts: what `insecure` says."""

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
    """None: plain, because somebody said so."""
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


class _Useless(AccessError):
    """A file that is no access file, or one of a newer version."""

    @classmethod
    def none(cls, path: Path, why: str) -> _Useless:
        return cls(f"{path} is no access file: {why}; dhub access new makes one")


class _NoKey(Exception):
    """The field of this name has none."""


class Unreachable(AccessError):
    """Nothing in the access file leads to its hub from here."""


class Access:
    """What an access file says. Raises `AccessError` for a file that is none, or that others can read."""

    def __init__(self, path: Path, *, pipe: bool = True) -> None:
        self.path = path
        text = private.read(path, pipe=pipe)
        try:
            said: dict[str, Any] = json.loads(text)
            if int(said["format"]) > ACCESS_FORMAT:
                raise _Useless(
                    f"{path} is an access file of a newer dhub (format {said['format']}); this is {__version__}"
                )
            self.file, self.host, self.ipc = str(said["file"]), str(said["host"]), str(said["ipc"])
            self.boot_id = str(said["boot_id"])
            self.endpoints = [str(endpoint) for endpoint in said["endpoints"]]
            self.roles = {str(role) for role in said["roles"]}
            self.keys = Keys(*(_key(said, name) for name in ("server_key", "public_key", "secret_key")))
        # What was wrong is not shown: it may be a key.
        except json.JSONDecodeError as error:
            raise _Useless.none(path, f"line {error.lineno}") from None
        except KeyError:
            # Shown where it ends.
            raise _Useless.none(path, f"line {len(text.splitlines())}") from None
        except _NoKey as error:
            raise _Useless.none(path, f"its {error} is no key") from None
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise _Useless.none(path, "something in it is of the wrong kind") from None

    @property
    def is_here(self) -> bool:
        """Was the hub started on this machine, since it was switched on?"""
        return bool(self.boot_id) and self.boot_id == boot_id() and self.host == socket.gethostname()

    @property
    def ipc_answers(self) -> bool:
        """Does something take connections where the hub did on this machine? Who that is, its key tells.

        Raises `AccessError` if the directory is not this user's any more.
        """
        path = Path(self.ipc[len("ipc://") :])
        if not (self.is_here and self.ipc.startswith("ipc://") and takes_connections(str(path))):
            return False
        private.check_dir(path.parent, "set XDG_RUNTIME_DIR to a directory of yours")
        return True

    def is_at(self, endpoint: str) -> bool:
        """Is it the hub that this endpoint leads to?"""
        if any(is_same(known, endpoint) for known in [self.ipc, *self.endpoints]):
            return True
        # What others call this machine may be known to nobody here.
        port = endpoint.rpartition(":")[2]
        is_port = endpoint.startswith("tcp://") and any(known.rpartition(":")[2] == port for known in self.endpoints)
        return is_port and self.is_here and any(map(_is_own, _addresses(endpoint)))

    @property
    def about(self) -> str:
        return f"{self.path} says that {self.file or 'a hub in memory'} is, on {self.host}"

    def target(self) -> Target:
        """Over ipc if the hub is on this machine and its socket can be entered; else where the file says."""
        if self.ipc_answers:
            return self.at(self.ipc)
        for endpoint in self.endpoints:
            if endpoint.startswith("tcp://"):
                return self.at(endpoint)
        raise Unreachable(f"{self.path} names no encrypted endpoint of the hub, and the hub is not on this machine")

    def at(self, endpoint: str) -> Target:
        """At this endpoint, which may be a tunnel to where the file says."""
        return Target(with_address(endpoint), self.keys, self.path, self.about)


def find(server: str | None, access: PathLike | None, timeout: float, insecure: bool = False) -> Target:
    """The hub to talk to; waits up to `timeout` seconds for one that is about to start.

    Raises `NoHub`, `SeveralHubs`, `AccessError`, `Denied` if no key is known for it, and `ValueError` for what is no
    endpoint.
    """
    until = time.monotonic() + timeout
    while True:
        try:
            return find_now(server, access, insecure)
        except NoHub:
            if time.monotonic() >= until:
                raise
        time.sleep(AGAIN_S)


def find_now(server: str | None, access: PathLike | None, insecure: bool = False) -> Target:
    """As `find`, without waiting."""
    named = "access=", " leave out access="
    if server is None and access is None:
        server, access = os.environ.get("DHUB_HUB") or None, os.environ.get("DHUB_ACCESS") or None
        named = "DHUB_ACCESS", ": unset DHUB_ACCESS"
        endpoint = _parse_environment(server)
    else:
        endpoint = parse(server) if server is not None else None
    if endpoint is not None:
        _check_name(endpoint)
    if access is not None:
        try:
            file = Access(Path(os.path.abspath(access)))
        except AccessError as error:
            by, without = named
            raise AccessError(
                f"the access file of {by}: {error}\n"
                f"  for a hub of yours{without}; for another's, its user makes one: dhub access new"
            ) from None
        return file.at(endpoint) if endpoint is not None else file.target()
    if endpoint is None:
        return _only()
    return _known(endpoint, insecure or os.environ.get(INSECURE, "") not in ("", "0"))


def _parse_environment(server: str | None) -> str | None:
    try:
        return None if server is None else parse(server)
    except ValueError as error:
        raise ValueError(f"DHUB_HUB: {error}") from None


def _known(endpoint: str, insecure: bool) -> Target:
    """By the key of that of this user's hubs that is there. Plain only if none is, and plain is allowed."""
    # The most likely one first: those that are gone have left their port to others.
    at = [(_presence(known, live), known) for known, live in hubs() if known.is_at(endpoint)]
    for presence, known in sorted(at, key=lambda hub: hub[0]):
        if presence <= AWAY or not insecure:
            return known.at(endpoint)
    is_tcp = endpoint.startswith("tcp://")
    if insecure and is_tcp:
        return Target(with_address(endpoint))
    plain = (
        f"\n  a hub that was started with --insecure wants no key: insecure=True or {INSECURE}=1, and whoever answers"
        " there is believed"
    )
    raise Denied(
        f"no key is known for the hub at {endpoint}: none of your hubs is there, by {directory()}\n"
        "  give its access file with access= or DHUB_ACCESS; dhub access new makes it, by the hub's user"
        + (plain if is_tcp else "")
    )


def _presence(known: Access, live: str) -> int:
    """How likely it is that a hub has its last port: it answers, is on another machine, was killed, was stopped."""
    if known.ipc_answers:
        return 0
    if not live:
        return AWAY + 2
    return AWAY + 1 if known.host == socket.gethostname() else AWAY


def is_same(a: str, b: str) -> bool:
    """Do both lead to the same place? Names are looked up, and this machine is one place, whatever it is called.

    So is a socket, by whatever path. If not, no harm is done by a yes: the key of one hub opens no other.
    """
    if a == b:
        return True
    if a.startswith("ipc://") and b.startswith("ipc://"):
        return os.path.realpath(a[len("ipc://") :]) == os.path.realpath(b[len("ipc://") :])
    # Names are looked up only if they matter.
    if not (a.startswith("tcp://") and b.startswith("tcp://")) or a.rpartition(":")[2] != b.rpartition(":")[2]:
        return False
    one, other = _addresses(a), _addresses(b)
    return bool(one & other) or (any(map(_is_own, one)) and any(map(_is_own, other)))


def _addresses(endpoint: str) -> set[str]:
    host = endpoint[len("tcp://") :].rpartition(":")[0].strip("[]")
    # This machine's own name may be known to nobody else.
    if host.lower() == socket.gethostname().lower() or host == "*":
        return {"127.0.0.1"}
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return set()


def _check_name(endpoint: str) -> None:
    """Raises `NoHub` if no machine of that name is known."""
    # What comes before a semicolon is where from.
    name = endpoint[len("tcp://") :].rpartition(":")[0].rpartition(";")[2].strip("[]")
    if not endpoint.startswith("tcp://") or name.lower() == socket.gethostname().lower() or name == "*":
        return
    try:
        socket.getaddrinfo(name, None)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise NoHub(
            f"'{name}' is no name of a machine that can be found here ({why})\n"
            "  see how it is spelt, or give its address: server='ADDRESS:PORT', or DHUB_HUB      your own hubs are found without"
        ) from None


def with_address(endpoint: str) -> str:
    """A name that has addresses of IPv6 only becomes one of them: libzmq has to be told."""
    if not endpoint.startswith("tcp://") or endpoint.startswith("tcp://["):
        return endpoint
    addresses = _addresses(endpoint)
    if not addresses or any(":" not in it for it in addresses):
        return endpoint
    return f"tcp://[{min(addresses)}]:{endpoint.rpartition(':')[2]}"


def _is_own(address: str) -> bool:
    """Is it an address of this machine? Only of one's own one can take a port."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
            return True
        except OSError:
            return False


def parse(text: str) -> str:
    """Accepts what people type: `host`, `host:port` or a whole endpoint. Raises `ValueError`."""
    text = text.strip()
    if not text:
        raise ValueError("an endpoint is needed, for example tcp://127.0.0.1:6125")
    try:
        return f"tcp://[{ipaddress.IPv6Address(text.strip('[]'))}]:{PORT}"
    except ValueError:
        pass
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


def boot_id() -> str:
    """Another one after each start of the machine. Empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def takes_connections(path: str) -> bool:
    """Does a Unix socket answer there? One who keeps it from answering does not keep us waiting."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
            return True
        except BlockingIOError:
            # Its queue is full, but somebody has it.
            return True
        except OSError:
            return False


def hubs() -> list[tuple[Access, str]]:
    """The hubs of this user: their owner's access, and which they are; empty for those that stopped as asked."""
    running: list[tuple[Access, str]] = []
    stopped: list[tuple[Access, str]] = []
    home = directory()
    try:
        homes = sorted(home.iterdir())
    except FileNotFoundError:
        return running
    except OSError as error:
        # What cannot be read is not empty.
        raise AccessError(f"{home}: {private.words(error)}") from error
    private.check_dir(home, "set DHUB_DIR to a directory of yours")
    for hub in homes:
        owner = hub / "owner.access"
        # Without it its owner's key was taken back: for others to reach, by a file that they name.
        if not owner.exists():
            continue
        live = _live(hub / "live.json")
        try:
            access = Access(owner, pipe=False)
        except _Useless:
            # What a hub that stopped long ago wrote need not be of use.
            if live:
                raise
            continue
        (running if live else stopped).append((access, f"{access.file or 'in memory'}, on {access.host}, {live}" if live else ""))
    return running + stopped


def _live(path: Path) -> str:
    """What a hub that runs says of itself; empty if there is none."""
    if not path.exists():
        return ""
    try:
        live = json.loads(private.read(path))
        return f"process {live['process']} since {live['since']}"
    except (ValueError, KeyError, TypeError):
        return ""


def _is_process(path: Path) -> bool:
    """Is there a process as it says? If it is another one by now, its key tells."""
    try:
        os.kill(int(json.loads(private.read(path))["process"]), 0)
    except PermissionError:
        return True
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return False
    return True


def _key(said: dict[str, Any], name: str) -> bytes:
    key = said[name]
    if not _Z85.fullmatch(key):
        raise _NoKey(name)
    return bytes(key.encode())


def _started(hub: Access) -> float:
    """When it was started last: it says then where it is found, and nothing later."""
    try:
        return (hub.path.parent / "place.json").stat().st_mtime
    except OSError:
        return 0.0


def _only() -> Target:
    """The only hub of this user that runs."""
    here: list[tuple[Access, str]] = []
    away: list[tuple[Access, str]] = []
    gone: list[tuple[Access, str]] = []
    stopped: list[Access] = []
    for access, about in hubs():
        if not about:
            stopped.append(access)
            continue
        if access.ipc_answers:
            here.append((access, about))
        elif access.host != socket.gethostname() and access.endpoints:
            away.append((access, about))
        elif access.is_here and _is_process(access.path.parent / "live.json") and any(map(_answers, access.endpoints)):
            # Its socket is gone, as with the session of who started it.
            here.append((access, about))
        else:
            gone.append((access, about))
    if len(here) + len(away) > 1:
        # One that was killed on another machine is still listed.
        away = [hub for hub in away if any(_answers(endpoint) for endpoint in hub[0].endpoints)]
    found = here + away
    if len(found) == 1:
        return found[0][0].target()
    if found:
        choices = [f"{_shortest(access, found)}  ({about})" for access, about in found]
        raise SeveralHubs("several of your hubs run; choose one:\n  " + "\n  ".join(choices))
    # Who stopped one later does not mean an older one that was killed.
    gone = [hub for hub in gone if all(_started(it) <= _started(hub[0]) for it in stopped)]
    if gone:
        access, about = max(gone, key=lambda hub: _started(hub[0]))
        tried = f" (nothing answers at {access.ipc})" if access.is_here else ""
        again = f"start it again with: dhub -f {private.word(access.file or 'FILE')}"
        raise NoHub(f"the hub of {about} is gone{tried}\n  {again}")
    raise NoHub(
        f"none of your hubs runs (looked on this machine and in {directory()})\n"
        "  start one with: dhub -f FILE      another: server= or access="
    )


def _shortest(access: Access, found: list[tuple[Access, str]]) -> str:
    """How to mean this one of them."""
    for endpoint in access.endpoints:
        # One that is here need not be asked: it would log that.
        leads_there = any(map(_is_own, _addresses(endpoint))) if access.ipc_answers else _answers(endpoint)
        if leads_there and sum(other.is_at(endpoint) for other, _ in found) == 1:
            return f"server={endpoint[len('tcp://') :]!r}"
    return f"access={str(access.path)!r}"


def _answers(endpoint: str) -> bool:
    """Does something take connections there?"""
    host, _, port = endpoint[len("tcp://") :].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PROBE_S).close()
        return True
    except (OSError, ValueError):
        return False
