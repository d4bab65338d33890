"""What can be sent in slices: a file on disk, or bytes in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b
from io import FileIO
from typing import Protocol

from .conditions import Facts

__all__ = ["Content", "DiskContent", "MemoryContent", "OpenFile", "Reader"]


class Reader(Protocol):
    """Content while it is being sent."""

    facts: Facts

    def read(self, start: int, size: int) -> bytes:
        """Up to so many bytes from there. Blocks. Raises OSError."""

    def close(self) -> None:
        """Harmless when it is closed."""


class Content(Protocol):
    """Something to send. ``kind`` is its content type; ``memory`` whether it takes memory
    already, so that nothing blocks."""

    kind: str
    memory: bool

    def open(self) -> Reader | None:
        """For reading; None if it is not there any more. Blocks."""


def _tag(*what: object) -> str:
    # Hashed: the number of an inode is nobody's business.
    return blake2b(repr(what).encode(), digest_size=12).hexdigest()


class DiskContent:
    """A file, that is looked for, and judged, each time that it is opened."""

    memory: bool = False

    def __init__(self, find: Callable[[], FileIO | None], kind: str) -> None:
        self.kind: str = kind
        self._find = find

    def open(self) -> Reader | None:
        """See `Content`."""
        file = self._find()
        return None if file is None else OpenFile(file)


class OpenFile:
    """A file on disk while it is being sent."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        found = os.fstat(file.fileno())
        tag = _tag(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
        self.facts: Facts = Facts(found.st_size, (f'"{tag}"', f'"{tag}-gzip"'), found.st_mtime)

    def read(self, start: int, size: int) -> bytes:
        """See `Reader`."""
        self._file.seek(start)
        return self._file.read(size)

    def close(self) -> None:
        """See `Reader`."""
        self._file.close()


class MemoryContent:
    """Bytes. It is its own reader. ``facts`` None: they are made of the bytes."""

    memory: bool = True

    def __init__(self, data: bytes, kind: str, facts: Facts | None = None) -> None:
        self.kind: str = kind
        self._data = memoryview(data)
        if facts is None:
            tag = blake2b(data, digest_size=12).hexdigest()
            facts = Facts(len(data), (f'"{tag}"', f'"{tag}-gzip"'), None)
        self.facts: Facts = facts

    def open(self) -> Reader | None:
        """See `Content`."""
        return self

    def read(self, start: int, size: int) -> bytes:
        """See `Reader`."""
        return bytes(self._data[start : start + size])

    def close(self) -> None:
        """See `Reader`."""
