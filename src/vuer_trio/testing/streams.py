"""Byte streams in one plain form, and in the forms of the two libraries.

A fault, or a stream in memory, is written once, on the plain form. `in_form` makes of it what the
running library calls a byte stream; `plain` takes one of those.
"""

from __future__ import annotations

from collections.abc import Awaitable
from operator import index
from typing import Any, ClassVar, Protocol, TypeVar

import anyio
import anyio.abc
import sniffio
import trio

from .._formatting import must_be

__all__ = ["AnyioStream", "Broken", "Busy", "Closed", "Plain", "TrioStream", "in_form", "plain"]

T = TypeVar("T")
#: bytes; what a receive without a limit takes at most
_MOST = 65_536


class Broken(Exception):
    """The other side, or the way there, is gone."""


class Closed(Exception):
    """This side has closed the stream."""


class Busy(Exception):
    """Two tasks do the same thing with it."""


class Plain(Protocol):
    """A byte stream. Its methods raise `Broken`, `Closed` and `Busy`, and are checkpoints."""

    async def receive(self, most: int) -> bytes:
        """Some bytes, or none at the end. Cancelled: nothing has been taken."""

    async def send(self, data: bytes) -> None:
        """Send all. Cancelled: an unknown part has gone."""

    async def send_eof(self) -> None:
        """Nothing more will be sent; receiving continues."""

    async def aclose(self) -> None:
        """Close both directions. Idempotent, and done even if cancelled."""


def in_form(stream: Plain) -> Any:
    """As a `trio.abc.HalfCloseableStream`, or under asyncio as an `anyio.abc.ByteStream`."""
    if sniffio.current_async_library() == "trio":
        return TrioStream(stream)
    return AnyioStream(stream)


def plain(stream: Any) -> Plain:
    """A byte stream of either library, in the plain form."""
    if isinstance(stream, TrioStream | AnyioStream):
        return stream.plain
    return _OfTrio(stream) if isinstance(stream, trio.abc.Stream) else _OfAnyio(stream)


# ---- the forms of the libraries


class TrioStream(trio.abc.HalfCloseableStream):
    """A plain stream, as Trio has it."""

    def __init__(self, stream: Plain) -> None:
        self.plain = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._do(self.plain.send(bytes(data)))

    async def wait_send_all_might_not_block(self) -> None:
        # At once: sending itself waits for room.
        await self.send_all(b"")

    async def send_eof(self) -> None:
        await self._do(self.plain.send_eof())

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is not None and index(max_bytes) < 1:
            raise ValueError(must_be("max_bytes", "at least 1", max_bytes))
        return await self._do(self.plain.receive(_MOST if max_bytes is None else max_bytes))

    async def aclose(self) -> None:
        await self.plain.aclose()

    async def _do(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except Broken as exc:
            raise trio.BrokenResourceError(str(exc)) from exc
        except Closed as exc:
            raise trio.ClosedResourceError(str(exc)) from exc
        except Busy as exc:
            raise trio.BusyResourceError(str(exc)) from exc


class AnyioStream(anyio.abc.ByteStream):
    """A plain stream, as anyio has it."""

    def __init__(self, stream: Plain) -> None:
        self.plain = stream

    async def receive(self, max_bytes: int = _MOST) -> bytes:
        data = await self._do(self.plain.receive(max_bytes))
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        await self._do(self.plain.send(bytes(item)))

    async def send_eof(self) -> None:
        await self._do(self.plain.send_eof())

    async def aclose(self) -> None:
        await self.plain.aclose()

    async def _do(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except Broken as exc:
            raise anyio.BrokenResourceError(str(exc)) from exc
        except Closed as exc:
            raise anyio.ClosedResourceError(str(exc)) from exc
        except Busy as exc:
            raise anyio.BusyResourceError(str(exc)) from exc


# ---- the plain form


class _Foreign:
    """A stream of one of the libraries, plain: its exceptions become those of this module."""

    _library: ClassVar[Any]

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def send_eof(self) -> None:
        await self._do(self._stream.send_eof())

    async def aclose(self) -> None:
        await self._do(self._stream.aclose())

    async def _do(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except self._library.BrokenResourceError as exc:
            raise Broken(str(exc)) from exc
        except self._library.ClosedResourceError as exc:
            raise Closed(str(exc)) from exc
        except self._library.BusyResourceError as exc:
            raise Busy(str(exc)) from exc


class _OfTrio(_Foreign):
    """A stream of Trio's."""

    _library: ClassVar[Any] = trio
    _stream: trio.abc.Stream

    async def receive(self, most: int) -> bytes:
        return bytes(await self._do(self._stream.receive_some(most)))

    async def send(self, data: bytes) -> None:
        await self._do(self._stream.send_all(data))

    async def send_eof(self) -> None:
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            await super().send_eof()


class _OfAnyio(_Foreign):
    """A stream of anyio's."""

    _library: ClassVar[Any] = anyio
    _stream: anyio.abc.ByteStream

    async def receive(self, most: int) -> bytes:
        try:
            return await self._do(self._stream.receive(most))
        except anyio.EndOfStream:
            return b""

    async def send(self, data: bytes) -> None:
        await self._do(self._stream.send(data))
