"""What a process of a worker does: runs one task after the other, until nobody sends any more."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time

from dhub import call, payload, seat
from dhub._wire import hub_pb2 as wire
from dhub.baseline import Baseline
from dhub.errors import Elsewhere
from dhub.ledger import Ledger
from dhub.model import OUTPUT_BYTES_MAX
from dhub.slot import ENDED, HEAD, MESSAGE_BYTES, NUMBER, REFUSED

RAN_MAX = 0xFFFF_FFFF
PR_SET_CHILD_SUBREAPER = 36


def work(end: socket.socket, ledger: Ledger, slot: int) -> None:
    """Each task finds the process as the first one did; if that cannot be, it is the last."""
    os.environ["DHUB_SLOT"] = str(slot)
    _without_input()
    _adopt_orphans()
    baseline = Baseline()
    here = seat.Seat(end, baseline.take)
    seat.take(here)
    # A buffer of its own for each message would take longer than all else here.
    data = memoryview(bytearray(MESSAGE_BYTES))
    as_before = True
    while as_before and not here.is_retired:
        size = end.recv_into(data)
        if not size:
            return
        number = NUMBER.unpack_from(data)[0]
        if not ledger.begin(number):
            continue
        lease = wire.Lease.FromString(bytes(data[NUMBER.size : size]))
        os.environ["DHUB_TASK"], os.environ["DHUB_ATTEMPT"] = lease.name, str(lease.attempt)
        baseline.begin()
        here.begin(number)
        begin = time.perf_counter()
        try:
            made = run(lease, ledger, here)
        except Elsewhere:
            end.send(HEAD.pack(REFUSED, number, 0, 0))
            continue
        ran = min(int((time.perf_counter() - begin) * 1e6), RAN_MAX)
        if os.getpid() != here.pid:
            os._exit(0)  # a copy that the call has forked, and that came back from it, too
        # Before the outcome is told: what goes wrong here is this task's, and no other's.
        as_before = baseline.restore(not _is_call(lease))
        path = os.fsencode(made.file) if made.file is not None else b""
        outcome = _outcome(lease, made)
        if not as_before:
            outcome.left_behind = baseline.left()
        end.send(HEAD.pack(ENDED, number, ran, len(path)) + path + outcome.SerializeToString())
        # Nothing of it is kept while nothing runs.
        del lease, made, outcome


def run(lease: wire.Lease, ledger: Ledger, here: seat.Seat) -> payload.Made:
    """A call in this process, anything else in one of its own."""
    if _is_call(lease):
        return payload.run_call(
            lease.stdin,
            call.results,
            payload.RESULT_BYTES_MAX,
            call.is_guest(),
            making=ledger.making,
            admit=here.admit,
        )
    here.admit(None)
    return _command(lease)


def _is_call(lease: wire.Lease) -> bool:
    return lease.command == call.COMMAND and payload.is_call(lease.stdin)


def _outcome(lease: wire.Lease, made: payload.Made) -> wire.Outcome:
    return wire.Outcome(
        name=lease.name,
        attempt=lease.attempt,
        result=wire.RESULT_DONE if made.exit_code == 0 else wire.RESULT_FAILED,
        exit_code=made.exit_code,
        reason=made.reason.encode("utf-8", "replace")[:1000].decode("utf-8", "ignore"),
        output=made.output,
    )


def _command(lease: wire.Lease) -> payload.Made:
    env = {**os.environ, **dict(entry.split("=", 1) for entry in lease.env)}
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", lease.command or lease.name],
            input=lease.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=lease.dir or None,
            env=env,
        )
    except (OSError, ValueError) as error:
        return payload.Made(126, b"", str(error))
    output = done.stdout[-OUTPUT_BYTES_MAX:]
    if done.returncode < 0:
        return payload.Made(128 - done.returncode, output, killed_by(-done.returncode))
    return payload.Made(done.returncode, output, f"exit {done.returncode}" if done.returncode else "")


def killed_by(number: int) -> str:
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"killed by signal {number}"


def _without_input() -> None:
    """Nobody types for a task; one that reads from a terminal in the background would be stopped for ever."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    if nothing != 0:
        os.dup2(nothing, 0)
        os.close(nothing)


def _adopt_orphans() -> None:
    """What a task leaves in the background becomes a child of this process, which then sees it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
