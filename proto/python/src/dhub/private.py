"""Files and directories that nobody but their user may enter or read."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shlex
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dhub.errors import AccessError


def check_dir(path: Path, advice: str) -> None:
    """A directory that somebody else made or can enter is no place for sockets, keys and pickles.

    Raises `AccessError`.
    """
    try:
        # Not followed: a link in /tmp could point anywhere.
        meta = os.lstat(path)
    except OSError as error:
        raise AccessError(f"{path}: {words(error)}") from error
    if not stat.S_ISDIR(meta.st_mode):
        raise AccessError(f"{path}: not a directory")
    if meta.st_uid != os.getuid():
        raise AccessError(f"{path} belongs to user {meta.st_uid}, not to you; {advice}")
    if meta.st_mode & 0o077:
        raise AccessError(f"{path} can be entered by others; mend it with: chmod 700 {word(path)}")


def word(path: Path | str) -> str:
    """A file as a word of a shell, that is no option either."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def words(error: OSError | UnicodeError) -> str:
    """What was wrong, as the other tools say it."""
    said = getattr(error, "strerror", None)
    return str(said).lower() if said else str(error)


def make_dir(path: Path, advice: str) -> None:
    """Makes the directory and its parents if they are missing; nobody else can enter it. Raises `AccessError`."""
    try:
        # mkdir's own `parents` would make those as the umask says.
        for directory in (*reversed(path.parents), path):
            directory.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise AccessError(f"{path}: {words(error)}") from error
    check_dir(path, advice)


def read(path: Path, *, pipe: bool = False) -> str:
    """The text of a file that nobody else can read; of a pipe too, where a person named it. Raises `AccessError`."""
    try:
        # Nothing may make this wait: whose it is is not known yet.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):  # of which Python makes no file
            os.close(descriptor)
            raise AccessError(f"{path} is neither a file nor a pipe")
        # Of the open file: what is read is what was looked at.
        with open(descriptor, encoding="utf-8") as file:
            meta = os.fstat(descriptor)
            mode, is_file = meta.st_mode, stat.S_ISREG(meta.st_mode)
            if not is_file and not stat.S_ISFIFO(mode):
                raise AccessError(f"{path} is neither a file nor a pipe")
            if mode & 0o077:
                raise AccessError(
                    f"{path} has a key in it and can be read by others; mend it with: chmod 600 {word(path)}\n"
                    "  if somebody may have read it, take the key back: dhub access revoke"
                )
            # Whoever made it decides what comes out of it; root decides all the same.
            if meta.st_uid != os.getuid() and not (is_file and meta.st_uid == 0):
                raise AccessError(f"{path} belongs to user {meta.st_uid}, not to you; give a file or a pipe of yours")
            if not is_file:
                if not pipe:
                    raise AccessError(f"{path} is no regular file; name another one, or remove it")
                # It would seem empty until somebody writes.
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                poll.poll()
                os.set_blocking(descriptor, True)
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise AccessError(f"{path}: {words(error)}") from error


def read_own(directory: Path, name: str) -> bytes:
    """A file of this user's own in a directory of this user's own; no link is followed there. Raises `OSError`."""
    with _opened(directory, name) as parent:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        with open(descriptor, "rb") as file:
            meta = os.fstat(descriptor)
            if not stat.S_ISREG(meta.st_mode) or meta.st_uid != os.getuid():
                raise PermissionError(f"{directory / name} is no file of yours")
            return file.read()


def remove_own(directory: Path, name: str) -> None:
    """Takes such a file away; nothing happens if there is none, or something else."""
    try:
        with _opened(directory, name) as parent:
            meta = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISREG(meta.st_mode) and meta.st_uid == os.getuid():
                os.unlink(name, dir_fd=parent)
    except OSError:
        pass


@contextlib.contextmanager
def _opened(directory: Path, name: str) -> Iterator[int]:
    if "/" in name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is not the name of a file")
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise PermissionError(f"{directory} is no directory of yours")
        yield descriptor
    finally:
        os.close(descriptor)


def write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, for nobody else to read, and waits until it is on disk.

    Until then it has a name that nobody can guess. What is there is replaced if it is a file. Raises `OSError`.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "a link, or no regular file, is there", str(path))
    except FileNotFoundError:
        pass
    # O_EXCL, and of mode 0600 from the first byte.
    descriptor, new = tempfile.mkstemp(prefix=".dhub-", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
        _sync(path.parent)
    except BaseException:
        try:
            os.unlink(new)
        except OSError:
            pass
        raise


def write_new(path: Path, data: bytes) -> None:
    """Writes a file that is not there yet, for nobody else to read, and waits until it is on disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask is
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        _sync(path.parent)
    except BaseException:
        os.unlink(path)
        raise


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
