"""`--halt`: after how many failures a pool has enough, in the words of GNU parallel and of kworker."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import NamedTuple

FAILED_MIN = 3
"""Of a part fewer say nothing yet, as in GNU parallel."""
FORM = re.compile(r"\s*(now|soon)\s*,\s*fail=([0-9]{1,18})(%?)", re.ASCII)


class Halt(NamedTuple):
    now: bool
    """End what runs; otherwise it may end by itself."""
    most: int
    is_part: bool
    """In percent, of those that ended here."""

    @classmethod
    def parse(cls, text: str) -> Halt:
        found = FORM.fullmatch(text)
        if found is None:
            raise ArgumentTypeError(
                f"'{text}' is neither soon nor now, a comma, and fail=N or fail=N%, in small letters; N is a whole number"
            )
        when, most, part = found.groups()
        if part and not 1 <= int(most) <= 100:
            raise ArgumentTypeError("a part of the tasks is 1% to 100%")
        if int(most) == 0:
            raise ArgumentTypeError("fail=0 would halt before anything fails")
        return cls(when == "now", int(most), bool(part))

    def is_due(self, failed: int, done: int) -> bool:
        """Is it enough when so many tasks failed, and so many are done?"""
        if self.is_part:
            return failed >= FAILED_MIN and failed * 100 >= (failed + done) * self.most
        return failed >= self.most

    def __str__(self) -> str:
        return f"{'now' if self.now else 'soon'},fail={self.most}{'%' if self.is_part else ''}"
