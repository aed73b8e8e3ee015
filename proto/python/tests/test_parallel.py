"""joblib's own examples, and `dhub.map` with a bar."""

from __future__ import annotations

import math
import operator
import time

import calls
import joblib
import pytest
from conftest import Pool, Server
from joblib import Parallel, delayed, parallel_config

import dhub
import dhub.parallel


@pytest.fixture(autouse=True)
def workers(server: Server, pool: Pool) -> None:
    pool.workers("-j", 2)


def test_the_examples_of_joblib() -> None:
    with parallel_config(backend="dhub"):
        # "Embarrassingly parallel for loops", the examples of its manual.
        assert Parallel(n_jobs=2)(delayed(math.sqrt)(i**2) for i in range(10)) == [float(i) for i in range(10)]
        assert Parallel()(delayed(math.modf)(i / 2.0) for i in range(3)) == [(0.0, 0.0), (0.5, 0.0), (0.0, 1.0)]
        assert Parallel(n_jobs=2, return_as="list")(delayed(pow)(i, 2) for i in range(200)) == [
            i * i for i in range(200)
        ]
        stream = Parallel(n_jobs=2, return_as="generator")(delayed(pow)(i, 2) for i in range(20))
        assert list(stream) == [i * i for i in range(20)]
        # Nested, and with functions of this test.
        assert Parallel()(
            delayed(lambda n: sum(Parallel(n_jobs=2)(delayed(math.sqrt)(i**2) for i in range(n))))(n) for n in (3, 4)
        ) == [3.0, 6.0]
        assert joblib.effective_n_jobs() == 2


def test_a_failure_in_joblib_cancels_the_rest() -> None:
    with parallel_config(backend="dhub", retries=0), pytest.raises(ValueError, match="oops"):
        Parallel(n_jobs=2)(delayed(calls.fail if i == 1 else time.sleep)("oops" if i == 1 else 60) for i in range(6))


def test_a_map_with_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert dhub.map(operator.add, range(100), range(100), chunksize=7, progress=True) == [2 * i for i in range(100)]
    assert "100/100" in capsys.readouterr().err
    assert dhub.map(abs, []) == []
    with pytest.raises(ValueError, match="no"):
        dhub.map(calls.fail, ["no"])


def test_a_map_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
    assert dhub.map(abs, [-1, -2], progress=True) == [1, 2]
