"""What is installed: its version, what it depends on, and how it does with nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata, resources

import pytest
from conftest import BINARIES, PATIENCE_S, ROOT, Pool, Server

import dhub
from dhub import find


def test_version_dependencies_and_types() -> None:
    cargo = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    assert cargo is not None and dhub.__version__ == cargo[1] == metadata.version("dhub")
    said = subprocess.run([BINARIES / "dhub", "--version"], capture_output=True, text=True).stdout
    assert said.split()[1] == dhub.__version__
    plain = sorted(it for it in metadata.requires("dhub") or [] if "extra ==" not in it)
    assert [re.split("[>=<]", it)[0] for it in plain] == ["protobuf", "pyzmq"]
    assert (resources.files("dhub") / "py.typed").is_file()


def test_without_cloudpickle_joblib_and_tqdm(server: Server, pool: Pool) -> None:
    pool.workers("-j", 1)
    program = """
import sys
for name in ("cloudpickle", "joblib", "tqdm"):
    sys.modules[name] = None
import dhub, calls

def mine(x):
    return x

with dhub.DhubExecutor() as executor:
    a = executor.submit(calls.square, 3)
    print(a.result(), executor.submit(calls.add, executor.submit(calls.square, 4), 1).result())
    for function in (lambda x: x, mine):
        error = executor.submit(function, 1).exception()
        print("pip install" in str(error if isinstance(error, dhub.CannotPickle) else error.__cause__))
print(dhub.map(abs, [-1], progress=True))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout == "9 17\nTrue\nTrue\n[1]\n", done.stderr


def test_endpoints_as_people_type_them() -> None:
    assert find.parse("login3") == find.parse("tcp://login3") == "tcp://login3:6125"
    assert find.parse("::1") == find.parse("[::1]") == "tcp://[::1]:6125"
    assert find.parse("[::1]:7000") == "tcp://[::1]:7000"
    assert find.parse("login3:7000") == "tcp://login3:7000"
    assert find.parse("ipc:///run/x.sock") == "ipc:///run/x.sock"
    for wrong in ("", "tcp://login3:70000", "udp://login3:1", "ipc://" + "x" * 108):
        with pytest.raises(ValueError):
            find.parse(wrong)
    here = find.Target("tcp://login3:6125")
    assert here.reports_to("tcp://:6126") == find.Target("tcp://login3:6126") and here.reports_to("") is None
