"""Runs CPython's own tests of process pools, as its test package has them, against `DhubExecutor`.

One start method stands for all: there is none here. Prints one line a test: its outcome, its name, and why.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dhub
import stand_in
from test import support
from test.support import script_helper

# Those programs run isolated: they see no PYTHONPATH.
PLACES = [str(Path(__file__).parent), str(Path(dhub.__file__).parents[1]), str(Path(support.__file__).parents[2])]
PRELUDE = f"import sys; sys.path[:0] = {PLACES!r}\nimport stand_in; stand_in.install()\n"


def modules() -> list[str]:
    try:
        package = importlib.import_module("test.test_concurrent_futures")
    except ImportError:
        sys.exit(3)
    if not hasattr(package, "__path__"):
        return [package.__name__]
    return [f"{package.__name__}.{it.name}" for it in pkgutil.iter_modules(package.__path__) if "test_" in it.name]


def tests(suite: Any) -> Iterator[unittest.TestCase]:
    for it in suite:
        if isinstance(it, unittest.TestSuite):
            yield from tests(it)
        else:
            yield it


def main() -> None:
    stand_in.install()
    support.verbose = 0
    real = script_helper.assert_python_ok

    def with_stand_in(*words: str, **options: Any) -> Any:
        """A program of a test, which has the stand-in as well."""
        return real(*(PRELUDE + word if word.startswith("if ") else word for word in words), **options)

    script_helper.assert_python_ok = with_stand_in
    for name in modules():
        module = importlib.import_module(name)
        for test in tests(unittest.defaultTestLoader.loadTestsFromModule(module)):
            if "ProcessPoolSpawn" not in test.id():
                continue
            result = unittest.TestResult()
            test.run(result)
            case = ".".join(test.id().split(".")[-2:]).replace("ProcessPoolSpawn", "")
            if result.skipped:
                print("skipped", case, result.skipped[0][1], flush=True)
            elif result.wasSuccessful():
                print("passed", case, flush=True)
            else:
                text = (result.errors + result.failures)[0][1].strip().splitlines()[-1]
                print("failed", case, text, flush=True)


if __name__ == "__main__":
    main()
