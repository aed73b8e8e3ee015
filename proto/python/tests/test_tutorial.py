"""docs/python.md runs as it is written, and so do the examples."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Pool, Server

EXAMPLES = ROOT / "proto/python/examples"


@pytest.fixture(autouse=True)
def workers(server: Server, pool: Pool) -> None:
    pool.workers("-j", 2)


def test_the_tutorial() -> None:
    text = (ROOT / "docs/python.md").read_text()
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "tutorial"}, "python.md", "docs/python.md", 0)
    assert len(test.examples) > 30
    said: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL).run(test, out=said.append)
    assert results.failed == 0, "".join(said)


def run(example: str, *words: object) -> str:
    command = [sys.executable, str(EXAMPLES / example), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_a_parameter_sweep() -> None:
    assert run("sweep.py") == "12 combinations, the best: rate 0.3, depth 5, loss 0.00\n"


def test_map_and_reduce_over_files(home: Path) -> None:
    for i in range(20):
        (home / f"{i}.txt").write_text("the cat and the dog and the hub\n" * (i + 1))
    assert run("words.py", home) == "   630 the\n   420 and\n   210 cat\n"


def test_tasks_that_create_tasks(pool: Pool) -> None:
    # Its tasks are not for the workers of this test.
    pool.stop()
    text = run("adaptive.py")
    assert int(text.split()[0]) > 100 and text.endswith("integral 0.1772434, should be 0.1772434\n"), text


def test_a_pipeline_with_failures() -> None:
    lines = run("pipeline.py").splitlines()
    assert lines[:2] == ["item 1: 1000 bytes", "item 2: 2000 bytes"] and lines[5] == "item 6: 6000 bytes"
    assert lines[2] == "item 3: skipped, there is no item 3" and lines[3] == "item 4: 4000 bytes"
    assert lines[4].startswith("item 5: skipped, measure-") and lines[4].endswith(": killed by SIGABRT"), lines
