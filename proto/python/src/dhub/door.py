"""Who is at the hub's address when no hub answers? A hub that has no descriptors for more connections says so.

It has to close them before it knows whose they are, so it says it in its greeting, in eight bytes that are padding
to everybody else.
"""

from __future__ import annotations

import socket
import threading
import time

from dhub.errors import DhubError, HubFull
from dhub.find import Target

PATIENCE_S = 0.5
"""For a connection, and for what is said."""
LIMIT_S = 1.5
"""For all of it: to look a name up may take longer than anybody wants to wait."""
FULL = b"\xffdhubfull\x7f"
"""The begin of the greeting of a hub that is full."""


def is_full(endpoint: str) -> bool:
    """Is a hub there, without room for another connection? Only over TCP; takes a second and a half at most."""
    if not endpoint.startswith("tcp://"):
        return False
    said: list[bytes] = []
    thread = threading.Thread(target=lambda: said.append(_knock(endpoint)), name="dhub-door", daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    return said == [FULL]


def explain(error: DhubError, target: Target) -> DhubError:
    """The same, or that the hub is full."""
    if not is_full(target.endpoint):
        return error
    return HubFull(f"the hub at {target.place} has no room for another connection; its log says more")


def _knock(endpoint: str) -> bytes:
    """What is said first there, as far as it is the greeting of a full hub."""
    host, _, port = endpoint[len("tcp://") :].rpartition(":")
    said, until = b"", time.monotonic() + 2 * PATIENCE_S
    try:
        with socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S) as line:
            while said != FULL and FULL.startswith(said):
                line.settimeout(max(0.001, until - time.monotonic()))
                more = line.recv(len(FULL) - len(said))
                if not more:
                    break
                said += more
    except (OSError, ValueError):
        pass
    return said
