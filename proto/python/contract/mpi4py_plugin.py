"""For pytest: of the tests of mpi4py.futures, those of its pool; the rest is of its communicators and its futures."""

from __future__ import annotations

from typing import Any

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    mine = [it for it in items if it.nodeid.split("::")[1].startswith("ProcessPool")]
    config.hook.pytest_deselected(items=[it for it in items if it not in mine])
    items[:] = mine
