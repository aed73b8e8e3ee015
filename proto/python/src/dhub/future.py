"""`DhubFuture`: the result of a task, as `concurrent.futures` knows it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from dhub.courier import Courier

T = TypeVar("T")


class DhubFuture(Future[T]):
    """As any future, and: it knows the `name` of its task, and can be an argument of another call.

    The hub knows whether the task runs, so `cancel`, `kill` and `running` ask it, and raise `NoHub` if it is silent.
    """

    def __init__(self, name: str, courier: Courier) -> None:
        super().__init__()
        self.name = name
        self.result_file: str | None = None
        """Its result is this file of the shared directory, until nobody holds the future."""
        self.is_lost = False
        """The hub has no such task, so nothing that needs it can run."""
        self._courier = courier

    def __repr__(self) -> str:
        # Whether it runs only the hub knows, and it is not asked for this.
        text = super().__repr__()[:-1].replace(" state=pending", " state=unfinished", 1)
        return f"{text} task={self.name!r}>"

    def cancel(self) -> bool:
        """Takes the task back, unless it runs or has ended: False."""
        if not self.done():
            self._courier.cancel([self])
        return self.cancelled()

    def kill(self) -> bool:
        """As `cancel`, also while the task runs: the worker ends it. False: it has ended by itself."""
        if not self.done():
            self._courier.cancel([self], running=True)
        return self.cancelled()

    def running(self) -> bool:
        """A worker has the task."""
        return not self.done() and self._courier.is_running(self)

    def set_cancelled(self) -> None:
        """The task is cancelled, as the hub says."""
        with self._condition:
            if not self.done():
                super().cancel()
                self.set_running_or_notify_cancel()

    def set_ended(self, value: Any, error: BaseException | None) -> None:
        """The result, or why there is none; nothing happens if it was cancelled meanwhile."""
        try:
            if error is not None:
                self.set_exception(error)
            else:
                self.set_result(value)
        except InvalidStateError:
            pass

    def tell(self, listener: Callable[[DhubFuture[T]], object]) -> None:
        """Calls `listener` when it has ended, as `as_completed` is told: at once, before any callback, and in the thread
        that results come to, which it must not hold up."""
        with self._condition:
            if not self.done():
                self._waiters.append(_Waiter(listener))  # type: ignore[arg-type]
                return
        listener(self)

    def failure(self) -> BaseException | None:
        """Why it has failed, if it has."""
        return self.exception() if self.done() and not self.cancelled() else None

    def _invoke_callbacks(self) -> None:
        # Not where results arrive: others would wait for what a callback waits for.
        if self._done_callbacks:  # type: ignore[attr-defined]
            self._courier.callbacks.run(super()._invoke_callbacks)  # type: ignore[misc]

    def __reduce__(self) -> Any:
        """Whose result is there and small goes as that. Raises what the task raised, or `TypeError`."""
        if not self.done() or self.result_file is not None:
            raise TypeError("a future goes to other processes only as an argument of a call of its own executor")
        return _identity, (self.result(),)


class _Waiter:
    """What `Future` tells how it has ended."""

    def __init__(self, listener: Callable[[Any], object]) -> None:
        self.add_result = self.add_exception = self.add_cancelled = listener


def _identity(value: T) -> T:
    return value
