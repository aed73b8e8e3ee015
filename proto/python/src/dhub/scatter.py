"""A value that is written once, in the shared directory, and read by every call that it is an argument of."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dhub import payload, private


class Scattered:
    """Stands for a value among the arguments of calls: they get the value itself."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __repr__(self) -> str:
        return f"Scattered({self.file.name!r})"

    def __reduce__(self) -> Any:
        return _load, (str(self.file.parent), self.file.name)


class Store:
    """The values that one executor has scattered. Their files are removed by `remove`, or when nobody has the store.

    For any thread, without a lock, which a fork could find locked.
    """

    def __init__(self, directory: Path, session: str, stays: bool) -> None:
        self.directory, self.session = directory, session
        self._names: set[str] = set()
        self._is_removed = False
        self._remove: Callable[[], object] = lambda: None
        if not stays:
            self._remove = weakref.finalize(self, _remove, os.getpid(), directory, self._names)
        self._arrays: dict[int, tuple[weakref.ref[Any], Scattered]] = {}

    def put(self, value: Any) -> Scattered:
        """Equal content is written once. Raises what pickling does, `OSError`, and `RuntimeError` after `remove`."""
        if _is_array(value):
            import numpy

            file = io.BytesIO()
            numpy.save(file, value, allow_pickle=False)
            data, kind = file.getvalue(), "npy"
        else:
            data, kind = payload.dumps(value, "a value to scatter"), "value"
        name = f"{self.session}-{hashlib.sha256(data).hexdigest()[:32]}.{kind}"
        if name not in self._names:
            private.make_dir(self.directory, "set DHUB_SHARED to a directory of yours")
            private.write(self.directory / name, data)
            self._names.add(name)
        # Not before: it may be removed meanwhile, and without this file.
        if self._is_removed:
            private.remove_own(self.directory, name)
            raise RuntimeError("cannot scatter after shutdown")
        return Scattered(self.directory / name)

    def remove(self) -> None:
        """Nothing is needed of it any more, and nothing can be added."""
        self._is_removed = True
        self._remove()

    def array(self, array: Any, bytes_min: int) -> Any:
        """How an array is pickled: large ones once, for as long as they are there."""
        if array.nbytes < bytes_min or not _is_array(array):
            return array.__reduce_ex__(payload.PROTOCOL)
        known, scattered = self._arrays.get(id(array), (lambda: None, None))
        if scattered is None or known() is not array:
            scattered = self.put(array)
            self._arrays[id(array)] = (weakref.ref(array), scattered)
        return scattered.__reduce__()


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray and not value.dtype.hasobject


def _load(directory: str, name: str) -> Any:
    if not name.endswith(".npy"):
        return pickle.loads(private.read_own(Path(directory), name))
    import numpy

    # One copy for all processes of a machine.
    return numpy.load(os.path.join(directory, name), mmap_mode="r", allow_pickle=False)


def _remove(pid: int, directory: Path, names: set[str]) -> None:
    if pid == os.getpid():
        for name in list(names):
            private.remove_own(directory, name)
