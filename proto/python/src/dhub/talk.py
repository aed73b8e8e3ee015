"""How one request gets its answer, without sockets or threads: what blocks and what awaits run the same steps.

A verb is a generator that yields what it asks (`Ask`), is sent the reply, and returns its result: a `Talk`.
`request` is a generator, too: it yields what to send for how long (`Try`), is sent the bytes that came or None, and
returns the reply. Every request may be sent twice, so a silent hub is asked again over a new connection
(ZeroMQ guide, "Lazy Pirate") until the time-out is over.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from dhub._version import __version__
from dhub._wire import hub_pb2 as wire
from dhub.errors import NoHub, OverLimit, Unexpected, refused
from dhub.find import Target

TRY_S = 2.5
"""How long one connection may stay silent before the request goes out again over a new one."""
PING_S = 1.0
"""How long the sign of life of a hub may take that is busy with a long request."""
LONGEST_S = 600.0
"""How long a hub that lives may take for one request."""
TOLD = {"create", "cancel", "retry", "complete", "release", "exit"}
"""Requests whose reply tells what they changed: by a token the hub knows a copy, and tells it all that both did."""
MESSAGE_BYTES_MAX = 64 * 1024 * 1024

R = TypeVar("R")


class Ask(NamedTuple):
    """One request of a verb."""

    request: wire.Request
    expects: str
    """The field of the reply."""
    parked: float = 0.0
    """Seconds that the hub may keep it, by its own `wait_ms`."""


Talk = Generator[Ask, Any, R]


class Try(NamedTuple):
    """Something to send, and how long to wait for what comes back. Nothing came: a new connection is due."""

    frame: bytes
    seconds: float


_ids = itertools.count(1)


def request(target: Target, timeout: float, ask: Ask) -> Generator[Try, bytes | None, Any]:
    """Asks until there is an answer or the time is over; returns the field of the reply that was expected.

    Raises what the hub refused, `NoHub`, `Unexpected`, and `OverLimit` for what no message can hold.
    """
    ask.request.id = number = next(_ids)
    if ask.request.WhichOneof("body") in TOLD:
        ask.request.token = os.urandom(16)
    frame = ask.request.SerializeToString()
    if len(frame) > MESSAGE_BYTES_MAX:
        raise OverLimit(f"the request has {len(frame)} bytes; a message has at most {MESSAGE_BYTES_MAX}")
    begin = time.monotonic()
    deadline = begin + timeout + ask.parked
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise NoHub(f"no hub answers at {target.place} (waited {timeout + ask.parked:g} s)")
        came = yield Try(frame, min(left, TRY_S + ask.parked))
        if came is not None:
            return reply(target, came, number, ask.expects)
        # Silent: the connection may be dead without knowing it, or the request is long. Does the hub answer
        # something that takes no time? Then the request is worth waiting for; it goes out again all the same, and
        # the hub joins it to the one that it works on.
        if time.monotonic() - begin < LONGEST_S:
            left = max(0.0, deadline - time.monotonic())
            hello = wire.Request(id=next(_ids), hello=wire.Hello(version=__version__))
            if (yield Try(hello.SerializeToString(), min(left, PING_S))) is not None:
                deadline = time.monotonic() + timeout + ask.parked


def reply(target: Target, came: bytes, number: int, expects: str) -> Any:
    """What is in a reply, or the error that it is."""
    try:
        decoded = wire.Reply.FromString(came)
    except DecodeError:
        decoded = wire.Reply()
    body = decoded.WhichOneof("body")
    if decoded.id == number and body == expects:
        return getattr(decoded, body)
    if decoded.id == number and body == "error":
        error = decoded.error
        raise refused(error.code, error.message, error.names)
    raise Unexpected(
        f"the hub at {target.endpoint} answered something else than was asked; is it a dhub of version {__version__}?"
    )
