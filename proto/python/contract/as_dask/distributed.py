"""What joblib's tests of dask want of it, where a hub is there already: a client and a cluster say nothing.

What is dask's alone (its scheduler, its events, its addresses of workers) is missing, so a test of that fails.
"""

from __future__ import annotations

import contextlib
import sys
import time as clock
from collections.abc import Iterator
from types import ModuleType
from typing import Any

__version__ = "2025.1.0"


class Client:
    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def close(self, timeout: float | None = None) -> None:
        pass


class LocalCluster(Client):
    pass


def get_client() -> Client:
    return Client()


@contextlib.contextmanager
def cluster() -> Iterator[tuple[dict[str, str], list[dict[str, str]]]]:
    yield {"address": ""}, [{"address": ""}, {"address": ""}]


def inc(x: int) -> int:
    return x + 1


_metrics, _utils = ModuleType("distributed.metrics"), ModuleType("distributed.utils_test")
_metrics.time = clock.time  # type: ignore[attr-defined]
_utils.cleanup, _utils.cluster, _utils.inc = None, cluster, inc  # type: ignore[attr-defined]
sys.modules.update({_metrics.__name__: _metrics, _utils.__name__: _utils})
