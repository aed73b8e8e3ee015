"""Names that tasks need and nobody has added: the hub waits for them on purpose, so who waits for such a task is told.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterable
from typing import Any

from dhub._wire import hub_pb2 as wire
from dhub.errors import Busy, Refused
from dhub.link import Link

LOGGER = logging.getLogger("concurrent.futures")
SAY_S = 5.0
"""How long somebody has to add them before it is said."""
ASK_NAMES = 1000
"""At a time."""
SAY_NAMES = 10


class Missing:
    """Says each name once, until `again`."""

    def __init__(
        self,
        link: Link,
        at: Callable[[float, Callable[[], None]], None],
        needs: Callable[[], Iterable[tuple[str, Iterable[str]]]],
    ) -> None:
        """`at` calls something in so many seconds; `needs` tells of the tasks there are, and what each needs."""
        self._link, self._at, self._needs = link, at, needs
        self._needed: dict[str, str] = {}
        self._told: set[str] = set()

    def again(self) -> None:
        self._told.clear()
        self.later()

    def later(self) -> None:
        self._at(SAY_S, self._look)

    def _look(self) -> None:
        self._needed = {need: task for task, needs in self._needs() for need in needs if need not in self._told}
        self._ask(list(self._needed))

    def _ask(self, left: list[str]) -> None:
        names, rest = left[:ASK_NAMES], left[ASK_NAMES:]
        if not names:
            return

        def heard(it: Any) -> None:
            if not isinstance(it, Refused):
                self._say(it.unknown)
                self._ask(rest)
            elif isinstance(it, Busy):
                self._at(SAY_S, lambda: self._ask(left))

        ask = wire.List(selection=wire.Selection(names=names), limit=len(names))
        self._link.ask(wire.Request(list=ask), heard)

    def _say(self, unknown: Iterable[str]) -> None:
        """Those of them that the hub does not have."""
        names = [name for name in unknown if name in self._needed and name not in self._told]
        if not names:
            return
        self._told.update(names)
        some = ", ".join(names[:SAY_NAMES]) + (", …" if len(names) > SAY_NAMES else "")
        what = "1 name that nobody added is" if len(names) == 1 else f"{len(names):,} names that nobody added are"
        LOGGER.warning(
            "dhub: %s waited for: %s\n  add it: dquery create %s      or give up what waits: dquery cancel %s",
            what,
            some,
            _word(names[0]),
            _word(self._needed[names[0]]),
        )


def _word(name: str) -> str:
    """As a word of a shell, that is no option."""
    word = shlex.quote(name)
    return f"-- {word}" if name.startswith("-") else word
