"""`AsyncHub`: the same verbs for asyncio."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import zmq
import zmq.asyncio

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


def _verb(verb: Callable[Concatenate[Client, P], Talk[R]]) -> Callable[Concatenate[AsyncHub, P], Awaitable[R]]:
    @functools.wraps(verb)
    async def method(self: AsyncHub, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._run(verb(self, *args, **kwargs))

    return method


def _pages(
    verb: Callable[Concatenate[Client, Any, P], verbs.Page[T]],
) -> Callable[Concatenate[AsyncHub, P], AsyncIterator[T]]:
    @functools.wraps(verb)
    async def method(self: AsyncHub, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        # Each page is chosen anew: what can be gone through only once is kept.
        once, named = verbs.lasting(args), dict(zip(kwargs, verbs.lasting(kwargs.values())))
        call: Callable[..., Any] = verb
        after: Any = 0
        while True:
            page, after = await self._run(call(self, after, *once, **named))
            for item in page:
                yield item
            if not after:
                return

    return method


class AsyncHub(Client):
    """As `Hub`, with coroutines; `tasks` and `workers` are for `async for`. For one event loop.

    A coroutine that is cancelled leaves nothing behind but what it had asked. To look for a hub that is not
    named blocks for up to `timeout` seconds where none runs.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: list[Line] = []

    async def __aenter__(self) -> AsyncHub:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. The next request would make one again."""
        while self._idle:
            self._idle.pop().close()

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

    async def _run(self, verb: Talk[R]) -> R:
        try:
            ask = next(verb)
            while True:
                try:
                    reply = await self._ask(ask)
                except Exception as error:
                    ask = verb.throw(error)
                else:
                    ask = verb.send(reply)
        except StopIteration as end:
            result: R = end.value
            return result

    async def _ask(self, ask: Ask) -> Any:
        steps = talk.request(self.target, self.timeout, ask)
        line = self._idle.pop() if self._idle else None
        hint: Denied | None = None
        try:
            step = next(steps)
            while True:
                if line is None:
                    shadow = zmq.asyncio.Context.shadow(context().underlying)
                    line = Line(shadow, self.target, zmq.REQ, was_reached=self.was_reached)
                came = await _exchange(line, step)
                if came is None:
                    hint = line.hint or hint
                    line.close()
                    line = None
                step = steps.send(came)
        except StopIteration as end:
            self.was_reached = True
            if line is not None:
                self._idle.append(line)
                line = None
            return end.value
        except NoHub as error:
            raise await asyncio.to_thread(door.explain, hint or error, self.target) from None
        finally:
            if line is not None:
                line.close()


async def _exchange(line: Line, step: talk.Try) -> bytes | None:
    """Sends once, and waits. None: silence."""
    try:
        await line.socket.send(step.frame, zmq.DONTWAIT)
    except zmq.Again:
        return None
    poller = zmq.asyncio.Poller()
    poller.register(line.socket, zmq.POLLIN)
    if line.events is not None:
        poller.register(line.events, zmq.POLLIN)
    until = time.monotonic() + step.seconds
    while True:
        ready = dict(await poller.poll(max(0, round((until - time.monotonic()) * 1000))))
        if line.socket in ready:
            came: bytes = await line.socket.recv()
            return came
        if not ready or line.events is None:
            return None
        line.denied(line.event(await line.events.recv_multipart()))
