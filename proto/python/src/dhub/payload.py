"""How a call travels: function and arguments as the standard input of a task, its result as the output.

Small ones are in the hub. What is larger than `CALL_BYTES_MAX` or the worker's limit for results lies in a file of the
shared directory, and only its path travels. Whoever can write these bytes runs code as the worker's user: the hub lets
in only who may submit tasks, and the shared directory is private.
"""

from __future__ import annotations

import functools
import io
import os
import pickle
import struct
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from dhub import private
from dhub.errors import CannotPickle, DhubError, TaskFailed

try:
    import cloudpickle
except ImportError:  # an extra
    cloudpickle = None

PROTOCOL = 5
"""Every Python from 3.8 on reads it."""
CALL_BYTES_MAX = 60_000
RESULT_BYTES_MAX = 48_000
"""Of a result that is kept in the hub; both are a little below what the hub takes."""
TEXT_BYTES_MAX = 16_000
"""Of a traceback."""

_CALL = struct.Struct("<4sBBB")  # magic, Python's major and minor, kind
_RESULT = struct.Struct("<BI4s")  # kind, bytes before this, magic; at the end, so that anything may be printed before
_MAGIC = b"dhub"
ONE, CHUNK, FILE = 0, 1, 2
_VALUE, _VALUE_FILE, _ERROR = 0, 1, 2


class Remote(NamedTuple):
    """Stands for the result of another task among the arguments of a call."""

    name: str


class RemoteTraceback(Exception):
    """The cause of an exception that was raised in a worker: where, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


# --- pickling ---------------------------------------------------------------------------------

if cloudpickle is not None:
    _Pickler: Any = cloudpickle.CloudPickler
else:
    _Pickler = pickle.Pickler


class _RemotePickler(_Pickler):  # type: ignore[misc]
    """Lets `remote` say which objects are the results of other tasks."""

    def __init__(self, file: io.BytesIO, remote: Callable[[Any], Remote | None]) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self._remote = remote

    def persistent_id(self, item: Any) -> str | None:
        found = self._remote(item)
        return found.name if found is not None else None


class _RemoteUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, results: dict[str, Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._results = results

    def persistent_load(self, name: Any) -> Any:
        return self._results[name]


def dumps_function(function: Callable[..., Any]) -> bytes:
    """A function, also a lambda or one of a notebook. Raises `CannotPickle`."""
    return _dumps(function, lambda item: None, "the function")


def dumps_arguments(arguments: Any, remote: Callable[[Any], Remote | None]) -> bytes:
    """Arguments; `remote` names those that are results of other tasks. Raises `CannotPickle`."""
    try:
        data = pickle.dumps(arguments, PROTOCOL)
        # What is defined in the main program would be looked for in that of the worker.
        if b"__main__" not in data:
            return data
    except Exception:  # whatever a class of somebody else's raises here, the slow way tells
        pass
    return _dumps(arguments, remote, "an argument")


def _dumps(item: Any, remote: Callable[[Any], Remote | None], what: str) -> bytes:
    file = io.BytesIO()
    try:
        _RemotePickler(file, remote).dump(item)
    except Exception as error:
        advice = "" if cloudpickle is not None else "; cloudpickle can do more: pip install 'dhub[executor]'"
        raise CannotPickle(f"{what} cannot be sent to a worker: {error}{advice}") from error
    data = file.getvalue()
    if cloudpickle is None and b"__main__" in data:
        raise CannotPickle(f"{what} is defined in the main program; to send it, pip install 'dhub[executor]'")
    return data


# --- a call -----------------------------------------------------------------------------------


def dumps_call(
    kind: int, function: bytes, arguments: bytes, names: list[str], shared: Path, task: str
) -> tuple[bytes, Path | None]:
    """The standard input of a task, and the file that it needs, if it is too large. Raises `OSError`."""
    body = pickle.dumps((str(shared), function, arguments, names), PROTOCOL)
    data = _CALL.pack(_MAGIC, sys.version_info[0], sys.version_info[1], kind) + body
    if len(data) <= CALL_BYTES_MAX:
        return data, None
    path = shared / f"{task}.call"
    private.write(path, data)
    return _CALL.pack(_MAGIC, sys.version_info[0], sys.version_info[1], FILE) + os.fsencode(path), path


def is_call(stdin: bytes) -> bool:
    return stdin[:4] == _MAGIC and len(stdin) > _CALL.size


def run_call(
    stdin: bytes, task: str, attempt: int, results: Callable[[list[str]], dict[str, bytes]], limit: int
) -> tuple[bool, bytes, str]:
    """Makes the call: whether it returned, the output of the task, and why it failed.

    `results` fetches the outputs of other tasks by name; a result of more than `limit` bytes goes to a file.
    """
    try:
        _, major, minor, kind = _CALL.unpack_from(stdin)
        if (major, minor) != sys.version_info[:2]:
            here = "{}.{}".format(*sys.version_info[:2])
            raise DhubError(f"the call comes from Python {major}.{minor}, and this worker is Python {here}")
        if kind == FILE:
            stdin = Path(os.fsdecode(stdin[_CALL.size :])).read_bytes()
            kind = _CALL.unpack_from(stdin)[3]
        shared, function_data, arguments_data, names = pickle.loads(memoryview(stdin)[_CALL.size :])
        function = _function(function_data)
        if names:
            found = {name: loads_result(name, output) for name, output in results(names).items()}
            arguments = _RemoteUnpickler(arguments_data, found).load()
        else:
            arguments = pickle.loads(arguments_data)
        if kind == CHUNK:
            value: Any = [function(*args) for args in arguments]
        else:
            value = function(*arguments[0], **arguments[1])
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: they are the call's
        return _failure(error)
    try:
        try:
            data = pickle.dumps(value, PROTOCOL)
            if b"__main__" in data:
                data = _dumps(value, lambda item: None, "the result")
        except CannotPickle:
            raise
        except Exception:
            data = _dumps(value, lambda item: None, "the result")
        if len(data) <= limit:
            return True, data + _RESULT.pack(_VALUE, len(data), _MAGIC), ""
        path = Path(shared) / f"{task}.{attempt}.result"
        private.write(path, data)
        data = os.fsencode(path)
        return True, data + _RESULT.pack(_VALUE_FILE, len(data), _MAGIC), ""
    except BaseException as error:
        return _failure(error)


@functools.lru_cache(maxsize=64)
def _function(data: bytes) -> Callable[..., Any]:
    """The same bytes are the same function: its globals live as long as the worker."""
    function: Callable[..., Any] = pickle.loads(data)
    return function


def _failure(error: BaseException) -> tuple[bool, bytes, str]:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if len(text) > TEXT_BYTES_MAX:
        half = TEXT_BYTES_MAX // 2
        text = f"{text[:half]}\n  ...\n{text[-half:]}"
    reason = "".join(traceback.format_exception_only(type(error), error)).strip()[:1000]
    try:
        pickled = _dumps(error, lambda item: None, "the exception")
        pickle.loads(pickled)
        if len(pickled) > TEXT_BYTES_MAX:
            pickled = b""
    except Exception:
        pickled = b""
    data = pickle.dumps((pickled, reason, text), PROTOCOL)
    return False, data + _RESULT.pack(_ERROR, len(data), _MAGIC), reason


def has_result(output: bytes) -> bool:
    return len(output) >= _RESULT.size and output.endswith(_MAGIC)


def result_file(output: bytes) -> Path | None:
    """Where the result lies, if it is not in the output itself."""
    if has_result(output):
        kind, size, _ = _RESULT.unpack_from(output, len(output) - _RESULT.size)
        if kind == _VALUE_FILE:
            return Path(os.fsdecode(output[-_RESULT.size - size : -_RESULT.size]))
    return None


def loads_result(task: str, output: bytes) -> Any:
    """What the call returned. Raises what it raised, with the traceback as its cause, or `TaskFailed`."""
    if not has_result(output):
        raise TaskFailed(task, "it left no result")
    kind, size, _ = _RESULT.unpack_from(output, len(output) - _RESULT.size)
    data: Any = memoryview(output)[len(output) - _RESULT.size - size : len(output) - _RESULT.size]
    if kind == _VALUE:
        return pickle.loads(data)
    if kind == _VALUE_FILE:
        try:
            data = Path(os.fsdecode(bytes(data))).read_bytes()
        except OSError as error:
            raise TaskFailed(task, f"its result cannot be read: {error}") from error
        return pickle.loads(data)
    pickled, reason, text = pickle.loads(data)
    try:
        error_ = pickle.loads(pickled) if pickled else None
    except Exception:
        error_ = None
    if not isinstance(error_, BaseException):
        error_ = TaskFailed(task, reason)
    error_.__cause__ = RemoteTraceback(text)
    raise error_


def unlink(paths: Iterable[Path]) -> None:
    """Removes files that may be gone already."""
    for path in paths:
        try:
            os.unlink(path)
        except OSError:
            pass
