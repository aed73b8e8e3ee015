"""Access files that are of no use: `python -m dhub.worker` says of them what kworker says, and ends as that does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BINARIES, PATIENCE_S, Server

import dhub


def ends(name: str, *command: object) -> tuple[int, str]:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stderr.replace(f"{name}: ", "", 1)


def both(*options: object) -> tuple[int, str]:
    """What both programs do, which is the same."""
    kworker = ends("kworker", BINARIES / "kworker", "--timeout", "300ms", *options)
    assert ends("dhub.worker", sys.executable, "-m", "dhub.worker", "--timeout", "0.3", *options) == kworker
    return kworker


def owners(home: Path) -> dict[str, object]:
    """What the access file of a hub says."""
    server = Server(home, ["--local"])
    access = dhub.Hub().target.access
    server.stop()
    assert access is not None
    said: dict[str, object] = json.loads(access.read_text())
    return said


def test_what_is_no_access_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = owners(home)
    file = home / "my file.access"
    for text, why in (
        ("", "is no access file: line 1"),
        ("hello", "is no access file: line 1"),
        ('{\n  "format": 1,\n  oh\n}\n', "is no access file: line 3"),
        ('{\n  "format": 1\n}\n', "is no access file: line 3"),
        ("[" * 100_000, "is no access file"),
        (json.dumps({**said, "server_key": "short"}), "is no access file: its server_key is no key"),
        (json.dumps({**said, "public_key": "~" * 40}), "is no access file: its public_key is no key"),
        (json.dumps({**said, "secret_key": "é" * 40}), "is no access file: its secret_key is no key"),
        ('{"format": 99}', "is an access file of a newer dhub (format 99)"),
    ):
        file.write_text(text)
        file.chmod(0o600)
        if text.startswith("["):  # whose reader looks how far
            with pytest.raises(dhub.AccessError, match=why):
                dhub.Hub(access=file)
            continue
        code, told = both("--access", file)
        assert code == 26 and told.startswith(f"the access file of --access: {file} {why}"), (text, told)
        assert told.count("\n") == 2 and "\n  for a hub of yours leave out --access; " in told
    file.write_text(json.dumps(said))
    file.chmod(0o644)
    for path, why in (
        (file, "can be read by others"),
        (home, "is neither a file nor a pipe"),
        ("/dev/null", "is neither a file nor a pipe"),
        ("/none/x", ": no such file or directory"),
    ):
        code, told = both("--access", path)
        assert code == 26 and why in told
    monkeypatch.setenv("DHUB_ACCESS", "/none/x")
    code, told = both()
    assert code == 26 and told == (
        "the access file of DHUB_ACCESS: /none/x: no such file or directory\n"
        "  for a hub of yours: unset DHUB_ACCESS; for another's, its user makes one: dhub access new\n"
    )
    with pytest.raises(dhub.AccessError, match="^the access file of access=: /none/x: no such.*\n.*leave out access=;"):
        dhub.Hub(access="/none/x")
    monkeypatch.setenv("DHUB_HUB", "http://login")
    with pytest.raises(ValueError, match="^DHUB_HUB: 'http://login' is neither"):
        dhub.Hub()


def test_one_that_leads_nowhere_from_here(home: Path) -> None:
    file = home / "far.access"
    file.write_text(json.dumps({**owners(home), "boot_id": "another"}))
    file.chmod(0o600)
    code, told = both("--access", file)
    assert code == 9 and told.startswith(f"{file} names no encrypted endpoint of the hub")


def test_no_file_at_all_is_a_wrong_command_line(home: Path) -> None:
    for options in (("--access", ""), ("-s", "")):
        worker = ends("dhub.worker", sys.executable, "-m", "dhub.worker", *options)
        assert worker[0] == ends("kworker", BINARIES / "kworker", *options)[0] == 2
        assert "a file is needed" in worker[1] or "an endpoint is needed" in worker[1]
