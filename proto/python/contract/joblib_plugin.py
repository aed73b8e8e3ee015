"""For pytest: of joblib's own tests of processes, where `dhub` stands for `loky`, those that have to do with it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    mine = [it for it in items if "dhub" in it.name or '"dhub"' in inspect.getsource(it.function)]
    config.hook.pytest_deselected(items=[it for it in items if it not in mine])
    items[:] = mine
