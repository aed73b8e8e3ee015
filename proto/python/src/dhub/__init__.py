"""Clients of dhub, a task hub: its verbs, workers, and an executor.

import dhub

hub = dhub.Hub()                 # your only hub that runs
hub.create("prep", command="./prep.sh")
hub.wait()
"""

from dhub._version import __version__
from dhub.aio import AsyncHub
from dhub.errors import (
    AccessError,
    Busy,
    CannotPickle,
    Conflict,
    Cycle,
    Denied,
    DhubError,
    DiskFull,
    ErrorCode,
    HubFull,
    InitializerFailed,
    Invalid,
    NoHub,
    NotFound,
    NotTheHub,
    OverLimit,
    Refused,
    SeveralHubs,
    Stale,
    TaskFailed,
    TaskKilled,
    TaskSkipped,
    Unexpected,
    Unsupported,
    WrongState,
)
from dhub.executor import DhubExecutor
from dhub.future import DhubFuture
from dhub.hub import Hub
from dhub.model import Counts, Lease, Outcome, Phase, State, Task, TaskInfo
from dhub.progress import map
from dhub.work import Job, Tally, work

__all__ = [
    "AccessError",
    "AsyncHub",
    "Busy",
    "CannotPickle",
    "Conflict",
    "Counts",
    "Cycle",
    "Denied",
    "DhubError",
    "DhubExecutor",
    "DhubFuture",
    "DiskFull",
    "ErrorCode",
    "Hub",
    "HubFull",
    "InitializerFailed",
    "Invalid",
    "Job",
    "Lease",
    "NoHub",
    "NotFound",
    "NotTheHub",
    "Outcome",
    "OverLimit",
    "Phase",
    "Refused",
    "SeveralHubs",
    "Stale",
    "State",
    "Tally",
    "Task",
    "TaskFailed",
    "TaskInfo",
    "TaskKilled",
    "TaskSkipped",
    "Unexpected",
    "Unsupported",
    "WrongState",
    "__version__",
    "map",
    "work",
]
