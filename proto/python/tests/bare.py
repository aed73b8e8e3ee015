"""A worker as docs/protocol.md describes it, with pyzmq and the messages alone: nothing of the package but `hub_pb2`.

`python bare.py ACCESS_FILE ENDPOINT`. It runs one task at a time; exit codes: 0 told to leave, or all is finished;
11 the key is not let in.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import zmq

from dhub._wire import hub_pb2 as wire

NAME = f"bare:{os.getpid()}"
SUCCEEDED, AUTH = 0x1000, 0x4000
running: subprocess.Popen[bytes] | None = None


class Connection:
    """One REQ socket, opened anew when the hub is silent, and what libzmq tells of it."""

    def __init__(self, access: str, endpoint: str) -> None:
        with open(access) as file:
            self.keys = json.load(file)
        self.access, self.endpoint = access, endpoint
        self.context = zmq.Context()
        self.open()

    def open(self) -> None:
        self.socket = self.context.socket(zmq.REQ)
        self.socket.linger = 0
        self.socket.curve_serverkey = self.keys["server_key"].encode()
        self.socket.curve_publickey = self.keys["public_key"].encode()
        self.socket.curve_secretkey = self.keys["secret_key"].encode()
        self.events = self.socket.get_monitor_socket(SUCCEEDED | AUTH)
        self.socket.connect(self.endpoint)

    def ask(self, patience: float, **body: object) -> wire.Reply:
        """Sends the same request again until it is answered."""
        frame = wire.Request(**body).SerializeToString()  # type: ignore[arg-type]
        while True:
            self.socket.send(frame)
            until = time.monotonic() + patience
            while time.monotonic() < until:
                if self.events.poll(0):
                    number = int.from_bytes(self.events.recv_multipart()[0][:2], sys.byteorder)
                    if number == AUTH:
                        sys.exit(11)
                if self.socket.poll(20):
                    reply = wire.Reply.FromString(self.socket.recv())
                    if reply.error.code == wire.ERROR_DENIED:
                        sys.exit(11)
                    return reply
            self.socket.disable_monitor()
            self.socket.close()
            self.open()


def start(lease: wire.Lease, hub: Connection) -> subprocess.Popen[bytes]:
    variables = {
        "DHUB_TASK": lease.name,
        "DHUB_ATTEMPT": str(lease.attempt),
        "DHUB_WORKER": NAME,
        "DHUB_SLOT": "0",
        "DHUB_HUB": hub.endpoint,
        "DHUB_ACCESS": hub.access,
    }
    own = dict(entry.split("=", 1) for entry in lease.env)
    process = subprocess.Popen(
        ["sh", "-c", lease.command or lease.name],
        cwd=lease.dir or None,
        env={**os.environ, **own, **variables},
        stdin=subprocess.PIPE if lease.stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    if lease.stdin and process.stdin is not None:
        process.stdin.write(lease.stdin)
        process.stdin.close()
    return process


def end() -> None:
    """Of what runs, nothing goes on."""
    if running is not None and running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)


def main() -> None:
    hub = Connection(sys.argv[1], sys.argv[2])
    worker = wire.Worker(name=NAME, id=os.urandom(16))
    try:
        loop(hub, worker)
    finally:
        end()
    hub.ask(5, exit=wire.Exit(worker=worker))


def loop(hub: Connection, worker: wire.Worker) -> None:
    global running
    number, drain = 0, False
    while not drain:
        number += 1
        steal = wire.Steal(worker=worker, client=worker.id, number=number, n=1, wait_ms=10_000)
        stolen = hub.ask(15, steal=steal).stolen
        drain = stolen.drain
        if not stolen.leases:
            drain |= stolen.phase in (wire.PHASE_FINISHED, wire.PHASE_STUCK)
            continue
        lease = stolen.leases[0]
        process = running = start(lease, hub)
        held = wire.Attempt(name=lease.name, attempt=lease.attempt, started=True)
        wanted, beat_at = True, 0.0
        while process.poll() is None:
            if wanted and time.monotonic() >= beat_at:
                beat_at = time.monotonic() + min(lease.term_ms / 3000, 0.5)
                beaten = hub.ask(5, heartbeat=wire.Heartbeat(worker=worker, attempts=[held])).heartbeaten
                drain |= beaten.drain
                if beaten.stop or held.name in [lost.name for lost in beaten.lost]:
                    end()
                    wanted = False
            time.sleep(0.02)
        assert process.stdout is not None
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        outcome = wire.Outcome(
            name=lease.name,
            attempt=lease.attempt,
            result=wire.RESULT_DONE if code == 0 else wire.RESULT_FAILED,
            exit_code=code,
            output=process.stdout.read()[-16384:],
        )
        if wanted:
            hub.ask(5, complete=wire.Complete(worker=worker, outcomes=[outcome]))


if __name__ == "__main__":
    main()
