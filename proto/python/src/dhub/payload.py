"""How a call travels: function and arguments as the standard input of a task, its result as the output.

Small ones are in the hub. What is larger than `CALL_BYTES_MAX` or the worker's limit for results lies in a file of the
shared directory, which is private; a result's file is named by its task and random bytes, which travel, so no path of a
worker's does.

Pickles run code. Those of a call come from who may submit tasks, and so run code in workers anyway. Results come from
workers: they are unpickled only if the hub says that they were handed in with a key of the hub's owner, or one that
the executor trusts. What others hand in has to be JSON.
"""

from __future__ import annotations

import copyreg
import hashlib
import io
import json
import math
import os
import pickle
import struct
import sys
import traceback
import types
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from dhub import private
from dhub.errors import CannotPickle, DhubError, Elsewhere, TaskFailed

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
KEPT_MAX = 1000
"""Functions that are found without unpickling them again."""

_CALL = struct.Struct("<4sBBB")  # magic, Python's major and minor, kind
_RESULT = struct.Struct("<BI4s")  # kind, bytes before this, magic; at the end, so that anything may be printed before
_MAGIC = b"dhub"
ONE, CHUNK, FILE = 0, 1, 2
_VALUE, _VALUE_FILE, _ERROR, _JSON, _JSON_FILE, _ERROR_FILE = 0, 1, 2, 3, 4, 5
_TOKEN_BYTES = 16
"""Of the name of a result's file: the last bytes of what is in the hub."""
_HEAD = struct.Struct("<I")  # of an error: bytes of [reason, traceback] in JSON; the pickled exception is after them
PLAIN_DEPTH = 50
"""How deep what is handed in as JSON may be."""


class Remote(NamedTuple):
    """Stands for the result of another task among the arguments of a call."""

    name: str


class Result(NamedTuple):
    """What a task left, as the hub tells it."""

    task: str
    attempt: int
    key: str
    """The name of the key that it was handed in with; empty: the owner's, or the hub wants none."""
    output: bytes


class Made(NamedTuple):
    """What became of a call, or a command."""

    exit_code: int
    output: bytes
    reason: str
    file: Path | None = None
    """Has what is too large for the output."""


class RemoteTraceback(Exception):
    """The cause of an exception that was raised in a worker: where, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


Reducers = dict[type, Callable[[Any], Any]]
"""How objects of some classes are pickled."""


# --- pickling ---------------------------------------------------------------------------------

if cloudpickle is not None:
    _Pickler: Any = cloudpickle.CloudPickler
else:
    _Pickler = pickle.Pickler


class _RemotePickler(_Pickler):  # type: ignore[misc]
    """Lets `remote` say which objects are the results of other tasks."""

    def __init__(self, file: io.BytesIO, remote: Callable[[Any], Remote | None], reducers: Reducers) -> None:
        if reducers:  # where the pickler looks when it is made
            self.dispatch_table = ChainMap(reducers, getattr(_Pickler, "dispatch_table", {}), copyreg.dispatch_table)
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


def dumps(
    item: Any, what: str, remote: Callable[[Any], Remote | None] = lambda item: None, reducers: Reducers | None = None
) -> bytes:
    """A function, or arguments; `remote` names what is the result of other tasks. Raises what pickling does.

    The cause of that says `what` cannot be sent. Lambdas and what is defined in a notebook can be.
    """
    try:
        # What is to go by value, cloudpickle alone knows.
        if not reducers and (cloudpickle is None or not cloudpickle.list_registry_pickle_by_value()):
            data = pickle.dumps(item, PROTOCOL)
            # What is defined in the main program would be looked for in that of the worker.
            if b"__main__" not in data:
                return data
    except Exception:  # whatever a class of somebody else's raises here, the slow way tells
        pass
    file = io.BytesIO()
    try:
        _RemotePickler(file, remote, reducers or {}).dump(item)
    except Exception as error:
        advice = "" if cloudpickle is not None else "; cloudpickle can do more: pip install 'dhub[executor]'"
        raise _as_pickle_says(error).with_traceback(None) from CannotPickle(f"{what} cannot be sent to a worker{advice}")
    data = file.getvalue()
    if cloudpickle is None and b"__main__" in data:
        raise CannotPickle(f"{what} is of the main program; to send that, pip install 'dhub[executor]'")
    return data


def _as_pickle_says(error: Exception) -> Exception:
    """Of what is too deep cloudpickle makes an error of its own."""
    cause = error.__cause__
    return cause if isinstance(cause, RecursionError) and isinstance(error, pickle.PicklingError) else error


# --- a call -----------------------------------------------------------------------------------


def dumps_call(
    kind: int,
    function: bytes,
    arguments: bytes,
    names: list[str],
    shared: Path,
    trust: Collection[str],
    task: str,
    is_named: bool = False,
) -> tuple[bytes, Path | None]:
    """The standard input of a task, and the file that it needs, if it is too large. Raises `OSError`.

    That of a task whose name somebody chose is the same for the same call.
    """
    body = pickle.dumps((str(shared), function, arguments, names, sorted(trust) if names else [], task), PROTOCOL)
    data = _CALL.pack(_MAGIC, sys.version_info[0], sys.version_info[1], kind) + body
    if len(data) <= CALL_BYTES_MAX:
        return data, None
    path = shared / f"{hashlib.sha256(data).hexdigest() if is_named else os.urandom(16).hex()}.call"
    private.write(path, data)
    return _CALL.pack(_MAGIC, sys.version_info[0], sys.version_info[1], FILE) + os.fsencode(path), path


def is_call(stdin: bytes) -> bool:
    return stdin[:4] == _MAGIC and len(stdin) > _CALL.size


def run_call(
    stdin: bytes,
    results: Callable[[list[str]], dict[str, Result]],
    limit: int,
    as_json: bool,
    making: Callable[[Path], object] = lambda file: None,
    admit: Callable[[Any], object] = lambda function: None,
) -> Made:
    """Makes the call.

    `results` fetches what other tasks left, by name; a result of more than `limit` bytes goes to a file, of which
    `making` is told before it is there. With `as_json` plain data goes as JSON, which nobody needs to trust. `admit`
    raises `Elsewhere` if the function is not for this process, and so does this.
    """
    shared: str | None = None
    task = ""

    def write(data: bytes) -> tuple[bytes, Path]:
        assert shared is not None
        token = os.urandom(_TOKEN_BYTES)
        file = Path(shared) / _file_name(task, token)
        making(file)
        private.write_new(file, data)
        return token, file

    try:
        _, major, minor, kind = _CALL.unpack_from(stdin)
        if (major, minor) != sys.version_info[:2]:
            here = "{}.{}".format(*sys.version_info[:2])
            raise DhubError(f"the call comes from Python {major}.{minor}, and this worker is Python {here}")
        if kind == FILE:
            path = Path(os.fsdecode(stdin[_CALL.size :]))
            stdin = private.read_own(path.parent, path.name)
            kind = _CALL.unpack_from(stdin)[3]
        shared, function_data, arguments_data, names, trust, task = pickle.loads(memoryview(stdin)[_CALL.size :])
        function = _function(function_data)
        admit(function)
        if names:
            found = {name: loads_result(it, Path(shared), trust) for name, it in results(names).items()}
            arguments = _RemoteUnpickler(arguments_data, found).load()
        else:
            arguments = pickle.loads(arguments_data)
        if kind == CHUNK:
            value: Any = [function(*args) for args in arguments]
        else:
            value = function(*arguments[0], **arguments[1])
    except Elsewhere:
        raise
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: they are the call's
        return _failure(error, limit, None if shared is None else write)
    try:
        data = _dumps_plain(value) if as_json else None
        in_hub, in_file = (_JSON, _JSON_FILE) if data is not None else (_VALUE, _VALUE_FILE)
        if data is None:
            data = _dumps_value(value)
        if len(data) <= limit:
            return Made(0, data + _RESULT.pack(in_hub, len(data), _MAGIC), "")
        token, file = write(data)
        return Made(0, token + _RESULT.pack(in_file, len(token), _MAGIC), "", file)
    except (Exception, SystemExit) as error:
        return _failure(error, limit, write, "the result cannot be sent back: ")


def _dumps_value(value: Any) -> bytes:
    try:
        data = pickle.dumps(value, PROTOCOL)
        if b"__main__" not in data:
            return data
    except Exception:  # whatever a class of somebody else's raises here, the slow way tells
        pass
    file = io.BytesIO()
    try:
        _Pickler(file, protocol=PROTOCOL).dump(value)
    except pickle.PicklingError as error:
        if (told := _as_pickle_says(error)) is error:
            raise
        raise told from None
    data = file.getvalue()
    if cloudpickle is None and b"__main__" in data:
        raise pickle.PicklingError("it is of the main program; to send that, pip install 'dhub[executor]'")
    return data


def _dumps_plain(value: Any) -> bytes | None:
    """As JSON; None: that would be another value."""
    try:
        return json.dumps(value, allow_nan=False).encode() if _is_plain(value, PLAIN_DEPTH) else None
    except ValueError:  # an integer of thousands of digits
        return None


def _is_plain(value: Any, depth: int) -> bool:
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return True
    if kind is str:
        return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
    if kind is float:
        return math.isfinite(value)
    if kind is list:
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
    if kind is dict:
        is_text = all(type(key) is str and _is_plain(key, 0) for key in value)
        return depth > 0 and is_text and all(_is_plain(item, depth - 1) for item in value.values())
    return False


def _file_name(task: str, token: bytes) -> str:
    """Of a result, in the shared directory. Nobody has made it before; who hands in for one task names no other's."""
    return f"{hashlib.sha256(task.encode('utf-8', 'replace')).hexdigest()[:16]}-{token.hex()}.result"


_by_name: dict[bytes, Callable[..., Any]] = {}


def _function(data: bytes) -> Callable[..., Any]:
    """Each call has its own, with its own closure and arguments; what goes by name is one for all of them anyway."""
    function = _by_name.get(data)
    if function is None:
        function = pickle.loads(data)
        if _goes_by_name(function):
            if len(_by_name) >= KEPT_MAX:
                _by_name.clear()
            _by_name[data] = function
    return function


def _goes_by_name(function: Any) -> bool:
    if not isinstance(function, (types.FunctionType, types.BuiltinFunctionType, type)):
        return False
    found: Any = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is function


def _failure(
    error: BaseException, limit: int, write: Callable[[bytes], tuple[bytes, Path]] | None, before: str = ""
) -> Made:
    """`before` says what failed, if that was not the call itself."""
    text = before + "".join(traceback.format_exception(type(error), error, error.__traceback__))
    reason = (before + "".join(traceback.format_exception_only(type(error), error)).strip())[:1000]
    told = json.dumps([reason, text]).encode()
    while len(told) > min(limit, TEXT_BYTES_MAX) and len(text) > 100:
        quarter = len(text) // 4
        text = f"{text[:quarter]}\n  ...\n{text[-quarter:]}"
        told = json.dumps([reason, text]).encode()
    kind, pickled, file = _ERROR, b"", None
    try:
        pickled = _dumps_value(error)
        pickle.loads(pickled)
        if len(pickled) + len(told) > limit and write is not None:
            pickled, file = write(pickled)
            kind = _ERROR_FILE
    except BaseException:  # it may exit when it is pickled, which is told as the failure that it is
        kind, pickled, file = _ERROR, b"", None
    # What the call had in its hands goes now, and not with the next collection of garbage.
    traceback.clear_frames(error.__traceback__)
    if len(pickled) + len(told) > limit:
        pickled = b""
    data = _HEAD.pack(len(told)) + told + pickled
    return Made(1, data + _RESULT.pack(kind, len(data), _MAGIC), reason, file)


def has_result(output: bytes) -> bool:
    return len(output) >= _RESULT.size and output.endswith(_MAGIC)


def result_file(result: Result) -> str | None:
    """The name of the file in the shared directory that has the result, if it is not in the output itself."""
    found = _parts(result.output)
    if found is None or found[0] not in (_VALUE_FILE, _JSON_FILE, _ERROR_FILE):
        return None
    token = bytes(found[1][-_TOKEN_BYTES:])
    return _file_name(result.task, token) if len(token) == _TOKEN_BYTES else None


def _parts(output: bytes) -> tuple[int, Any] | None:
    """The kind of a result, and its bytes."""
    if not has_result(output):
        return None
    end = len(output) - _RESULT.size
    kind, size, _ = _RESULT.unpack_from(output, end)
    return (kind, memoryview(output)[end - size : end]) if size <= end else None


def loads_result(result: Result, shared: Path, trust: Collection[str]) -> Any:
    """What the call returned. Raises what it raised, with the traceback as its cause, or `TaskFailed`.

    Nothing is unpickled that was handed in with a key which is neither the owner's nor in `trust`.
    """
    task, key = result.task, result.key
    found = _parts(result.output)
    if found is None:
        raise TaskFailed(task, "it left no result")
    kind, data = found
    trusted = not key or key in trust
    if kind in (_ERROR, _ERROR_FILE):
        raise _raised(result, data, shared, trusted)
    if kind not in (_JSON, _JSON_FILE) and not trusted:
        raise TaskFailed(
            task,
            f"its result was handed in with the key '{key}' and is no plain data, so it could run code here; "
            f"if you trust whoever has that key: DhubExecutor(trust=[{key!r}])",
        )
    if kind in (_VALUE_FILE, _JSON_FILE):
        try:
            data = _read(result, shared)
        except OSError as error:
            raise TaskFailed(task, f"its result cannot be read: {error}") from error
    if kind in (_VALUE, _VALUE_FILE):
        return pickle.loads(data)
    try:
        return json.loads(bytes(data))
    except (ValueError, RecursionError) as error:
        raise TaskFailed(task, f"its result cannot be read: {error}") from error


def _read(result: Result, shared: Path) -> bytes:
    name = result_file(result)
    if name is None:
        raise FileNotFoundError("it names no file")
    return private.read_own(shared, name)


def _raised(result: Result, data: Any, shared: Path, trusted: bool) -> BaseException:
    task = result.task
    try:
        size = _HEAD.unpack_from(data)[0]
        reason, text = (str(said) for said in json.loads(bytes(data[_HEAD.size : _HEAD.size + size])))
    except (struct.error, ValueError, TypeError, RecursionError):
        return TaskFailed(task, "it failed, and how cannot be read")
    error: BaseException = TaskFailed(task, reason)
    pickled = data[_HEAD.size + size :]
    if trusted and pickled:
        try:
            raised = pickle.loads(pickled if result_file(result) is None else _read(result, shared))
            error = raised if isinstance(raised, BaseException) else error
        except Exception:
            pass
    error.__cause__ = RemoteTraceback(text)
    return error


def unlink(paths: Iterable[Path]) -> None:
    """Removes files that may be gone already."""
    for path in paths:
        try:
            os.unlink(path)
        except OSError:
            pass
