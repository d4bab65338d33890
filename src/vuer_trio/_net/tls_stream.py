"""TLS over another stream, in either role and on either runtime.

The library's own TLS streams hide what a link must know: how many bytes have left, and how to say
that nothing more comes while the other side may still be read.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Any, Self

from .._interrupts import protected_methods
from .byte_stream import SLICE, ByteStream, Room, StreamLayer, Take, nowhere, read_buffer
from .client_tls import TLSSessions

__all__ = ["TLSStream"]

#: how the end of the stream shows, with a word (close_notify) or, as often as not, without one
_ENDS = (ssl.SSLZeroReturnError, ssl.SSLEOFError, ssl.SSLSyscallError)
_END = ssl.SSLZeroReturnError()

#: bytes of answers to the peer's TLS that may wait for it to read
_REPLIES = 65_536


class _Out(Enum):
    """The sending side."""

    FREE = "free"
    BUSY = "busy"  # in `send_all`
    CUT = "cut"  # perhaps in the middle of a record: nothing may follow
    ENDED = "ended"  # it was said that nothing more comes


@protected_methods
class TLSStream(StreamLayer):
    """See `ByteStream`. Made by `open`; the stream below is its own from then on."""

    def __init__(
        self,
        stream: ByteStream,
        context: ssl.SSLContext,
        event: Callable[[], Any],
        **role: Any,
    ):
        self._stream = stream
        stream.read_encrypted()
        #: what is to get the session at the end; None: nothing
        self._keep: Callable[[Any], None] | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, **role)
        self._event = event
        self._buffer = read_buffer()
        self._dry = False  # whether nothing can be decrypted before more comes
        self._over: ssl.SSLError | None = None  # what ended reading, behind all that was decrypted
        self._out = _Out.FREE
        self._rest = b""  # of what reading called for, and the system did not take
        self._read: Any = None  # an event, for a writer to whom TLS says: read first

    @classmethod
    async def open(
        cls,
        stream: ByteStream,
        context: ssl.SSLContext,
        event: Callable[[], Any],
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        sessions: TLSSessions | None = None,
        server: object = None,
    ) -> Self:
        """Do the handshake over ``stream``. ``event`` makes an event of the running library's.

        A client may resume one of ``sessions``, which it has with ``server``.

        Raises ssl.SSLError, OSError, and ValueError for a name that is none; ``stream`` is closed
        then. Cancelled: it is closed, too.
        """
        session = keep = None
        if sessions is not None:
            session = sessions.take(context, server)
            keep = partial(sessions.keep, context, server)
        try:
            made = cls(
                stream,
                context,
                event,
                server_side=server_side,
                server_hostname=server_hostname,
                session=session,
            )
        except BaseException:
            await stream.aclose()
            raise
        try:
            await made._do_handshake()
        except BaseException:
            await made.aclose()
            raise
        made._keep = keep
        return made

    async def _do_handshake(self) -> None:
        while True:
            try:
                self._ssl.do_handshake()
            except ssl.SSLWantReadError:
                await self.send_all(b"")
                self._feed(await self._stream.receive())
            else:
                return await self.send_all(b"")

    def peer_certificate(self) -> Mapping[str, Any] | None:
        """The other side's certificate, if it was asked for and verified."""
        return self._ssl.getpeercert() or None

    # ---- reading

    def _feed(self, data: memoryview) -> None:
        self._dry = False
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _decrypt(self, buffer: memoryview) -> memoryview | None:
        """As many records as are there and fit, none at the end, or None where more must be read.
        Raises ssl.SSLError.
        """
        size = 0
        try:
            while size < len(buffer) and not self._dry and self._over is None:
                got: Any = self._ssl.read(len(buffer) - size, buffer[size:])  # how much it was
                if not got:
                    self._over = _END
                size += got
                # asked, since to be told by an exception costs more
                self._dry = not self._incoming.pending and not self._ssl.pending()
        except ssl.SSLWantReadError:
            self._dry = True
        except _ENDS:
            self._over = _END
        except ssl.SSLError as exc:
            self._over = exc.with_traceback(None)  # whose frames would hold this stream
        if size:
            return buffer[:size]
        over = self._over
        if over is None:
            return None
        if over is not _END:
            self._over = _END  # what is raised has frames again
            raise over
        return buffer[:0]

    def _answer(self) -> None:
        """Send what reading has called for: an alert, new keys, a part of another handshake."""
        if (self._rest or self._outgoing.pending) and self._out is _Out.FREE:
            data = self._rest + self._outgoing.read()
            with suppress(OSError):  # the reader meets it, too
                self._rest = data[self._stream.try_send(data) :]
        if len(self._rest) + self._outgoing.pending > _REPLIES:
            raise ConnectionAbortedError("the peer asks for new keys, and reads nothing")
        if self._read is not None:
            self._read.set()
            self._read = None

    async def receive(self) -> memoryview:
        while self._out is not _Out.ENDED:
            try:
                data = self._decrypt(self._buffer)
            finally:
                self._answer()
            if data is not None:
                return data
            self._feed(await self._stream.receive())
        return await self._stream.receive()  # to be thrown away, so as it is

    async def pump(self, take: Take, room: Room) -> None:
        def fed(data: memoryview) -> bool:
            self._feed(data)
            return self._pass_on(take, room)

        if self._pass_on(take, room):
            await self._stream.pump(fed, nowhere)

    def _pass_on(self, take: Take, room: Room) -> bool:
        try:
            while (data := self._decrypt(room() or self._buffer)) is not None:
                if not take(data) or not data:
                    return False
            return True
        finally:
            self._answer()

    # ---- writing

    @property
    def takes_all(self) -> bool:
        return self._out is _Out.FREE and not self._rest and self._stream.takes_all

    def try_send(self, data: bytes) -> int:
        """What is encrypted cannot be taken back, so it is all or nothing."""
        view = memoryview(data)
        if self.takes_all:
            with suppress(ssl.SSLWantReadError):
                while view:
                    view = view[self._ssl.write(view) :]
            self._stream.try_send(self._outgoing.read())
        return len(data) - len(view)

    async def send_all(self, data: bytes | memoryview) -> None:
        if self._out is not _Out.FREE:
            raise ConnectionResetError("the stream has ended")
        self._out = _Out.BUSY
        try:
            await self._flush()
            view = memoryview(data)
            for start in range(0, len(view), SLICE):
                await self._encrypt(view[start : start + SLICE])
                await self._flush()
        except BaseException:
            self._out = _Out.CUT
            raise
        self._out = _Out.FREE

    async def _encrypt(self, view: memoryview) -> None:
        while view:
            try:
                view = view[self._ssl.write(view) :]
            except ssl.SSLWantReadError:  # the peer has begun another handshake
                await self._flush()
                self._read = self._event()
                await self._read.wait()

    async def _flush(self) -> None:
        while self._rest or self._outgoing.pending:
            data, self._rest = self._rest + self._outgoing.read(), b""
            await self._stream.send_all(data)

    # ---- the end

    async def send_eof(self) -> None:
        """What the peer still sends can be received, and is to be thrown away."""
        if self._out is _Out.FREE:
            self._say_end()
            await self.send_all(b"")
            self._out = _Out.ENDED
            await self._stream.send_eof()

    def _say_end(self) -> None:
        with suppress(ssl.SSLError):  # the peer has not said it yet, or there was no handshake
            self._ssl.unwrap()

    async def aclose(self) -> None:
        if self._keep is not None:  # not sooner: tickets come behind the handshake
            self._keep(self._ssl.session)
            self._keep = None
        if self._out is _Out.FREE:
            self._say_end()
            self._answer()
            self._out = _Out.ENDED
        await self._stream.aclose()
