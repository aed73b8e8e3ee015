"""How long tasks run here and how long a request takes, and from that: how many to hold ahead.

A task held ahead is of use only if it starts before the hub could have given it: while tasks of milliseconds end,
some; while long ones run, none, because somebody else may be idle. Until a task has ended nothing is known; nothing
is known either once none has ended for a while.
"""

from __future__ import annotations

ROUND_TRIPS = 4
"""Of the horizon: the time of so many round trips, so that a slow one does no harm."""
HORIZON_MIN_S, HORIZON_MAX_S = 0.05, 0.5
STALE_S = 0.5
"""After this long without a task that ended here, nothing is known of the length of tasks."""
PER_SLOT_MAX = 192
AHEAD_MAX = 4000
SMOOTHING = 1 / 8


class Pace:
    """What was measured, in seconds."""

    def __init__(self) -> None:
        self.length: float | None = None
        self.round_trip = 0.0
        self.last_end = 0.0

    def ended(self, ran: float, now: float) -> None:
        self.length = ran if self.length is None else self.length + (ran - self.length) * SMOOTHING
        self.last_end = now

    def answered(self, took: float) -> None:
        self.round_trip += (took - self.round_trip) * SMOOTHING

    def ahead(self, slots: int, now: float) -> int:
        """How many tasks to hold beyond those that run."""
        if self.length is None or now >= self.last_end + STALE_S:
            return 0
        horizon = max(HORIZON_MIN_S, min(HORIZON_MAX_S, self.round_trip * ROUND_TRIPS))
        return min(round(slots * horizon / max(self.length, 1e-6)), slots * PER_SLOT_MAX, AHEAD_MAX)

    def soon(self, now: float, seconds: float, most: int) -> int:
        """How many tasks one slot ends within so many seconds."""
        if self.length is None or now >= self.last_end + STALE_S:
            return 0
        return min(int(seconds / max(self.length, 1e-6)), most)
