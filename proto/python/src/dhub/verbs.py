"""What can be asked of a hub: one generator a verb, for `Hub` and `AsyncHub` alike.

The first argument is the client itself. What a verb returns, its method returns; what is refused is raised.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, TypeVar, cast

from dhub import model
from dhub._version import __version__
from dhub._wire import hub_pb2 as wire
from dhub.errors import Busy, NoHub, NotFound, NotTheHub
from dhub.find import PathLike, Target, find
from dhub.model import Lease, Outcome, State, Task
from dhub.options import PRIORITY, several, text_of, whole
from dhub.talk import Ask, Talk
from dhub.which import Which, selection

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")
Page = Talk[tuple[list[T], Any]]
"""A page of a list, and where the next one begins; 0: that was all."""

PAGE_TASKS = 1000
WAIT_S = 10.0
"""How long one request for something that will come is parked. It is asked again until the time is over."""
WAIT_MAX_S = 60.0
"""More the hub does not take."""
WAIT_NAMES = 1000
"""Tasks that one request waits for."""
CREATE_BYTES = 4 * 1024 * 1024
CREATE_TASKS = 8192
CREATE_ENTRIES = 200_000
"""Bounds of one batch of `create_many`: memory is bounded by them, and the hub is free for others in between."""


class Client:
    """What every verb knows: where the hub is, how long to wait for it, and in whose name to steal."""

    def __init__(
        self,
        server: str | None = None,
        *,
        access: PathLike | None = None,
        insecure: bool = False,
        timeout: float = 5.0,
        hub_timeout: float = 600.0,
        worker: str | None = None,
        target: Target | None = None,
    ) -> None:
        self.timeout = timeout
        self.hub_timeout = hub_timeout
        self.target = target or find(server, access, timeout, insecure)
        host = socket.gethostname()
        self.was_reached = False
        self.worker = worker or os.environ.get("DHUB_WORKER") or f"{host}:{os.getpid()}"
        self._me = wire.Worker(name=self.worker, host=host)
        self._batch: tuple[int, int] | None = None
        # Who steals, and how often it did: each is used by one request at a time, as a connection is.
        self._stealers: list[tuple[bytes, int]] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.target.endpoint!r})"


def hello(me: Client) -> Talk[model.Welcome]:
    """The hub's version and limits."""
    it = yield Ask(wire.Request(hello=wire.Hello(version=__version__)), "welcome")
    return model.Welcome(
        it.version,
        it.report_endpoint,
        it.worker_timeout_ms / 1000,
        it.lease_ms / 1000,
        it.message_bytes_max,
        it.batch_tasks_max,
    )


def create(
    me: Client,
    name: str,
    needs: Iterable[str] = (),
    command: str = "",
    *,
    priority: int = 0,
    retries: int = 0,
    time_limit: float | None = None,
    dir: str = "",
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> Talk[bool]:
    """Adds a task; the fields are those of `Task`. False: it is there already, with this definition.

    Raises `Conflict` if the name has another definition, `Cycle`, `OverLimit`, `DiskFull`.
    """
    task = Task(name, needs, command, priority, retries, time_limit, dir, env, stdin)
    it = yield Ask(wire.Request(create=wire.Create(tasks=[task.to_wire()])), "created")
    return bool(it.added)


def create_many(me: Client, tasks: Iterable[Task | str]) -> Talk[model.Created]:
    """Adds tasks from a stream of any length, in batches; a plain string is a name.

    Dependencies may be named in any order. A batch is added as a whole or not at all: if one is refused, those
    before it stay, and the same stream can be given again after it was mended.
    """
    if me._batch is None:
        welcome = yield from hello(me)
        me._batch = (min(welcome.batch_tasks_max, CREATE_TASKS), min(welcome.message_bytes_max // 2, CREATE_BYTES))
    added = existing = ready = 0
    for request in _batches(tasks, *me._batch):
        it = yield Ask(request, "created")
        added, existing, ready = added + it.added, existing + it.existing, ready + it.ready
    return model.Created(added, existing, ready)


def _batches(tasks: Iterable[Task | str], tasks_max: int, bytes_max: int) -> Iterator[wire.Request]:
    request, size, entries = wire.Request(), 0, 0
    for task in tasks:
        it = wire.Task(name=text_of(task, "name")) if isinstance(task, str) else task.to_wire()
        it_size, it_entries = it.ByteSize(), len(it.needs) + len(it.env)
        batch = request.create.tasks
        full = len(batch) >= tasks_max or size + it_size > bytes_max or entries + it_entries > CREATE_ENTRIES
        if batch and full:
            yield request
            request, size, entries = wire.Request(), 0, 0
        request.create.tasks.append(it)
        size, entries = size + it_size, entries + it_entries
    if request.create.tasks:
        yield request


def steal(
    me: Client, n: int = 1, wait: float = 0.0, *, lease: float | None = None, stay: bool = False
) -> Talk[model.Stolen]:
    """Takes up to `n` ready tasks, under leases that last `lease` seconds (the hub's `--lease`, 1 h).

    If nothing is ready it waits up to `wait` seconds (60 at most); with `stay` also when everything is finished.
    """
    stealer, number = me._stealers.pop() if me._stealers else (os.urandom(16), 0)
    request = wire.Request(
        steal=wire.Steal(
            worker=me._me,
            client=stealer,
            number=number + 1,
            n=n,
            wait_ms=model.ms(wait),
            lease_ms=model.ms(lease),
            stay=stay,
            slots=1,
        )
    )
    it = yield Ask(request, "stolen", min(wait, WAIT_MAX_S))
    me._stealers.append((stealer, number + 1))
    return model.Stolen.of(it)


def report(
    me: Client, outcomes: Iterable[Outcome], want: int = 0, *, lease: float | None = None
) -> Talk[model.Reported]:
    """Reports outcomes, and steals up to `want` tasks in the same round trip; it never waits for them.

    Outcomes are recorded one by one: those that were not are in the result, nothing is raised for them.
    """
    stealer, number = (me._stealers.pop() if me._stealers else (os.urandom(16), 0)) if want else (b"", -1)
    request = wire.Request(
        complete=wire.Complete(
            worker=me._me,
            outcomes=[outcome.to_wire() for outcome in outcomes],
            want=want,
            client=stealer,
            number=number + 1,
            lease_ms=model.ms(lease),
            slots=1,
        )
    )
    it = yield Ask(request, "completed")
    if want:
        me._stealers.append((stealer, number + 1))
    return model.Reported(model.refusals(it.refused), model.Stolen.of(it.stolen))


def complete(me: Client, lease: Lease | str, output: bytes = b"") -> Talk[None]:
    """Reports that a task is done. Raises `Stale` if it is somebody else's by now, `NotFound`, `WrongState`.

    With a name instead of a lease it counts if this worker's name held the newest attempt.
    """
    name, attempt = (lease, 0) if isinstance(lease, str) else lease[:2]
    yield from _one(me, Outcome(name, attempt, output=output))


def fail(
    me: Client,
    lease: Lease | str,
    reason: str = "",
    *,
    exit_code: int = 1,
    output: bytes = b"",
    final: bool = False,
) -> Talk[None]:
    """Reports that a task failed; with `final` it is not tried again. Raises as `complete`."""
    name, attempt = (lease, 0) if isinstance(lease, str) else lease[:2]
    yield from _one(me, Outcome(name, attempt, False, exit_code, reason, output, final))


def _one(me: Client, outcome: Outcome) -> Talk[None]:
    reported = yield from report(me, [outcome])
    for error in reported.refused:
        raise error


def release(me: Client, *leases: Lease | str) -> Talk[int]:
    """Gives back tasks that were not started; how many. Those that are somebody else's by now are passed over.

    With a name instead of a lease it is the newest attempt, if this worker's name holds it.
    """
    attempts = [_attempt(lease) for lease in leases]
    it = yield Ask(wire.Request(release=wire.Release(worker=me._me, attempts=attempts)), "released")
    return int(it.released)


def heartbeat(me: Client, *leases: Lease | str, note: str = "") -> Talk[model.Heartbeaten]:
    """Renews leases of tasks that run, each to its full term. What it tells as lost has to be stopped.

    Names are as in `release`.
    """
    attempts = [_attempt(lease, True) for lease in leases]
    beat = wire.Heartbeat(worker=me._me, attempts=attempts, note=note)
    it = yield Ask(wire.Request(heartbeat=beat), "heartbeaten")
    return model.Heartbeaten([(lost.name, lost.attempt) for lost in it.lost], it.drain or it.stop, it.stop)


def _attempt(lease: Lease | str, started: bool = False) -> wire.Attempt:
    name, attempt = (lease, 0) if isinstance(lease, str) else lease[:2]
    return wire.Attempt(name=name, attempt=attempt, started=started)


def exit(me: Client) -> Talk[int]:
    """Gives back all that this worker's name holds; how many tasks."""
    try:
        it = yield Ask(wire.Request(exit=wire.Exit(worker=me._me)), "exited")
    except NotFound:
        return 0
    return int(it.released)


def wait(me: Client, timeout: float | None = None) -> Talk[model.Waited]:
    """Waits until every task is finished, or the rest is stuck: `phase` says which.

    Goes on through restarts of the hub, for `hub_timeout` seconds of silence. Raises `TimeoutError` after
    `timeout` seconds.
    """

    def done(it: wire.Waited) -> bool:
        return it.phase in (wire.PHASE_STUCK, wire.PHASE_FINISHED)

    it = yield from _wait(me, wire.Wait(), timeout, _until(timeout), done)
    return model.Waited(model.Phase(it.phase), model.Counts.of(it.counts), it.done_per_s)


def _until(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _wait(
    me: Client, ask: wire.Wait, timeout: float | None, until: float | None, done: Callable[[wire.Waited], bool]
) -> Talk[wire.Waited]:
    reached, silent_since, doubt = False, 0.0, True
    while True:
        left = WAIT_S if until is None else max(0.0, min(WAIT_S, until - time.monotonic()))
        # A parked request that was lost with the hub is parked again by the next one: only one that is to be
        # answered at once tells whether the hub is silent.
        parked = 0.0 if doubt else left
        ask.wait_ms = model.ms(parked)
        asked = time.monotonic()
        try:
            it = yield Ask(wire.Request(wait=ask), "waited", parked)
            reached, silent_since, doubt = True, 0.0, False
            if done(it):
                waited: wire.Waited = it
                return waited
        except (NoHub, NotTheHub):
            if not reached:
                raise
            silent_since = silent_since or asked
            if doubt and time.monotonic() - silent_since > me.hub_timeout:
                raise
            doubt = True
        except Busy:
            doubt = False
        if until is not None and time.monotonic() >= until:
            raise TimeoutError(f"not finished within {timeout:g} s")


def wait_for(
    me: Client,
    names: Iterable[str] = (),
    timeout: float | None = None,
    *,
    states: Sequence[State | str] = (),
    **which: Unpack[Which],
) -> Talk[dict[str, model.Ended]]:
    """Waits until all of these tasks are finished: how each ended, and what it wrote (the last 64 KiB).

    States, and what `Which` has, are said of tasks as they are now: those are waited for, however they change.

    Goes on through restarts of the hub, as `wait`. Raises `NotFound`, and `TimeoutError` after `timeout` seconds.
    """
    several("names", names, "names of tasks")
    until = _until(timeout)
    left = list(dict.fromkeys(text_of(name, "the name of a task") for name in names))
    which = cast("Which", dict(zip(which, lasting(which.values()))))
    if states or which:
        # An empty choice is none of the tasks, not all of them.
        chosen = states or any(which.values())
        left = (yield from _names(me, left, states, which)) if left or chosen else []
    found: dict[str, model.Ended] = {}
    while left:
        ask = wire.Wait(names=left[:WAIT_NAMES], output=True)
        it = yield from _wait(me, ask, timeout, until, lambda it: bool(it.ended or it.unknown))
        if it.unknown:
            raise NotFound(f"there is no such task: {', '.join(it.unknown[:10])}", it.unknown)
        for ended in it.ended:
            attempt = model.AttemptInfo.of(ended.attempt) if ended.HasField("attempt") else None
            found[ended.task.name] = model.Ended(model.TaskInfo.of(ended.task), attempt)
        left = [name for name in left if name not in found]
    return found


def lasting(values: Iterable[Any]) -> tuple[Any, ...]:
    """With lists in place of what can be gone through only once."""
    return tuple(list(it) if isinstance(it, Iterator) else it for it in values)


def _names(me: Client, names: Sequence[str], states: Sequence[State | str], which: Which) -> Talk[list[str]]:
    found: list[str] = []
    after: Any = 0
    names, states = lasting((names, states))
    which = cast("Which", dict(zip(which, lasting(which.values()))))
    while True:
        page, after = yield from tasks(me, after, names, states, **which)
        found += [it.name for it in page]
        if not after:
            return found


def status(me: Client) -> Talk[model.Status]:
    """What is going on, in a moment."""
    it = yield Ask(wire.Request(status=wire.Status()), "status")
    return model.Status(
        model.Counts.of(it.counts),
        model.Phase(it.phase),
        it.done_per_s,
        it.done_per_s_overall,
        it.workers_total or len(it.workers),
        list(it.missing),
        {group.reason: group.count for group in it.failures},
        it.hub.version,
        it.hub.file,
        it.hub.host,
        it.hub.uptime_ms / 1000,
    )


def tasks(
    me: Client,
    after: int,
    names: Iterable[str] = (),
    states: Sequence[State | str] = (),
    *,
    page: int = PAGE_TASKS,
    **which: Unpack[Which],
) -> Page[model.TaskInfo]:
    """Tasks in the order in which they were added, page by page: all, or those that `Which`, names and states tell.

    Pages are of different moments. Raises `NotFound` for names that the hub does not have.
    """
    ask = wire.List(selection=selection(names, states, **which), limit=page, after=after)
    it = yield Ask(wire.Request(list=ask), "listed")
    if it.unknown:
        raise NotFound(f"there is no such task: {', '.join(it.unknown[:10])}", it.unknown)
    return [model.TaskInfo.of(task) for task in it.tasks], it.next


def show(me: Client, name: str) -> Talk[model.Shown]:
    """One task with its neighbours, and its attempts with the end of their output. Raises `NotFound`."""
    it = yield Ask(wire.Request(show=wire.Show(name=name)), "shown")
    return model.Shown(
        model.TaskInfo.of(it.task),
        [model.TaskInfo.of(task) for task in it.needs],
        [model.TaskInfo.of(task) for task in it.needed_by],
        [model.AttemptInfo.of(attempt) for attempt in it.attempts],
    )


def cancel(
    me: Client, *names: str, states: Sequence[State | str] = (), **which: Unpack[Which]
) -> Talk[model.Chosen]:
    """Cancels tasks, by names, states, and what else `Which` has; what depends on them is skipped, what runs is told to
    stop.

    Names that there are no tasks of, or that are finished already, are in `refused`.
    """
    ask = wire.Cancel(selection=_chosen(names, states, which))
    it = yield Ask(wire.Request(cancel=ask), "cancelled")
    return model.Chosen(it.cancelled, 0, model.refusals(it.refused), it.refused_total)


def retry(
    me: Client, *names: str, states: Sequence[State | str] = (), done: bool = False, **which: Unpack[Which]
) -> Talk[model.Chosen]:
    """Brings back failed, skipped and cancelled tasks (with `done` also done ones), and what was skipped with them.

    Names that there are no tasks of, and skipped tasks whose failed dependency is not among them, are in `refused`.
    """
    ask = wire.Retry(selection=_chosen(names, states, which), done=done)
    it = yield Ask(wire.Request(retry=ask), "retried")
    return model.Chosen(it.retried, it.unskipped, model.refusals(it.refused), it.refused_total)


def hold(
    me: Client, *names: str, states: Sequence[State | str] = (), **which: Unpack[Which]
) -> Talk[model.Chosen]:
    """Keeps unfinished tasks from being given out; those that run go on."""
    return (yield from _adjust(wire.Adjust(selection=_chosen(names, states, which), held=True)))


def unhold(
    me: Client, *names: str, states: Sequence[State | str] = (), **which: Unpack[Which]
) -> Talk[model.Chosen]:
    """Lets tasks that were held be given out again."""
    return (yield from _adjust(wire.Adjust(selection=_chosen(names, states, which), held=False)))


def priority(
    me: Client, priority: int, *names: str, states: Sequence[State | str] = (), **which: Unpack[Which]
) -> Talk[model.Chosen]:
    """Gives unfinished tasks another priority, a whole number; larger first."""
    try:
        number = whole("priority", priority, PRIORITY)
    except TypeError:
        raise TypeError(
            f"a priority is a whole number, before the names: priority(5, 'a'), not priority({priority!r})"
        ) from None
    return (yield from _adjust(wire.Adjust(selection=_chosen(names, states, which), priority=number)))


def _adjust(ask: wire.Adjust) -> Generator[Ask, wire.Adjusted, model.Chosen]:
    it = yield Ask(wire.Request(adjust=ask), "adjusted")
    return model.Chosen(it.adjusted, 0, model.refusals(it.refused), it.refused_total)


def logs(me: Client, name: str, attempt: int | None = None) -> Talk[bytes]:
    """The end of what a task wrote, as the hub keeps it: of its newest attempt, or of that one.

    Raises `NotFound` if there is no such task, `LookupError` if it has no such attempt.
    """
    shown = yield from show(me, name)
    for it in reversed(shown.attempts):
        if attempt is None or it.attempt == attempt:
            return it.output
    raise LookupError(f"{name} has no attempt {attempt}" if attempt is not None else f"{name} never ran")


def export(
    me: Client,
    after: Any,
    names: Iterable[str] = (),
    states: Sequence[State | str] = (),
    *,
    brief: bool = False,
    **which: Unpack[Which],
) -> Page[model.Exported]:
    """Tasks, each with what it needs and its attempts (without their output), page by page.

    `brief` leaves commands, directories and environments out. A task with more attempts than a page has comes again,
    with the rest of them. Without a selection, names that nobody added are there too.
    """
    task, attempt = after or (0, 0)
    ask = wire.Export(selection=selection(names, states, **which), after=task, after_attempt=attempt, brief=brief)
    it = yield Ask(wire.Request(export=ask), "exported")
    if it.unknown:
        raise NotFound(f"there is no such task: {', '.join(it.unknown[:10])}", it.unknown)
    following = (it.next, it.next_attempt)
    return [model.Exported.of(task) for task in it.tasks], following if any(following) else 0


def graph(me: Client, *names: str, depth: int | None = None) -> Talk[str]:
    """The graph of all tasks in DOT, the language of graphviz; each with its state.

    With names: of these, what they need and what needs them, up to `depth` steps away, directly or not. Raises
    `NotFound`.
    """
    found: dict[int, model.Exported] = {}
    after: Any = 0
    while True:
        page, after = yield from export(me, after, brief=True)
        for it in page:
            found.setdefault(it.id, it)
        if not after:
            break
    chosen = _around(found, names, depth) if names else found.keys()
    label = {id: json.dumps(it.task.name, ensure_ascii=False) for id, it in found.items() if id in chosen}
    lines = [f"  {name} [tooltip={found[id].task.state}];" for id, name in label.items()]
    lines += [f"  {label[need]} -> {name};" for id, name in label.items() for need in found[id].needs if need in label]
    return "\n".join(["digraph tasks {", *lines, "}", ""])


def _around(tasks: dict[int, model.Exported], names: Sequence[str], depth: int | None) -> set[int]:
    """Those of these names, and who is within so many steps above and below."""
    ids = {it.task.name: id for id, it in tasks.items()}
    if unknown := [name for name in names if name not in ids]:
        raise NotFound(f"there is no such task: {', '.join(unknown[:10])}", unknown)
    above = {id: it.needs for id, it in tasks.items()}
    below: dict[int, list[int]] = {}
    for id, needs in above.items():
        for need in needs:
            below.setdefault(need, []).append(id)
    chosen = {ids[name] for name in names}
    for neighbours in (above, below):
        seen, edge, steps = {ids[name] for name in names}, {ids[name] for name in names}, 0
        while edge and (depth is None or steps < depth):
            edge = {other for id in edge for other in neighbours.get(id, ())} - seen
            seen |= edge
            steps += 1
        chosen |= seen
    return chosen


def backup(me: Client, to: PathLike) -> Talk[int]:
    """Copies the file of the running hub to a new file on its machine, over ipc only; its bytes."""
    it = yield Ask(wire.Request(backup=wire.Backup(to=os.path.abspath(to))), "backed_up")
    return int(it.bytes)


def _chosen(names: Sequence[str], states: Sequence[State | str], which: Which) -> wire.Selection:
    chosen = selection(names, states, **which)
    if not chosen.ByteSize():
        raise ValueError("names, states, or what else can be said of tasks, are needed: which tasks?")
    return chosen


def workers(me: Client, after: int) -> Page[model.WorkerInfo]:
    """The workers that the hub knows, in the order in which it first heard of them."""
    it = yield Ask(wire.Request(workers=wire.Workers(after=after)), "workers")
    return [model.WorkerInfo.of(worker) for worker in it.workers], it.next


def drain(me: Client, *workers: str) -> Talk[list[str]]:
    """Tells workers to finish what runs and leave; `*` and `?` in a name stand for others. The names of those told."""
    return (yield from _steer(workers, wire.ORDER_DRAIN))


def stop(me: Client, *workers: str) -> Talk[list[str]]:
    """Tells workers to give back what runs and leave, as `drain`."""
    return (yield from _steer(workers, wire.ORDER_STOP))


def _steer(workers: Sequence[str], order: wire.Order) -> Generator[Ask, wire.Steered, list[str]]:
    it = yield Ask(wire.Request(steer=wire.Steer(workers=workers, order=order)), "steered")
    if it.unknown:
        raise NotFound(f"no such worker: {', '.join(it.unknown[:10])}", it.unknown)
    return list(it.workers)


def shutdown(me: Client) -> Talk[None]:
    """Stops the hub, as SIGTERM does."""
    yield Ask(wire.Request(shutdown=wire.Shutdown()), "shutting_down")
