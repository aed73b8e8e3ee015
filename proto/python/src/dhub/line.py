"""Sockets: how they are set, and what libzmq tells about their connections."""

from __future__ import annotations

import enum
import os
from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

from dhub.errors import Denied, NotTheHub
from dhub.find import Target
from dhub.talk import MESSAGE_BYTES_MAX


class Event(enum.Enum):
    """What happened to a connection."""

    UP = zmq.EVENT_HANDSHAKE_SUCCEEDED
    DOWN = zmq.EVENT_DISCONNECTED
    DENIED = zmq.EVENT_HANDSHAKE_FAILED_AUTH
    MISMATCH = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    """One side is encrypted and the other is not, or it does not speak ZeroMQ."""
    BROKEN_OFF = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    """The other side closed the connection during the handshake."""


_WANTED = sum(event.value for event in Event)
_contexts: dict[int, zmq.Context[zmq.Socket[bytes]]] = {}


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """That of this process: what was inherited through a fork is left alone."""
    mine = _contexts.get(os.getpid())
    if mine is None:
        mine = zmq.Context()
        mine.max_sockets = 16_384
        # A lost race of two threads costs one idle context.
        mine = _contexts.setdefault(os.getpid(), mine)
    return mine


class Line:
    """A socket that is connected to the hub, with what libzmq tells about it."""

    def __init__(
        self,
        context: Any,
        target: Target,
        kind: int,
        *,
        was_reached: bool = False,
        conflate: bool = False,
        ping_ms: int = 0,
    ) -> None:
        self.target = target
        self.was_reached = was_reached
        """The hub was there before: whoever is at its place now, it may come back."""
        self.hint: NotTheHub | None = None
        """What looks like a refusal, but may also be a hub that was stopped just then."""
        self.socket = socket = context.socket(kind)
        socket.linger = 0
        socket.ipv6 = target.endpoint.startswith("tcp://[")
        socket.maxmsgsize = MESSAGE_BYTES_MAX
        socket.reconnect_ivl, socket.reconnect_ivl_max = 50, 1000
        socket.connect_timeout = 5000
        if ping_ms:
            socket.heartbeat_ivl = socket.heartbeat_timeout = ping_ms
        if conflate:
            # Of reports that could not be sent only the newest is of use.
            socket.conflate = 1
        if target.keys is not None:
            keys = target.keys
            socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = keys
        self.events = socket.get_monitor_socket(_WANTED)
        socket.connect(target.endpoint)

    def close(self) -> None:
        if self.events is not None:
            self.socket.disable_monitor()
            self.events.close()
            self.events = None
        self.socket.close()

    @staticmethod
    def event(parts: Any) -> Event:
        return Event(parse_monitor_message(parts)["event"])

    def denied(self, event: Event) -> None:
        """Raises `Denied` for what stays so; keeps what may pass as a hint."""
        about = self.target.access or "the access file"
        endpoint = self.target.endpoint
        if event is Event.UP:
            self.hint, self.was_reached = None, True
        elif event is Event.DENIED:
            raise Denied(
                f"the hub at {endpoint} does not let the key of {about} in: it was taken back, or is of another hub\n"
                "  another one: dhub access new, by the hub's user"
            )
        elif event is Event.MISMATCH and self.target.keys is None:
            raise Denied(
                f"the hub at {endpoint} lets only known keys in, and none was given\n"
                "  give one with access= or DHUB_ACCESS; dhub access new makes it"
            )
        elif event is Event.MISMATCH:
            self.hint = NotTheHub(
                f"what answers at {endpoint} is another hub than {about} is for, or none: it is not encrypted\n"
                "  to a hub with --insecure: server= and insecure=True, without access= and DHUB_ACCESS"
            )
            if not self.was_reached:
                raise self.hint
        elif event is Event.BROKEN_OFF and self.target.keys is not None:
            self.hint = NotTheHub(
                f"what answers at {endpoint} is another hub than {about} is for, or none, or a hub that has no room for"
                " connections (its log says so), or one of a version before this: it breaks the encrypted handshake off"
            )
