"""A folder whose files are served, and nothing outside it.

The check applies to the file that has been opened: the path is resolved first, then each part of it
is opened relative to the one before, without following links. If a folder is replaced by a link in
between, no file is opened; if it is replaced later, that no longer matters.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from os import PathLike
from pathlib import Path

from .paths import is_hidden, plain_parts

__all__ = ["Folder", "open_explicitly"]

_BELOW = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
#: a pipe without a writer must not hold the thread, nor a terminal become the process's own
_FILE = _READ | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
#: O_PATH (Linux) needs no right to read the folder's list
_FOLDER = _READ | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_PATH", 0)
#: bytes of a text that are searched for a private key
_KEY_WITHIN = 65_536
_KEY_BEGINS = (b"-----BEGIN ", b"Bag Attributes", b"PuTTY-User-Key-File-")
_KEY = (b"PRIVATE KEY-----", b"PuTTY-User-Key-File-")


class Folder:
    """``root`` need not exist: then it has no files. All methods block, and belong in a thread."""

    def __init__(self, root: str | PathLike[str]) -> None:
        self.root: Path = Path(root)

    def open(self, names: Sequence[str]) -> FileIO | None:
        """A regular file by the names on its path, open for reading; None if there is none to
        serve.

        Never serves what `is_hidden`, what begins like a private key, and what is outside the
        folder, through ``..`` or a link. Links that stay inside are followed.
        """
        parts = plain_parts(names)
        if parts is None:
            return None
        try:
            root = os.path.realpath(self.root, strict=True)
            real = os.path.realpath(os.path.join(root, *parts), strict=True)
            below = Path(real).relative_to(root).parts
            if not below or any(map(is_hidden, below)):
                return None
            if not stat.S_ISREG(os.lstat(real).st_mode):  # to open a device may do something
                return None
            return _judged(_open_below(root, below))
        except (OSError, ValueError):  # not there, outside, or a name that cannot be
            return None

    def find(self, names: Sequence[str]) -> bool:
        """Whether `open` would return a file."""
        file = self.open(names)
        if file is None:
            return False
        file.close()
        return True


def open_explicitly(path: str | PathLike[str]) -> FileIO | None:
    """A regular file that the program has named itself, wherever it is; None if it is not one."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        return _file(os.open(path, _FILE))
    except (OSError, ValueError):
        return None


def _open_below(root: str, names: Sequence[str]) -> int:
    """Raises OSError, for a link anywhere below ``root``, too."""
    if not _BELOW:
        return _open_and_compare(os.path.join(root, *names))
    at = os.open(root, _FOLDER)
    try:
        for name in names[:-1]:
            below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        return os.open(names[-1], _FILE | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)


def _open_and_compare(path: str) -> int:
    """Where nothing can be opened below a folder (Windows): the path must still lead there."""
    file = os.open(path, _FILE)
    try:
        still = os.path.realpath(path, strict=True)
        if still != path or not os.path.samestat(os.fstat(file), os.lstat(still)):
            raise FileNotFoundError(path)
    except BaseException:
        os.close(file)
        raise
    return file


def _judged(descriptor: int) -> FileIO | None:
    file = _file(descriptor)
    if file is not None and _holds_key(file):
        file.close()
        return None
    return file


def _file(descriptor: int) -> FileIO | None:
    """An open descriptor, if it is of a regular file; closed, otherwise."""
    with suppress(OSError):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return FileIO(descriptor, "rb")
    os.close(descriptor)
    return None


def _holds_key(file: FileIO) -> bool:
    """Whether it begins as a private key does, or as certificates do with a key behind them."""
    try:
        if not file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_KEY_BEGINS):
            return False
        file.seek(0)
        text = file.read(_KEY_WITHIN)
        return any(mark in text for mark in _KEY)
    except OSError:  # what cannot be read is not given out
        return True
    finally:
        with suppress(OSError):
            file.seek(0)
