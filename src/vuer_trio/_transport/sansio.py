"""A WebSocket client on a sans-I/O protocol of the ``websockets`` package, over any wire."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, PayloadTooBig
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import CONNECTING, OPEN
from websockets.typing import Origin, Subprotocol
from websockets.uri import WebSocketURI

from .address import Address
from .base import LARGE, Ending, Message, Outgoing, Ping, Sink, Text
from .farewell import farewell
from .framing import BINARY, PING, apply_mask, frame, header, new_key
from .handshake import Rejected
from .splitter import Splitter
from .wire import READ, Wire

__all__ = ["SansIO"]

#: reads for each wake of the reader: more help large messages, fewer help the other tasks
_BURST = 8


class SansIO:
    """See `Transport`. `open` does the handshake; before it nothing else may be called."""

    name = "websockets"

    def __init__(
        self,
        wire: Wire,
        address: Address,
        sink: Sink,
        *,
        max_size: int,
        headers: Iterable[tuple[str, str]] = (),
        subprotocols: Sequence[str] | None = None,
        origin: str | None = None,
        compression: str | None = None,
    ) -> None:
        self._wire = wire
        self._sink = sink
        self._max_size = max_size
        self._headers = headers
        self._protocol = ClientProtocol(
            WebSocketURI(
                address.secure,
                address.host,
                address.port,
                *address.resource.partition("?")[::2],
                *(address.user or ()),
            ),
            origin=None if origin is None else Origin(origin),
            subprotocols=None if subprotocols is None else [Subprotocol(s) for s in subprotocols],
            extensions=[ClientPerMessageDeflateFactory(compress_settings={"memLevel": 5})]
            if compression
            else None,
            max_size=max_size,
        )
        self._batch: list[Message] = []
        self._splitter: Splitter | None = Splitter(max_size, self._batch.append, self._other)
        self._parts: list[bytes] | None = None  # of a fragmented message
        self._text = False  # ... which is text
        self._rest = b""  # of a frame that `write_now` began
        self._begun = False
        self._control: list[bytes] = []
        self._writing = False
        self._ending: Ending | None = None

    # ---- opening

    async def open(self) -> None:
        """Do the opening handshake. Raises Rejected, or OSError when the stream ends."""
        protocol = self._protocol
        request = protocol.connect()
        for name, value in self._headers:
            if name.lower() in ("host", "authorization", "origin") and name in request.headers:
                del request.headers[name]  # replaced, not repeated
            request.headers[name] = value
        protocol.send_request(request)
        await self._wire.send_all(b"".join(protocol.data_to_send()))
        seen = b""
        while protocol.state is CONNECTING and protocol.handshake_exc is None:
            data = bytes(await self._wire.receive())
            if not data:
                protocol.receive_eof()
                break
            # The first frame may share a segment with the reply; it is the splitter's.
            overlap = len(seen)
            end = (seen + data).find(b"\r\n\r\n")
            cut = len(data) if end < 0 else end + 4 - overlap
            seen = (seen + data)[-3:]
            protocol.receive_data(data[:cut])
            if cut == len(data):
                continue
            if protocol.state is OPEN:
                self._feed(memoryview(data)[cut:])
            else:
                protocol.receive_data(data[cut:])
        if protocol.state is CONNECTING:
            raise _rejected(protocol.handshake_exc)

    @property
    def subprotocol(self) -> str | None:
        return self._protocol.subprotocol

    # ---- reading

    async def read(self) -> Ending:
        sink, wire = self._sink, self._wire
        self._hand_over()  # what came with the handshake
        while self._ending is None:
            if sink.full:
                await sink.drained()
            try:
                data: memoryview | None = await wire.receive()
                reads = 1
                while data is not None:
                    size = len(data)
                    sink.heard(size)
                    self._feed(data)
                    self._hand_over()
                    if size < READ or self._ending is not None or reads == _BURST or sink.full:
                        break
                    data = wire.receive_more()
                    reads += 1
            except OSError as exc:
                self._ending = Ending("loss", 1006, str(exc), exc)
        return self._ending

    async def read_on(self) -> None:
        try:
            while await self._wire.receive():
                pass
        except OSError:
            pass

    def _feed(self, data: memoryview) -> None:
        if not data:
            self._protocol.receive_eof()
            self._ending = Ending("loss", 1006, "the stream ended without a close frame")
        elif self._protocol.extensions:
            self._other(bytes(data))  # compressed: every frame is the library's
        elif self._splitter is not None:
            self._splitter.feed(data)

    def _hand_over(self) -> None:
        if self._batch:
            self._sink.deliver(self._batch)
            self._batch.clear()

    def _other(self, data: bytes) -> bool:
        """Bytes for the protocol library; whether the stream goes on after them."""
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._received(event)
        # An empty write asks to half-close the stream, which is the link's to decide.
        self._control += filter(None, protocol.data_to_send())
        if self._control:
            self._sink.wake_writer()
        if protocol.state is OPEN:
            return True
        if self._ending is None and protocol.parser_exc is not None:
            self._ending = self._failed(protocol.parser_exc)
        return False if self._ending is not None else protocol.close_rcvd is None

    def _received(self, event: Frame) -> None:
        opcode = event.opcode
        if opcode is Opcode.PONG:
            self._sink.ponged(bytes(event.data))
        elif opcode is Opcode.CLOSE:
            received = self._protocol.close_rcvd
            assert received is not None
            self._ending = Ending("peer", received.code, received.reason)
        elif opcode is not Opcode.PING:
            if opcode is not Opcode.CONT:
                self._text = opcode is Opcode.TEXT
                self._parts = []
            assert self._parts is not None  # the library refuses a stray continuation
            self._parts.append(bytes(event.data))
            if event.fin:
                payload = b"".join(self._parts)
                self._batch.append(Text(payload) if self._text else payload)
                self._parts = None

    def _failed(self, exc: Exception) -> Ending:
        sent = self._protocol.close_sent
        code = 1006 if sent is None else sent.code
        reason = str(exc)
        if isinstance(exc, PayloadTooBig):
            reason = f"a message is over max_size, {self._max_size:,} bytes"
        return Ending("us", code, reason, exc)

    # ---- writing

    @property
    def pending(self) -> bool:
        return bool(self._rest or self._control)

    @property
    def unfinished(self) -> int:
        return int(self._begun)

    @property
    def progress(self) -> float:
        return self._wire.progress

    async def write(self, batch: Sequence[Outgoing]) -> None:
        send_all = self._wire.send_all
        self._writing = True
        out = [self._rest, *self._control]
        self._rest = b""
        self._control.clear()
        for payload in batch:
            size = len(payload)
            kind = type(payload)
            if kind is Ping:
                out.append(frame(payload, PING))
            elif self._protocol.extensions:
                self._protocol.send_binary(payload)
                out += self._protocol.data_to_send()
            elif size < LARGE:
                key = new_key()
                out += (header(BINARY, size, key), apply_mask(payload, key))
            else:
                # In slices, a multiple of the key's four bytes: no masked copy of the whole.
                key = new_key()
                out.append(header(BINARY, size, key))
                await send_all(b"".join(out))
                out.clear()
                view = memoryview(payload)
                for start in range(0, size, LARGE):
                    await send_all(apply_mask(view[start : start + LARGE], key))
        await send_all(b"".join(out))
        self._writing = self._begun = False

    def write_now(self, payload: bytes) -> bool:
        if self._protocol.extensions or self._rest or self._control:
            return False
        data = frame(payload)
        try:
            sent = self._wire.try_send(data)
        except OSError:
            sent = 0  # the writer meets it too, and tells the link
        if sent < len(data):
            self._rest = data[sent:]
            self._begun = True
            self._sink.wake_writer()
        return True

    def ping(self, payload: bytes) -> None:
        self._control.append(frame(payload, PING))
        self._sink.wake_writer()

    def close(self, code: int, reason: str) -> None:
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, reason)
            self._control += self._protocol.data_to_send()
            self._sink.wake_writer()

    def abort(self, unsent: Sequence[Outgoing]) -> None:
        if self._writing or self._ending is not None or self._protocol.state is not OPEN:
            return
        head = b"".join((self._rest, *self._control))
        farewell(self._wire, head, () if self._protocol.extensions else unsent)

    async def aclose(self) -> None:
        await self._wire.aclose()


def _rejected(exc: Exception | None) -> Rejected:
    if isinstance(exc, InvalidStatus):
        response = exc.response
        body = (response.body or b"")[:200].decode(errors="replace").strip()
        return Rejected(
            f"the server answered HTTP {response.status_code} {response.reason_phrase}".rstrip()
            + (f": {body}" if body else ""),
            status=response.status_code,
            cause=exc,
        )
    if isinstance(exc, InvalidHandshake):
        text = str(exc.__cause__ or exc)
        return Rejected(f"the handshake failed: {text}", cause=exc)
    return Rejected("the server closed the stream before it answered", cause=exc)
