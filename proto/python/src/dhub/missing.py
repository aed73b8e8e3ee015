"""Names that tasks need and nobody has added: the hub waits for them on purpose, so who waits for such a task is told.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterable

LOGGER = logging.getLogger("concurrent.futures")
SAY_S = 5.0
"""How long somebody has to add them before it is said."""
ASK_NAMES = 1000
"""At a time."""
SAY_NAMES = 10


class Missing:
    """Says each name once, until `again`."""

    def __init__(self) -> None:
        self._needed: dict[str, str] = {}
        self._told: set[str] = set()

    def again(self) -> None:
        self._told.clear()

    def names(self, tasks: Iterable[tuple[str, Iterable[str]]]) -> list[str]:
        """Of these tasks and what each needs: the names to ask the hub for."""
        self._needed = {need: task for task, needs in tasks for need in needs if need not in self._told}
        return list(self._needed)

    def say(self, unknown: Iterable[str]) -> None:
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
