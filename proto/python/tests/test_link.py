"""The way of a worker to the hub, against a hub that answers as the test wants."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import zmq
from conftest import eventually

from dhub._wire import hub_pb2 as wire
from dhub.find import Target
from dhub.link import Link


def test_an_answer_to_a_request_that_was_replaced_counts_once(home: Path) -> None:
    endpoint = f"ipc://{home}/hub.sock"
    router: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
    router.bind(endpoint)
    link = Link(Target(endpoint))
    heard: list[tuple[int, Any]] = []
    numbers: list[int] = []
    for n in (1, 2, 3):
        # As a worker does that changes its mind faster than the hub answers.
        for number in numbers[-1:]:
            link.replace(number)
        then = functools.partial(lambda n, it: heard.append((n, it)), n)
        numbers.append(link.ask(wire.Request(steal=wire.Steal(n=n)), then, 10.0))
    asked = [router.recv_multipart() for _ in numbers]
    for parts in (asked[0], asked[0], asked[2]):
        request = wire.Request.FromString(parts[-1])
        reply = wire.Reply(id=request.id, stolen=wire.Stolen(leases=[wire.Lease(name=f"for {request.steal.n}")]))
        router.send_multipart([parts[0], b"", reply.SerializeToString()])
    eventually(lambda: (link.receive(), len(heard) == 2)[1])
    assert [(n, it.leases[0].name) for n, it in heard] == [(1, "for 1"), (3, "for 3")]
    assert not link.has(numbers[2])
    link.close()
    router.close(0)
