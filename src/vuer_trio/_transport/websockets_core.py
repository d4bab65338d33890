"""The protocol of the ``websockets`` package."""

from __future__ import annotations

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, PayloadTooBig
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol
from websockets.typing import Origin, Subprotocol
from websockets.uri import WebSocketURI

from .base import Ending, Message, Text
from .core import Request
from .framing import close_reason
from .handshake import Rejected, refusal

__all__ = ["WebsocketsCore", "WebsocketsFrames"]


class WebsocketsFrames:
    """See `Frames`. ``protocol`` is opened, or will be."""

    name = "websockets"

    def __init__(self, protocol: Protocol, max_size: int) -> None:
        self._protocol = protocol
        self._max_size = max_size
        self.messages: list[Message] = []
        self.pongs: list[bytes] = []
        self.out: list[bytes] = []
        self.ending: Ending | None = None
        self._begun = bytearray()  # of a fragmented message
        self._text = False  # ... which is text

    @property
    def compressed(self) -> bool:
        return bool(self._protocol.extensions)

    @property
    def subprotocol(self) -> str | None:
        return self._protocol.subprotocol

    @property
    def buffered(self) -> int:
        return len(self._begun) + len(self._protocol.reader.buffer)

    def receive(self, data: bytes) -> bool:
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._received(event)
        # An empty write asks to half-close the stream, which is the link's to decide.
        self.out += filter(None, protocol.data_to_send())
        if self.ending is None and protocol.parser_exc is not None:
            self.ending = self._failed(protocol.parser_exc)
        return self.ending is None

    def _received(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.PONG:
            self.pongs.append(bytes(frame.data))
        elif opcode is Opcode.CLOSE:
            received = self._protocol.close_rcvd
            assert received is not None
            self.ending = Ending("peer", received.code, received.reason)
        elif opcode is not Opcode.PING:
            if opcode is not Opcode.CONT:
                self._text = opcode is Opcode.TEXT
            if not frame.fin or self._begun:
                # Joined as it comes: a list of a million small parts is a hundred times as large.
                self._begun += frame.data
            if frame.fin:
                payload = self._begun or bytes(frame.data)
                self._begun = bytearray()
                self.messages.append(Text(payload) if self._text else payload)

    def _failed(self, exc: Exception) -> Ending:
        sent = self._protocol.close_sent
        code = 1006 if sent is None else sent.code
        reason = str(exc)
        if isinstance(exc, PayloadTooBig):
            reason = f"a message is over max_size, {self._max_size:,} bytes"
        return Ending("us", code, reason, exc)

    def close(self, code: int, reason: str) -> None:
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, close_reason(reason))
            self.out += self._protocol.data_to_send()

    def encode(self, payload: bytes) -> bytes:
        send = self._protocol.send_text if type(payload) is Text else self._protocol.send_binary
        send(payload)
        return b"".join(self._protocol.data_to_send())


class WebsocketsCore(WebsocketsFrames):
    """See `Core`."""

    def __init__(self, request: Request) -> None:
        self._request = request
        address = request.address
        self._client = ClientProtocol(
            WebSocketURI(
                address.secure,
                address.host,
                address.port,
                *address.resource.partition("?")[::2],
                *(address.user or ()),
            ),
            origin=None if request.origin is None else Origin(request.origin),
            subprotocols=None
            if request.subprotocols is None
            else [Subprotocol(name) for name in request.subprotocols],
            extensions=[ClientPerMessageDeflateFactory(compress_settings={"memLevel": 5})]
            if request.compression
            else None,
            max_size=request.max_size,
        )
        super().__init__(self._client, request.max_size)
        self.opened = False

    def request(self) -> bytes:
        request = self._client.connect()
        for name, value in self._request.headers:
            if name.lower() in ("host", "authorization", "origin") and name in request.headers:
                del request.headers[name]  # replaced, not repeated
            request.headers[name] = value
        self._client.send_request(request)
        return b"".join(self._client.data_to_send())

    def receive_head(self, data: bytes) -> None:
        self._client.receive_data(data)
        self._client.events_received()  # the response
        if self._client.handshake_exc is not None:
            raise _rejected(self._client.handshake_exc)
        self.opened = self._client.state is OPEN

    def receive_nothing(self) -> None:
        self._client.receive_eof()
        raise _rejected(self._client.handshake_exc)


def _rejected(exc: Exception | None) -> Rejected:
    if isinstance(exc, InvalidStatus):
        response = exc.response
        return refusal(
            response.status_code, response.reason_phrase, bytes(response.body or b""), cause=exc
        )
    if isinstance(exc, InvalidHandshake) and not isinstance(exc.__cause__, EOFError):
        return Rejected(f"the handshake failed: {exc.__cause__ or exc}", cause=exc)
    return Rejected("the server closed the stream before it answered", cause=exc)
