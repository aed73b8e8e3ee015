"""A process that runs tasks, as the one sees it that talks to the hub."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dhub import payload
from dhub._wire import hub_pb2 as wire
from dhub.ledger import Ledger
from dhub.pool import Held, Key

MESSAGE_BYTES = 1 << 20
NUMBER = struct.Struct("<Q")
"""Before each task: its number in this process. The first is 1."""
HEAD = struct.Struct("<BQIH")
"""Of what the process says: which of these, the task, how many microseconds it took, bytes of the path that follows."""
ENDED, LEFT, BACK, REFUSED = 0, 1, 2, 3
"""A task ended, its outcome comes after the path of a file that belongs to it; it waits for others; it goes on; it was
not begun, and is for another process."""


_buffer = memoryview(bytearray(MESSAGE_BYTES))


class News(NamedTuple):
    """What a process says."""

    kind: int
    held: Held
    ran: float
    file: Path | None
    outcome: wire.Outcome | None


class Slot:
    """What it was given and has not told the outcome of; the first of them runs."""

    def __init__(self, number: int, end: socket.socket, ledger: Ledger) -> None:
        self.number, self.end, self.ledger = number, end, ledger
        self.pid = 0
        self.given: dict[int, Held] = {}
        self.sent = 0
        """The number of the last task that was sent."""
        self.away = False
        """Its task waits for others, so that another process may run meanwhile."""
        self.killed_at = 0.0
        self.why = ""
        self.gives_back = False
        """It is ended, and its task has not failed by that."""
        self.is_closed = False

    def give(self, held: Held) -> bool:
        """False: there is no room."""
        try:
            self.end.send(NUMBER.pack(self.sent + 1) + held.lease.SerializeToString())
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        self.sent += 1
        self.given[self.sent] = held
        if len(self.given) == 1:
            held.since = time.monotonic()
        return True

    def first(self) -> Held | None:
        return next(iter(self.given.values()), None)

    def take_back(self) -> list[Held] | None:
        """What it has not begun, in order. None: cannot be said just now."""
        begun = self.ledger.take_back(self.sent)
        return None if begun is None else self._rest(begun)

    def is_running(self, key: Key) -> bool:
        """Is this the task that it has begun last? After `take_back` it stays so."""
        held = self.given.get(self.ledger.begun)
        return held is not None and held.key == key

    def news(self) -> Iterator[News]:
        """What it has said since."""
        while True:
            try:
                read = self.end.recv_into(_buffer)
            except ConnectionResetError:
                continue  # it died with tasks unread: said once, before what it has told itself
            except OSError:  # nothing more for now, or for ever: the nursery tells
                return
            if not read:
                return
            data = bytes(_buffer[:read])
            kind, number, ran, size = HEAD.unpack_from(data)
            held = self.given.get(number)
            if held is None:
                continue
            if kind in (LEFT, BACK):
                yield News(kind, held, 0.0, None, None)
                continue
            del self.given[number]
            first = self.first()
            if first is not None:
                first.since = time.monotonic()
            if kind == REFUSED:
                yield News(kind, held, 0.0, None, None)
                continue
            path = data[HEAD.size : HEAD.size + size]
            outcome = wire.Outcome.FromString(data[HEAD.size + size :])
            yield News(kind, held, ran / 1e6, Path(os.fsdecode(path)) if path else None, outcome)

    def died(self) -> tuple[list[Held], list[Held]]:
        """What it ran, which is one task at most, and what it had not begun. All that it said has been read."""
        back = self._rest(self.ledger.begun)
        file = self.ledger.file()
        if self.given and file is not None:
            payload.unlink([file])
        return list(self.given.values()), back

    def close(self) -> None:
        """It is given nothing more; a process that runs nothing ends by that."""
        self.is_closed = True
        self.end.close()

    def _rest(self, begun: int) -> list[Held]:
        return [self.given.pop(number) for number in list(self.given) if number > begun]
