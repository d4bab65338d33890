"""The files of the web client, as they are sent so that they need no internet."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from io import FileIO
from threading import Lock

from .._web_client.offline import offline
from ..workspace import guess_content_type
from .content import Content, DiskContent, MemoryContent, OpenFile, Reader

__all__ = ["OfflineFiles"]

_KINDS = (".js", ".css")


class OfflineFiles:
    """Each file is examined once, until it changes on the disk; those that are modified are kept in
    memory, about seven megabytes in all. Any thread may use it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        #: None: it is sent as it is
        self._known: dict[tuple[int, int, int, int], MemoryContent | None] = {}

    def has(self, names: Sequence[str]) -> bool:
        """Whether the file at that path may be modified."""
        return len(names) > 1 and names[0] == "assets" and names[-1].endswith(_KINDS)

    def content(self, find: Callable[[], FileIO | None], name: str) -> Content:
        """What is sent for a file."""
        return _Offline(self, find, guess_content_type(name))

    def changed(self, file: FileIO, kind: str) -> MemoryContent | None:
        """The modified file; None if it is unchanged. It takes a fifth of a second for the largest.
        Raises OSError.
        """
        found = os.fstat(file.fileno())
        key = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
        with self._lock:
            if key not in self._known:
                data = file.readall()
                text = data.decode("utf-8", "surrogateescape")
                new = offline(text)
                self._known[key] = (
                    None
                    if new is text
                    else MemoryContent(new.encode("utf-8", "surrogateescape"), kind)
                )
            return self._known[key]


class _Offline(DiskContent):
    def __init__(self, files: OfflineFiles, find: Callable[[], FileIO | None], kind: str) -> None:
        super().__init__(find, kind)
        self._files = files

    def open(self) -> Reader | None:
        file = self._find()
        if file is None:
            return None
        try:
            content = self._files.changed(file, self.kind)
        except BaseException:
            file.close()
            raise
        if content is None:
            return OpenFile(file)
        file.close()
        return content
