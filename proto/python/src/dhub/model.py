"""What goes to the hub and comes from it, as plain values. Times are seconds, moments seconds since 1970."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dhub._wire import hub_pb2 as wire
from dhub.errors import Refused, refused
from dhub.options import Options, several, text_of


class State(enum.IntEnum):
    """Where a task stands. `str()` of it is what dquery prints."""

    UNSPECIFIED = 0
    MISSING = 1
    """Named as a dependency, added by nobody."""
    WAITING = 2
    READY = 3
    RUNNING = 4
    DONE = 5
    FAILED = 6
    SKIPPED = 7
    CANCELLED = 8

    @property
    def finished(self) -> bool:
        return self >= State.DONE

    def __str__(self) -> str:
        return self.name.lower()


class Phase(enum.IntEnum):
    """Where the whole graph stands."""

    UNSPECIFIED = 0
    EMPTY = 1
    """No task was ever added."""
    ACTIVE = 2
    """Some task is ready or running, or has failed and waits for its next try."""
    STUCK = 3
    """All that is unfinished waits for names that nobody added."""
    FINISHED = 4
    """Every task is finished."""

    def __str__(self) -> str:
        return self.name.lower()


class Task(NamedTuple):
    """A task to create. Equal definitions make a repeated create harmless; another one is a `Conflict`."""

    name: str
    """Unique, 1 to 1024 bytes of UTF-8 without NUL."""
    needs: Iterable[str] = ()
    """Names of the tasks that must be done before; they may be added later."""
    command: str = ""
    """What a kworker runs. Empty: its own command, else the name."""
    priority: int = 0
    """Larger first."""
    retries: int = 0
    """Further tries after a failure."""
    time_limit: float | None = None
    """Seconds."""
    dir: str = ""
    """Where the command runs; empty: where the worker is."""
    env: Mapping[str, str] | None = None
    """Further environment of the command, at most 64 KiB."""
    stdin: bytes = b""
    """What it reads from standard input, at most 64 KiB."""

    def to_wire(self) -> wire.Task:
        """Raises `TypeError` or `ValueError`, which say what of it is wrong."""
        several("needs", self.needs, "names of tasks")
        if self.env is not None and not isinstance(self.env, Mapping):
            raise TypeError(f"env is a mapping of names to values, not {self.env!r}")
        options = Options.of(self.priority, self.retries, self.time_limit)
        return wire.Task(
            name=text_of(self.name, "name"),
            needs=[text_of(need, "a name in needs") for need in self.needs],
            command=text_of(self.command, "command"),
            priority=options.priority,
            retries=options.retries,
            time_limit_ms=ms(options.time_limit),
            dir=text_of(self.dir, "dir"),
            env=[f"{name}={value}" for name, value in (self.env or {}).items()],
            stdin=self.stdin,
        )


class Created(NamedTuple):
    """What a create did."""

    added: int
    existing: int
    """Names that were there already, with the same definition."""
    ready: int
    """Of those added: ready at once."""


class Lease(NamedTuple):
    """The right to one attempt at one task."""

    name: str
    attempt: int
    """Counted from 1; what fences an outcome."""
    command: str
    time_limit: float | None
    term: float
    """Seconds until it ends, unless a heartbeat renews it."""
    dir: str
    env: dict[str, str]
    stdin: bytes

    @classmethod
    def of(cls, it: wire.Lease) -> Lease:
        limit = it.time_limit_ms / 1000 or None
        env = dict(entry.split("=", 1) for entry in it.env) if it.env else {}
        return cls(it.name, it.attempt, it.command, limit, it.term_ms / 1000, it.dir, env, it.stdin)


class Stolen(NamedTuple):
    """The reply to a steal."""

    leases: list[Lease]
    phase: Phase
    not_done: int
    """Tasks failed, skipped or cancelled so far."""
    lost: list[tuple[str, int]]
    """Attempts that the hub took back: their outcomes do not count any more."""
    drain: bool
    """Take no more tasks."""
    stop: bool
    """Drain, and give back what runs."""

    @classmethod
    def of(cls, it: wire.Stolen) -> Stolen:
        return cls(
            [Lease.of(lease) for lease in it.leases],
            Phase(it.phase),
            it.not_done,
            [(lost.name, lost.attempt) for lost in it.lost],
            it.drain or it.stop,
            it.stop,
        )


class Outcome(NamedTuple):
    """How an attempt ended."""

    name: str
    attempt: int = 0
    """0: counts if this worker held the newest attempt."""
    done: bool = True
    exit_code: int = 0
    reason: str = ""
    """Why it failed, for people: at most 1024 bytes, more is cut."""
    output: bytes = b""
    """The last 64 KiB of it are kept."""
    final: bool = False
    """Of a failure: no further try, whatever retries are left."""

    def to_wire(self) -> wire.Outcome:
        return wire.Outcome(
            name=self.name,
            attempt=self.attempt,
            result=wire.RESULT_DONE if self.done else wire.RESULT_FAILED,
            exit_code=self.exit_code,
            reason=self.reason.encode("utf-8", "replace")[:1000].decode("utf-8", "ignore"),
            output=self.output[-OUTPUT_BYTES_MAX:],
            final=self.final,
        )


class Reported(NamedTuple):
    """The reply to a report of outcomes."""

    refused: list[Refused]
    """One for each outcome that was not recorded; `names` has its task."""
    stolen: Stolen
    """What `want` brought."""


class Heartbeaten(NamedTuple):
    """The reply to a heartbeat."""

    lost: list[tuple[str, int]]
    drain: bool
    stop: bool


class Counts(NamedTuple):
    """How many tasks are in each state."""

    waiting: int
    ready: int
    running: int
    done: int
    failed: int
    skipped: int
    cancelled: int
    missing: int
    """Names that tasks wait for and nobody added; not part of the total."""

    @property
    def total(self) -> int:
        return sum(self) - self.missing

    @property
    def finished(self) -> int:
        return self.done + self.failed + self.skipped + self.cancelled

    @classmethod
    def of(cls, it: wire.Counts) -> Counts:
        return cls(*(getattr(it, field) for field in cls._fields))


class Waited(NamedTuple):
    """Where the graph stands."""

    phase: Phase
    counts: Counts
    done_per_s: float


class TaskInfo(NamedTuple):
    """What the hub knows of a task."""

    name: str
    state: State
    priority: int
    retries: int
    attempt: int
    """Steals so far."""
    failures: int
    reclaims: int
    worker: str
    """Who runs or ran it last."""
    run_s: float
    """How long it has been running, or ran the last time."""
    exit_code: int
    reason: str
    command: str
    time_limit: float | None
    created: float
    ended: float
    """0: it has not."""
    dir: str
    env: dict[str, str]
    stdin_bytes: int
    retry_in_s: float
    """It failed, and waits for this long before the next try."""

    @classmethod
    def of(cls, it: wire.TaskInfo) -> TaskInfo:
        return cls(
            it.name,
            State(it.state),
            it.priority,
            it.retries,
            it.attempt,
            it.failures,
            it.reclaims,
            it.worker,
            it.run_ms / 1000,
            it.exit_code,
            it.reason,
            it.command,
            it.time_limit_ms / 1000 or None,
            it.created_unix_ms / 1000,
            it.ended_unix_ms / 1000,
            it.dir,
            dict(entry.split("=", 1) for entry in it.env),
            it.stdin_bytes,
            it.retry_in_ms / 1000,
        )


class AttemptInfo(NamedTuple):
    """One attempt at a task."""

    attempt: int
    worker: str
    host: str
    started: float
    ended: float
    """0: it runs."""
    outcome: str
    """done, failed, reclaimed, cancelled or running."""
    exit_code: int
    reason: str
    output: bytes
    output_file: str
    """The file that has all of its output, on `host`. Empty: there is none."""
    key: str = ""
    """The name of the key that it was handed in with. Empty: one with all roles, or the hub wants none."""
    left_behind: int = 0
    """Processes that it left in the background, and that were ended with it."""

    @classmethod
    def of(cls, it: wire.AttemptInfo) -> AttemptInfo:
        return cls(
            it.attempt,
            it.worker,
            it.host,
            it.started_unix_ms / 1000,
            it.ended_unix_ms / 1000,
            it.outcome,
            it.exit_code,
            it.reason,
            it.output,
            it.output_file,
            it.key,
            it.left_behind,
        )


class Ended(NamedTuple):
    """How a task ended."""

    task: TaskInfo
    attempt: AttemptInfo | None
    """The last one. None: it never ran."""


class Shown(NamedTuple):
    """A task with its neighbours and its history."""

    task: TaskInfo
    needs: list[TaskInfo]
    """At most 1000, without their commands."""
    needed_by: list[TaskInfo]
    """Unfinished tasks, and those skipped because of this one; at most 1000."""
    attempts: list[AttemptInfo]


class Exported(NamedTuple):
    """A task for looking at a run as a whole."""

    id: int
    """Later tasks have larger ones."""
    task: TaskInfo
    needs: list[int]
    """Their ids."""
    attempts: list[AttemptInfo]

    @classmethod
    def of(cls, it: wire.ExportedTask) -> Exported:
        return cls(it.id, TaskInfo.of(it.task), list(it.needs), [AttemptInfo.of(attempt) for attempt in it.attempts])


class WorkerInfo(NamedTuple):
    """A worker that the hub knows."""

    name: str
    host: str
    slots: int
    """0: it does not say."""
    leases: int
    started: int
    done: int
    failed: int
    last_seen_ago_s: float
    lost: bool
    """Silent for too long; what it held was taken back."""
    draining: bool
    note: str
    key: str = ""
    """The name of its key. Empty: one with all roles, or the hub wants none."""

    @classmethod
    def of(cls, it: wire.WorkerInfo) -> WorkerInfo:
        return cls(
            it.name,
            it.host,
            it.sample.slots,
            it.leases,
            it.started,
            it.done,
            it.failed,
            it.last_seen_ago_ms / 1000,
            it.lost,
            it.order != wire.ORDER_UNSPECIFIED,
            it.note,
            it.key,
        )


class Status(NamedTuple):
    """What is going on."""

    counts: Counts
    phase: Phase
    done_per_s: float
    """Over the last 10 s."""
    done_per_s_overall: float
    """Since the hub's start."""
    workers: int
    missing: list[str]
    """At most 10."""
    failures: dict[str, int]
    """Reasons of failed tasks, the most frequent ones, and how many tasks have each."""
    version: str
    file: str
    """The hub's file; empty: in memory."""
    host: str
    uptime_s: float


class Chosen(NamedTuple):
    """What a cancel or a retry did."""

    changed: int
    unskipped: int
    """Of a retry: skipped tasks that it brought back."""
    refused: list[Refused]
    """At most 1000."""
    refused_total: int


class Welcome(NamedTuple):
    """The hub's version and limits."""

    version: str
    report_endpoint: str
    worker_timeout: float
    """Term of leases of workers that heartbeat, seconds."""
    lease: float
    """Term of the others."""
    message_bytes_max: int
    batch_tasks_max: int


OUTPUT_BYTES_MAX = 65_536
STDIN_BYTES_MAX = 65_536


def ms(seconds: float | None) -> int:
    """Milliseconds, at least 1 of what is more than nothing."""
    return max(1, round(seconds * 1000)) if seconds else 0


def refusals(refused_: Iterable[wire.Refused]) -> list[Refused]:
    return [refused(it.code, it.message, [it.name]) for it in refused_]
