"""joblib's own examples, and `dhub.map` with a bar."""

from __future__ import annotations

import math
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import calls
import joblib
import pytest
from conftest import PATIENCE_S, Pool, Server, eventually
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


def test_tasks_of_joblib_have_the_name_of_their_function(hub: dhub.Hub) -> None:
    with parallel_config(backend="dhub"):
        Parallel(n_jobs=2)(delayed(math.sqrt)(i) for i in range(3))
    assert {it.name.partition("-")[0] for it in hub.tasks()} == {"sqrt"}


def test_a_failure_in_joblib_cancels_the_rest() -> None:
    with parallel_config(backend="dhub", retries=0), pytest.raises(ValueError, match="oops"):
        Parallel(n_jobs=2)(delayed(calls.fail if i == 1 else time.sleep)("oops" if i == 1 else 60) for i in range(6))


def test_unknown_options_are_errors() -> None:
    with pytest.raises(TypeError, match="retrys"), parallel_config(backend="dhub", retrys=3):
        Parallel(n_jobs=2)(delayed(abs)(i) for i in range(3))
    with pytest.raises(TypeError, match="retrys"):
        Parallel(n_jobs=2, backend="dhub", retrys=3)(delayed(abs)(i) for i in range(3))


def test_ctrl_c_in_joblib_ends_what_runs(home: Path) -> None:
    program = f"""
import calls, dhub.parallel
from joblib import Parallel, delayed
Parallel(n_jobs=2, backend="dhub", pre_dispatch="all")(delayed(calls.sleep)({str(home)!r} + f"/ran-{{i}}", 3) for i in range(40))
"""
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    eventually(lambda: len(list(home.glob("ran-*"))) == 2)
    process.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in process.communicate(timeout=PATIENCE_S)[1]
    counts = dhub.Hub().status().counts
    assert (counts.ready, counts.running, counts.done) == (0, 0, 0), counts
    assert not any("ended" in it.read_text() for it in home.glob("ran-*"))


def test_an_initializer_and_the_threads_of_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    with parallel_config(backend="dhub", initializer=calls.initialize, initargs=("there",)):
        assert set(Parallel(n_jobs=2)(delayed(calls.initialized)(i) for i in range(20))) == {("there", 1)}
    with parallel_config(backend="dhub", inner_max_num_threads=3):
        assert Parallel(n_jobs=2)(delayed(os.getenv)("OMP_NUM_THREADS") for _ in range(2)) == ["3", "3"]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with parallel_config(backend="dhub"):
        limit = str(max(joblib.cpu_count() // 2, 1))
        assert Parallel(n_jobs=2)(delayed(os.getenv)("OMP_NUM_THREADS") for _ in range(2)) == [limit, limit]
    # And of the next call nothing of it is left.
    with dhub.DhubExecutor() as executor:
        assert executor.submit(os.getenv, "OMP_NUM_THREADS").result(PATIENCE_S) is None


def test_batches_begin_small_again() -> None:
    backend = dhub.parallel.DhubBackend()
    parallel = Parallel(n_jobs=2, backend=backend)
    parallel(delayed(abs)(i) for i in range(2000))
    assert backend.compute_batch_size() == 1


def test_a_large_array_is_one_file_that_all_map() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(500_000.0)
    told = Parallel(n_jobs=2, backend="dhub", max_nbytes="1M", batch_size=1)(
        delayed(calls.mapped)(array, i) for i in range(6)
    )
    assert {it[0] for it in told} == {"memmap"} and len({it[1] for it in told}) == 1
    assert [it[2] for it in told] == [float(i) for i in range(6)]
    eventually(lambda: not os.path.exists(told[0][1]))
    with dhub.DhubExecutor() as executor:
        scattered, text = executor.scatter(array), executor.scatter({"text": "x" * 1000})
        assert executor.scatter(array.copy()).file == scattered.file
        assert executor.submit(calls.mapped, scattered, 7).result(PATIENCE_S)[2] == 7.0
        assert executor.submit(calls.same, [text, 1]).result(PATIENCE_S) == [{"text": "x" * 1000}, 1]
        assert len(list(executor.shared.iterdir())) == 2
    assert not list(executor.shared.iterdir())


def test_a_map_with_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert dhub.map(operator.add, range(100), range(100), chunksize=7, progress=True) == [2 * i for i in range(100)]
    assert "100/100" in capsys.readouterr().err
    assert dhub.map(abs, []) == []
    with pytest.raises(ValueError, match="no"):
        dhub.map(calls.fail, ["no"])


def test_a_map_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
    assert dhub.map(abs, [-1, -2], progress=True) == [1, 2]
