"""Many requests at a time over one connection, without blocking: for workers and the executor.

Every request may be sent twice, so one that gets no answer in time is sent again, the same bytes in the same order:
over a new connection when the old one is silent, over the old one when libzmq tells that it has just come back. An
answer counts once. For one thread at a time.
"""

from __future__ import annotations

import time
from typing import Any, Callable

import zmq
from google.protobuf.message import DecodeError

from dhub._version import __version__
from dhub._wire import hub_pb2 as wire
from dhub.errors import Refused, refused
from dhub.find import Target
from dhub.line import Event, Line, context

PATIENCE_S = 2.5
"""How long an answer may take, beyond the time that the request is parked."""
PING_S = 10.0
"""libzmq asks for a sign of life of the other side, so that a dead machine shows."""

REPLACED_MAX = 100
"""Requests that were replaced whose answers count if they still come."""

Then = Callable[[Any], None]
"""Is called with the field of the reply, or with the `Refused` that it is."""


class Request:
    """One that has no answer yet."""

    __slots__ = ("frame", "parked", "sent", "then")

    def __init__(self, frame: bytes, parked: float, sent: float, then: Then) -> None:
        self.frame, self.parked, self.sent, self.then = frame, parked, sent, then


class Link:
    """The way to one hub."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._line: Line | None = self._connect(False)
        """None: it is left to others, until `_away_until`."""
        self._away_until = 0.0
        self._report_to: tuple[Target, int] | None = None
        """Where reports go, and how often to ask for a sign of life."""
        self._reports: Line | None = None
        """Only while requests get through: one that helps nobody would take the place of another."""
        self._reports_up = False
        self._last_id = 0
        # By id: in the order in which they were sent.
        self._open: dict[int, Request] = {}
        # Not expected to be answered any more; if they are, it counts.
        self._replaced: dict[int, Request] = {}
        self._was_up = False
        self.heard = time.monotonic()
        self.silent_since: float | None = None

    def close(self, linger_s: float = 0.0) -> None:
        """What was asked last gets `linger_s` to leave."""
        self._close_reports()
        if self._line is not None:
            self._line.socket.linger = int(linger_s * 1000)
            self._line.close()

    def sockets(self) -> list[Any]:
        """What to poll for reading; others after each `tick`."""
        return [] if self._line is None else [self._line.socket, self._line.events]

    def go_away(self, until: float) -> None:
        """Others wait for a connection, and nothing is held here: leaves ours to them.

        What is asked meanwhile is sent at the return.
        """
        if self._line is not None:
            self._close_reports()
            self._line.close()
            self._line, self._was_up, self._away_until = None, False, until

    def is_away(self) -> bool:
        return self._line is None

    def come_back(self, now: float) -> None:
        """At the time that was said, or sooner if there is something to tell."""
        if self._line is None:
            self._line, self.heard = self._connect(True), now
            self._resend(now)

    def ask(self, request: wire.Request, then: Then, parked: float = 0.0) -> int:
        """Sends now, and again until there is an answer. The number of the request."""
        self._last_id = request.id = number = self._last_id + 1
        frame = request.SerializeToString()
        self._open[number] = Request(frame, parked, time.monotonic(), then)
        self._send(frame)
        return number

    def replace(self, number: int) -> None:
        """The hub drops this request for one that follows."""
        old = self._open.pop(number, None)
        if old is not None:
            # Its answer may be on the way, with leases that nothing else tells of; so may those of some before it.
            self._replaced[number] = old
            for outdated in list(self._replaced)[:-REPLACED_MAX]:
                del self._replaced[outdated]

    def has(self, number: int) -> bool:
        """Is it unanswered?"""
        return number in self._open

    def receive(self) -> bool:
        """Hands on all answers that have come; whether there were any."""
        any_came = False
        while self._line is not None:
            try:
                parts = self._line.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return any_came
            try:
                reply = wire.Reply.FromString(parts[-1])
            except DecodeError:
                continue
            any_came = True
            self.heard, self.silent_since = time.monotonic(), None
            request = self._open.pop(reply.id, None) or self._replaced.pop(reply.id, None)
            body = reply.WhichOneof("body")
            # No id of ours: answered before, to a repeat.
            if request is None or body is None:
                continue
            it = getattr(reply, body)
            request.then(refused(it.code, it.message, it.names) if body == "error" else it)
        return any_came

    def tick(self, now: float) -> None:
        """Sends again what is unanswered for too long, or was lost with a connection. Raises `Denied`."""
        if self._line is None:
            if now >= self._away_until:
                self.come_back(now)
            return
        for event in self._news(self._line):
            if event is Event.UP:
                self._open_reports()
                if self._was_up:
                    self._resend(now)
                self._was_up = True
            elif event is Event.DOWN:
                self._close_reports()
                self._silent(now, now)
        if self.next_timeout() <= now:
            self._silent(self.heard, now)
            self._close_reports()
            self._line.close()
            self._line, self._was_up = self._connect(self._line.was_reached), False
            self._resend(now)

    def next_timeout(self) -> float:
        """When `tick` has something to do."""
        if self._line is None:
            return self._away_until
        return min((it.sent + it.parked + PATIENCE_S for it in self._open.values()), default=float("inf"))

    def open_reports(self, told: str, term: float) -> None:
        """Reports go where the hub's Welcome says; `term` is that of the leases, seconds."""
        target = self.target.reports_to(told)
        if target is not None:
            # A dead way has to show, by two pings, before the next heartbeat goes out.
            self._report_to = target, int(max(0.001, min(PING_S, term / 8)) * 1000)
            self._open_reports()

    def _open_reports(self) -> None:
        if self._reports is None and self._report_to is not None and self._line is not None:
            target, ping_ms = self._report_to
            self._reports = Line(context(), target, zmq.PUSH, was_reached=True, conflate=True, ping_ms=ping_ms)

    def _close_reports(self) -> None:
        if self._reports is not None:
            self._reports.close()
        self._reports, self._reports_up = None, False

    def report(self, report: wire.Report) -> bool:
        """Sends a report, if there is a connection for it; it may still be lost."""
        if self._reports is None:
            return False
        for event in self._news(self._reports):
            self._reports_up = event is Event.UP
        if not self._reports_up:
            return False
        try:
            self._reports.socket.send(report.SerializeToString(), zmq.DONTWAIT)
            return True
        except zmq.Again:
            return False

    def _connect(self, was_reached: bool) -> Line:
        ping_ms = int(PING_S * 1000)
        return Line(context(), self.target, zmq.DEALER, was_reached=was_reached, ping_ms=ping_ms)

    def _send(self, frame: bytes) -> None:
        if self._line is None:
            return  # sent at the return
        try:
            # An empty part first, as REQ does. What does not fit into the queue is sent again later.
            self._line.socket.send_multipart([b"", frame], zmq.DONTWAIT, copy=False)
        except zmq.Again:
            pass

    def _resend(self, now: float) -> None:
        for request in self._open.values():
            request.sent = now
            self._send(request.frame)

    def _silent(self, since: float, now: float) -> None:
        if self.silent_since is None:
            self.silent_since = since
            # A question that it answers at once tells when it is back.
            hello = wire.Request(hello=wire.Hello(version=__version__))
            self.ask(hello, lambda it: None)

    def _news(self, line: Line) -> list[Event]:
        events = []
        while line.events is not None:
            try:
                event = line.event(line.events.recv_multipart(zmq.DONTWAIT))
            except zmq.Again:
                break
            line.denied(event)
            events.append(event)
        return events


def is_refused(it: Any) -> bool:
    return isinstance(it, Refused)
