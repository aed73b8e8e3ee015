"""For pytest: joblib's own tests of processes, with `dhub` wherever they say `loky`, and one line a test at the end."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

_outcomes: dict[str, tuple[str, str]] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    """Those that have anything to do with the backend."""
    mine = [it for it in items if "dhub" in it.name or '"dhub"' in inspect.getsource(it.function)]
    config.hook.pytest_deselected(items=[it for it in items if it not in mine])
    items[:] = mine


def pytest_runtest_logreport(report: Any) -> None:
    if report.when == "call" or report.outcome != "passed":
        why = ""
        if report.outcome == "failed":
            why = str(report.longrepr.reprcrash.message if hasattr(report.longrepr, "reprcrash") else report.longrepr)
        elif report.outcome == "skipped":
            why = str(report.longrepr[-1])
        _outcomes[report.nodeid.rpartition("::")[2]] = (report.outcome, " ".join(why.split())[:200])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for name, (outcome, why) in _outcomes.items():
        terminalreporter.write_line(f"{outcome} {name.replace(' ', '_')} {why}")
