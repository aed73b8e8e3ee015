"""What a process has begun, and what was taken back from it before: a page that it shares with who gives it tasks.

Tasks are numbered, and go to the process by a socket that nobody else reads. Before it begins one it looks, under a
lock, whether that was taken back, and writes the number down if not. Who gave them says under the same lock that all
is taken back which was not begun. So both sides know the same, however busy the process is and wherever either was
stopped. The lock is the kernel's: it falls with the process that holds it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from pathlib import Path

_NUMBER = struct.Struct("<Q")
_LENGTH = struct.Struct("<H")
_BEGUN, _TAKEN_BACK, _FILE = 0, 8, 16
_BYTES = mmap.PAGESIZE
TRIES = 10


class Ledger:
    """Of one process. Its descriptor goes to that process."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._page = mmap.mmap(descriptor, _BYTES)

    @classmethod
    def new(cls) -> Ledger:
        descriptor = os.memfd_create("dhub")
        os.ftruncate(descriptor, _BYTES)
        return cls(descriptor)

    def close(self) -> None:
        self._page.close()
        os.close(self.descriptor)

    @property
    def begun(self) -> int:
        """The number of the task that was begun last; 0: none was."""
        return int(_NUMBER.unpack_from(self._page, _BEGUN)[0])

    # --- the process that runs tasks ------------------------------------------------------------

    def begin(self, number: int) -> bool:
        """False: it was taken back, and is not to be begun."""
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX)
        try:
            if number <= _NUMBER.unpack_from(self._page, _TAKEN_BACK)[0]:
                return False
            _LENGTH.pack_into(self._page, _FILE, 0)  # that of the task before has been told of
            _NUMBER.pack_into(self._page, _BEGUN, number)
            return True
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN)

    def making(self, file: Path) -> None:
        """A file that is to be removed if this process dies before it has told of it."""
        path = os.fsencode(file)
        if len(path) <= _BYTES - _FILE - _LENGTH.size:
            _LENGTH.pack_into(self._page, _FILE, 0)
            self._page[_FILE + _LENGTH.size : _FILE + _LENGTH.size + len(path)] = path
            _LENGTH.pack_into(self._page, _FILE, len(path))

    # --- the process that gives them ------------------------------------------------------------

    def take_back(self, last: int) -> int | None:
        """Takes back all up to the number `last` that was not begun. The number that was begun last.

        None: the process is about to begin one, and may be stopped there; it can be asked again.
        """
        for _ in range(TRIES):
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                os.sched_yield()
                continue
            try:
                _NUMBER.pack_into(self._page, _TAKEN_BACK, last)
                return self.begun
            finally:
                fcntl.lockf(self.descriptor, fcntl.LOCK_UN)
        return None

    def file(self) -> Path | None:
        """What the process, which is dead, was making."""
        length = _LENGTH.unpack_from(self._page, _FILE)[0]
        begin = _FILE + _LENGTH.size
        return Path(os.fsdecode(self._page[begin : begin + length])) if length else None
