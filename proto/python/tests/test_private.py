"""What this package writes is its user's alone, whatever the umask and whatever was planted there."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dhub import private
from dhub.errors import AccessError


@pytest.fixture(params=[0o000, 0o002, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(directory: Path) -> dict[str, int]:
    return {str(it.relative_to(directory)): stat.S_IMODE(it.lstat().st_mode) for it in directory.rglob("*")}


def test_nobody_else_reads_what_is_made(tmp_path: Path, umask: int) -> None:
    private.make_dir(tmp_path / "a" / "b" / "c", "advice")
    private.write(tmp_path / "a" / "b" / "c" / "d", b"data")
    assert modes(tmp_path) == {"a": 0o700, "a/b": 0o700, "a/b/c": 0o700, "a/b/c/d": 0o600}
    assert private.read(tmp_path / "a" / "b" / "c" / "d") == "data"


def test_a_file_in_a_command_is_one_word_of_a_shell() -> None:
    names = {"/a/run.db": "/a/run.db", "my run.db": "'my run.db'", "-f": "./-f"}
    for name, word in names.items():
        assert private.word(name) == word


def test_names_that_can_be_guessed_are_not_used(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / f"d.{os.getpid()}.new").symlink_to(victim)
    private.write(tmp_path / "d", b"data")
    assert (victim.read_text(), (tmp_path / "d").read_text()) == ("untouched", "data")
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".dhub-")]


def test_a_link_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "link").symlink_to(victim)
    os.mkfifo(tmp_path / "pipe")
    for name in ["link", "pipe"]:
        with pytest.raises(OSError):
            private.write(tmp_path / name, b"data")
    assert (tmp_path / "link").is_symlink() and victim.read_text() == "untouched"


def test_a_pipe_is_waited_for_only_where_a_person_named_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    # Nobody writes, so this would wait for ever.
    with pytest.raises(AccessError, match="no regular file"):
        private.read(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("secret",))
    writer.start()
    assert private.read(pipe, pipe=True) == "secret"
    writer.join()
