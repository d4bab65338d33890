"""Files as gzip: made once, and kept while there is room."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from .._runtime import Runtime
from .content import Content

__all__ = ["Compressed", "is_compressible"]

#: bytes: of a file that is worth it, of one that may be held, and of all that are
_LEAST, _MOST, _ALL = 1024, 16 << 20, 32 << 20
#: what must be saved of a file, or its bytes are those of something compressed
_GAIN = 0.1
_SLICE = 1 << 20
#: files that are known, those without a gain among them
_MANY = 1024
_LEVEL = 6
#: of zlib, for gzip's header and trailer
_GZIP = 31
_KINDS = frozenset(
    (
        *("application/json", "application/xml", "application/javascript", "application/wasm"),
        *("application/x-yaml", "application/toml", "application/x-ply", "application/x-pcd"),
        *("model/stl", "model/obj", "model/mtl", "model/step", "model/vnd.usda"),
        *("image/svg+xml", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon"),
        *("font/ttf", "font/otf", "application/vnd.ms-fontobject"),
    )
)


def is_compressible(kind: str, size: int) -> bool:
    """Whether it is worth trying, by its content type and its bytes."""
    kind = kind.partition(";")[0].strip().lower()
    text = kind.startswith("text/") or kind.endswith(("+xml", "+json"))
    return _LEAST <= size <= _MOST and (text or kind in _KINDS)


class _Entry:
    """``data`` None: nothing was gained."""

    def __init__(self, data: bytes | None) -> None:
        self.data: bytes | None = data
        self.users: int = 0
        self.kept: bool = True


class Compressed:
    """All of a server's, by their entity tag. One file at a time is compressed, in a thread.

    What is being sent counts, although it has been put out for another: who reads a hundred files
    slowly gets those beyond the limit as they are on the disk.
    """

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # the longest unused first
        self._busy = False
        self._idle = rt.Event()
        #: bytes of those, and of what is still in use
        self.bytes: int = 0

    @asynccontextmanager
    async def of(self, content: Content, tag: str) -> AsyncIterator[bytes | None]:
        """The content as gzip while the block runs; None if it cannot be had, or nothing is
        gained. Raises OSError. Cancelled: another one may go on."""
        entry = await self._get(content, tag)
        if entry is None:
            yield None
            return
        entry.users += 1
        try:
            yield entry.data
        finally:
            entry.users -= 1
            self._forget(entry)

    async def _get(self, content: Content, tag: str) -> _Entry | None:
        while (entry := self._entries.get(tag)) is None:
            if not self._busy:
                break
            await self._idle.wait()
        if entry is not None:
            self._entries.move_to_end(tag)
            return entry
        self._busy = True
        try:
            made: _Entry | None = await self._rt.run_in_thread(_compress, content, tag)
        finally:
            self._busy = False
            self._idle.set()
            self._idle = self._rt.Event()
        return made if made is None or self._keep(tag, made) else None

    def _keep(self, tag: str, entry: _Entry) -> bool:
        """Whether there is room for it."""
        size = len(entry.data or b"")
        while self._entries and (self.bytes + size > _ALL or len(self._entries) >= _MANY):
            _, oldest = self._entries.popitem(last=False)
            oldest.kept = False
            self._forget(oldest)
        if self.bytes + size > _ALL:
            return False
        self.bytes += size
        self._entries[tag] = entry
        return True

    def _forget(self, entry: _Entry) -> None:
        if not entry.kept and entry.users == 0:
            self.bytes -= len(entry.data or b"")


def _compress(content: Content, tag: str) -> _Entry | None:
    """None if it is another one by now. Raises OSError. In a thread; zlib lets others run."""
    reader = content.open()
    if reader is None:
        return None
    try:
        if reader.facts.tag != tag:
            return None
        size = reader.facts.size
        return _Entry(_gzip(reader.read, size))
    finally:
        reader.close()


def _gzip(read: Callable[[int, int], bytes], size: int) -> bytes | None:
    packer, parts, held, start = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP), [], 0, 0
    while start < size:
        data = read(start, min(_SLICE, size - start))
        if not data:
            raise OSError("the file is shorter than it was")
        start += len(data)
        parts.append(packer.compress(data))
        held += len(parts[-1])
        if held > size * (1 - _GAIN):
            return None
    parts.append(packer.flush())
    data = b"".join(parts)
    return data if len(data) <= size * (1 - _GAIN) else None
