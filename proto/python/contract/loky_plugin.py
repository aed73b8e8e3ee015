"""For pytest: of loky's tests, those of executors; how many processes it has, and when they end, is its own."""

from __future__ import annotations

from typing import Any

import pytest

CLASSES = ("TestResizeExecutor", "TestGetReusableExecutor", "TestTerminateExecutor")


def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    mine = [it for it in items if it.cls is None or it.cls.__name__ not in CLASSES]
    config.hook.pytest_deselected(items=[it for it in items if it not in mine])
    items[:] = mine


def pytest_runtest_makereport(item: Any, call: Any) -> None:
    """What a test has pending that fails is not waited for."""
    executor = getattr(item.instance, "executor", None)
    if call.when == "call" and call.excinfo is not None and executor is not None:
        executor.kill()
