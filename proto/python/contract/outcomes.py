"""For pytest: one line a test at the end, with its outcome, its name, and why."""

from __future__ import annotations

from typing import Any

_outcomes: dict[str, tuple[str, str]] = {}


def pytest_runtest_logreport(report: Any) -> None:
    if report.when == "call" or report.outcome != "passed":
        why = ""
        if report.outcome == "failed":
            why = str(report.longrepr.reprcrash.message if hasattr(report.longrepr, "reprcrash") else report.longrepr)
        elif report.outcome == "skipped":
            why = str(report.longrepr[-1]) if isinstance(report.longrepr, tuple) else "expected to fail"
        name = report.nodeid.partition("::")[2].replace("::", ".")
        _outcomes[name] = (report.outcome, " ".join(why.split())[:200])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for name, (outcome, why) in _outcomes.items():
        terminalreporter.write_line(f"{outcome} {name.replace(' ', '_')} {why}")
