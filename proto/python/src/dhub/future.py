"""`DhubFuture`: the result of a task, as `concurrent.futures` knows it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class DhubFuture(Future[T]):
    """As any future, and: it knows the `name` of its task, and can be an argument of another call.

    `cancel` also works while the task runs: the worker ends it. `running` does not know whether it has begun.
    """

    def __init__(self, name: str, on_cancel: Callable[[str], None]) -> None:
        super().__init__()
        self.name = name
        self.result_file: Path | None = None
        self._on_cancel = on_cancel

    def cancel(self) -> bool:
        """Takes the task back, also from a worker. False: it has ended already."""
        if self.cancelled():
            return True
        if not self.cancelled_elsewhere():
            return False
        self._on_cancel(self.name)
        return True

    def cancelled_elsewhere(self) -> bool:
        """Somebody has cancelled the task, and the hub knows. False: it has ended already."""
        if not super().cancel():
            return False
        try:
            self.set_running_or_notify_cancel()
        except (InvalidStateError, RuntimeError):
            pass  # another thread was first
        return True

    def ended(self, value: Any, error: BaseException | None) -> None:
        """The result, or why there is none; nothing happens if it was cancelled meanwhile."""
        try:
            if error is not None:
                self.set_exception(error)
            else:
                self.set_result(value)
        except InvalidStateError:
            pass

    def __reduce__(self) -> Any:
        """Whose result is there and small goes as that. Raises what the task raised, or `TypeError`."""
        if not self.done() or self.result_file is not None:
            raise TypeError("a future goes to other processes only as an argument of a call of its own executor")
        return _identity, (self.result(),)


def _identity(value: T) -> T:
    return value
