"""`Hub`: the blocking client."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import zmq

from dhub import door, talk, verbs
from dhub.errors import Denied, NoHub
from dhub.line import Line, context
from dhub.talk import Ask, Talk
from dhub.verbs import Client

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def _verb(verb: Callable[Concatenate[Client, P], Talk[R]]) -> Callable[Concatenate[Hub, P], R]:
    @functools.wraps(verb)
    def method(self: Hub, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._run(verb(self, *args, **kwargs))

    return method


def _pages(verb: Callable[Concatenate[Client, Any, P], verbs.Page[T]]) -> Callable[Concatenate[Hub, P], Iterator[T]]:
    @functools.wraps(verb)
    def method(self: Hub, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        # Each page is chosen anew: what can be gone through only once is kept.
        once, named = verbs.lasting(args), dict(zip(kwargs, verbs.lasting(kwargs.values())))
        call: Callable[..., Any] = verb
        after: Any = 0
        while True:
            page, after = self._run(call(self, after, *once, **named))
            yield from page
            if not after:
                return

    return method


class Hub(Client):
    """A client of one hub, for any number of threads. Each request that is under way has a connection of its own.

    Without `server` (HOST, HOST:PORT, tcp:// or ipc://) and `access` (an access file) it is the one that dquery
    would find: by `DHUB_HUB` and `DHUB_ACCESS`, else your only hub that runs. `insecure` lets it talk to a hub at
    `server` that wants no key, if none is known for it. A hub that is silent for
    `timeout` seconds raises `NoHub`; until then requests go out again over new connections, which does no
    harm. `wait` has more patience, `hub_timeout` seconds. `worker` is the name to steal by.

    After a fork the child has connections of its own.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Connections that nobody uses, and the process that made them.
        self._idle: tuple[int, list[Line]] = (os.getpid(), [])
        self._inherited: list[Line] = []

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. The next request would make one again."""
        lines = self._lines()
        while lines:
            lines.pop().close()

    def __del__(self) -> None:
        if getattr(self, "_idle", (0, []))[0] == os.getpid():
            self.close()

    hello = _verb(verbs.hello)
    create = _verb(verbs.create)
    create_many = _verb(verbs.create_many)
    steal = _verb(verbs.steal)
    report = _verb(verbs.report)
    complete = _verb(verbs.complete)
    fail = _verb(verbs.fail)
    release = _verb(verbs.release)
    heartbeat = _verb(verbs.heartbeat)
    exit = _verb(verbs.exit)
    wait = _verb(verbs.wait)
    wait_for = _verb(verbs.wait_for)
    status = _verb(verbs.status)
    tasks = _pages(verbs.tasks)
    show = _verb(verbs.show)
    cancel = _verb(verbs.cancel)
    retry = _verb(verbs.retry)
    hold = _verb(verbs.hold)
    unhold = _verb(verbs.unhold)
    priority = _verb(verbs.priority)
    logs = _verb(verbs.logs)
    export = _pages(verbs.export)
    graph = _verb(verbs.graph)
    backup = _verb(verbs.backup)
    workers = _pages(verbs.workers)
    drain = _verb(verbs.drain)
    stop = _verb(verbs.stop)
    shutdown = _verb(verbs.shutdown)

    def _run(self, verb: Talk[R]) -> R:
        try:
            ask = next(verb)
            while True:
                try:
                    reply = self._ask(ask)
                except Exception as error:
                    ask = verb.throw(error)
                else:
                    ask = verb.send(reply)
        except StopIteration as end:
            result: R = end.value
            return result

    def _ask(self, ask: Ask) -> Any:
        steps = talk.request(self.target, self.timeout, ask)
        lines = self._lines()
        # Taking from a list is atomic, so it needs no lock, which a fork could find locked.
        line = lines.pop() if lines else None
        hint: Denied | None = None
        try:
            step = next(steps)
            while True:
                if line is None:
                    line = Line(context(), self.target, zmq.REQ, was_reached=self.was_reached)
                came = _exchange(line, step)
                if came is None:
                    hint = line.hint or hint
                    line.close()
                    line = None
                step = steps.send(came)
        except StopIteration as end:
            self.was_reached = True
            if line is not None:
                lines.append(line)
                line = None
            return end.value
        except NoHub as error:
            raise door.explain(hint or error, self.target) from None
        finally:
            # Left in the middle, by Ctrl-C for one: what may still come on it is nobody's answer.
            if line is not None:
                line.close()

    def _lines(self) -> list[Line]:
        if self._idle[0] != os.getpid():
            # The parent's are left as they are.
            self._inherited = self._idle[1]
            self._idle = (os.getpid(), [])
        return self._idle[1]


def _exchange(line: Line, step: talk.Try) -> bytes | None:
    """Sends once, and waits. None: silence."""
    try:
        line.socket.send(step.frame, zmq.DONTWAIT)
    except zmq.Again:
        return None
    poller = zmq.Poller()
    poller.register(line.socket, zmq.POLLIN)
    poller.register(line.events, zmq.POLLIN)
    until = time.monotonic() + step.seconds
    while True:
        ready = dict(poller.poll(max(0, round((until - time.monotonic()) * 1000))))
        if line.socket in ready:
            return bytes(line.socket.recv())
        if not ready:
            return None
        line.denied(line.event(line.events.recv_multipart()))
