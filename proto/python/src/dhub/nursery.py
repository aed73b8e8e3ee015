"""Where the processes come from that run tasks: one process without threads, that forks them when it is told to.

It is the process that was started, and the parent of the one that talks to the hub, which has threads and therefore
must not fork. It passes signals on, tells who died, and leaves nothing behind: if the one that talks dies, it kills
the others; if it dies itself, they die with it. A SIGHUP that was ignored (nohup) is ignored by all of them.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import termios
import time
from collections.abc import Callable
from typing import Any

from dhub.ledger import Ledger

PR_SET_PDEATHSIG = 1
MESSAGE_BYTES = 4096
PAUSE_S = 0.1
"""After the system had no room for another process."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends that keep messages whole."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return ends


def die_with_parent(parent: int) -> None:
    """This process is killed when the thread that forked it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def leave_terminal() -> None:
    """This process has no terminal any more: in the background a read from it would stop it for ever."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.ioctl(terminal, termios.TIOCNOTTY)
    except OSError:
        pass
    finally:
        os.close(terminal)


class Order:
    """The end of the control socket that the talking process has."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        control.setblocking(False)

    def fork(self, slot: int) -> tuple[socket.socket, Ledger]:
        """Orders a process for that slot. Where it is sent tasks to, and what is shared with it."""
        mine, theirs = pair()
        mine.setblocking(False)
        ledger = Ledger.new()
        self._send({"fork": slot}, [theirs.fileno(), ledger.descriptor])
        theirs.close()
        return mine, ledger

    def kill(self, pid: int, number: int) -> None:
        self._send({"kill": pid, "signal": number}, [])

    def news(self) -> list[dict[str, int]]:
        """Who was born and who died: `slot`, `pid`, and of the dead `status`. Raises `EOFError`."""
        news: list[dict[str, int]] = []
        while True:
            try:
                data = self.control.recv(MESSAGE_BYTES)
            except BlockingIOError:
                return news
            if not data:
                raise EOFError("the nursery is gone")
            news.append(json.loads(data))

    def _send(self, order: dict[str, int], descriptors: list[int]) -> None:
        self.control.setblocking(True)
        socket.send_fds(self.control, [json.dumps(order).encode()], descriptors)
        self.control.setblocking(False)


Work = Callable[[socket.socket, Ledger, int], None]
"""What a process does: its end, what is shared with the other end, the number of its slot."""


def stopping() -> list[int]:
    """The signals that end a worker."""
    return [it for it in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if it != signal.SIGHUP or not is_nohup()]


def is_nohup() -> bool:
    return signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def say(text: str) -> None:
    """For people; that nobody can read it is no reason to stop."""
    try:
        print(f"dhub.worker: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError, RuntimeError):  # the last: within a signal handler
        pass


def run(talk: Callable[[Order], int], work: Work) -> int:
    """Runs `talk` in a process of its own and `work` in those that it orders; the exit code of `talk`."""
    wake, wakened = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(wakened, False)
    me = os.getpid()
    mine, theirs = pair()
    talker = os.fork()
    if talker == 0:
        _child(me, lambda: talk(Order(theirs)), [mine])
    theirs.close()
    signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
    for number in stopping():
        # The terminal tells all at once; the talker is in a group of its own, and hears it once.
        signal.signal(number, lambda number, frame: _kill(talker, number))
    signal.signal(signal.SIGCHLD, lambda number, frame: None)

    slots: dict[int, int] = {}
    ready = selectors.DefaultSelector()
    ready.register(mine, selectors.EVENT_READ)
    ready.register(wake, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select(1.0):
            if key.fileobj is mine:
                _obey(mine, slots, work, me)
            else:
                _drain(wake)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pid = 0
            if pid == talker:
                for child in slots:
                    _kill(-child, signal.SIGKILL)
                return os.waitstatus_to_exitcode(status)
            if pid == 0:
                break
            if pid in slots:
                _kill(-pid, signal.SIGKILL)  # what it has started itself
                _tell(mine, {"slot": slots.pop(pid), "pid": pid, "status": os.waitstatus_to_exitcode(status)})


def _obey(mine: socket.socket, slots: dict[int, int], work: Work, me: int) -> None:
    try:
        data, descriptors, _, _ = socket.recv_fds(mine, MESSAGE_BYTES, 2)
    except ConnectionError:
        return
    if not data:
        return
    order: dict[str, Any] = json.loads(data)
    if "kill" in order:
        if order["kill"] in slots:
            _kill(-order["kill"], order["signal"])
        return
    end, ledger, slot = socket.socket(fileno=descriptors[0]), Ledger(descriptors[1]), order["fork"]
    try:
        pid = os.fork()
    except OSError as error:
        say(f"no process can be started: {error.strerror}")
        end.close()
        ledger.close()
        time.sleep(PAUSE_S)
        _tell(mine, {"slot": slot, "pid": 0, "status": 71})
        return
    if pid == 0:

        def child() -> int:
            work(end, ledger, slot)
            return 0

        _child(me, child, [mine])
    end.close()
    ledger.close()
    try:
        os.setpgid(pid, pid)  # here, too: it may be killed before it has come so far
    except OSError:
        pass
    slots[pid] = slot
    _tell(mine, {"slot": slot, "pid": pid})


def _child(parent: int, main: Callable[[], int], close: list[socket.socket]) -> None:
    """The rest of the life of a process that was just forked."""
    code = 70
    try:
        os.setpgid(0, 0)
        leave_terminal()
        die_with_parent(parent)
        signal.set_wakeup_fd(-1)
        for number in (*stopping(), signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for end in close:
            end.close()
        code = main()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _tell(mine: socket.socket, news: dict[str, int]) -> None:
    try:
        mine.send(json.dumps(news).encode())
    except OSError:
        pass  # it is gone, which the next wait tells


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except BlockingIOError:
        pass
