"""The protocol of the ``websockets`` package."""

from __future__ import annotations

import logging

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol
from websockets.typing import Origin, Subprotocol
from websockets.uri import WebSocketURI

from .._net.rejection import Rejected
from .frames import close_reason
from .protocol import Request
from .text_check import NOT_UTF8, TextCheck
from .transport import CloseInfo, Message, Text

__all__ = ["WebsocketsClientProtocol", "WebsocketsServerProtocol"]

#: the package's own logger shows requests with their headers, and payloads, under DEBUG
_QUIET = logging.getLogger("vuer_trio.websockets")
_QUIET.setLevel(logging.INFO)


class _ClosesAnywhere(Protocol):
    """A close frame between two fragments is answered with its own code (RFC 6455 §5.4 and §5.5.1),
    where the package takes it for a fault."""

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class _ClientProtocol(_ClosesAnywhere, ClientProtocol):
    pass


class WebsocketsProtocol:
    """See `WebSocketProtocol`. ``protocol`` is opened, or will be."""

    name = "websockets"

    def __init__(self, protocol: Protocol, max_size: int) -> None:
        self._protocol = protocol
        self._max_size = max_size
        self.messages: list[Message] = []
        self.pongs: list[bytes] = []
        self.out: list[bytes] = []
        self.close_info: CloseInfo | None = None
        self.busy = False
        self._begun = bytearray()  # of a fragmented message
        self._text = False  # ... which is text
        self._check = TextCheck()

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
            if isinstance(event, Frame) and self.close_info is None:
                self._received(event)
        # An empty write asks to half-close the stream, which is the link's to decide.
        self.out += filter(None, protocol.data_to_send())
        if self.close_info is None and protocol.parser_exc is not None:
            self.close_info = self._failed(protocol.parser_exc)
        return self.close_info is None

    async def settle(self) -> None:
        """It is never busy."""

    def _received(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.PONG:
            self.pongs.append(bytes(frame.data))
        elif opcode is Opcode.CLOSE:
            received = self._protocol.close_rcvd
            assert received is not None
            self.close_info = CloseInfo("peer", received.code, received.reason)
        elif opcode is not Opcode.PING:
            if opcode is not Opcode.CONT:
                self._text = opcode is Opcode.TEXT
            if self._text and self.compressed and not self._is_text(frame):
                return self.fail(1007, NOT_UTF8)
            if not frame.fin or self._begun:
                # Joined as it comes: a list of a million small parts is a hundred times as large.
                self._begun += frame.data
            if frame.fin:
                payload = self._begun or bytes(frame.data)
                self._begun = bytearray()
                self.messages.append(Text(payload) if self._text else payload)
        return None

    def _is_text(self, frame: Frame) -> bool:
        """What is not compressed has been checked before it came here."""
        self._check.begin(frame.fin << 7 | frame.opcode, frame.opcode is Opcode.CONT)
        return self._check.feed(frame.data, True)

    def _failed(self, exc: Exception) -> CloseInfo:
        sent = self._protocol.close_sent
        code = 1006 if sent is None else sent.code
        reason = str(exc)
        if isinstance(exc, PayloadTooBig):
            reason = f"a message is over max_size, {self._max_size:,} bytes"
        return CloseInfo("us", code, reason, exc)

    def close(self, code: int, reason: str) -> None:
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, close_reason(reason))
            self.out += self._protocol.data_to_send()

    def fail(self, code: int, reason: str) -> None:
        if self.close_info is None:
            self._protocol.fail(code, close_reason(reason))
            self.out += filter(None, self._protocol.data_to_send())
            self.close_info = CloseInfo("us", code, reason)

    def encode(self, payload: bytes) -> bytes:
        if self._protocol.state is not OPEN:
            raise ConnectionResetError("the connection is closing")
        send = self._protocol.send_text if type(payload) is Text else self._protocol.send_binary
        send(payload)
        return b"".join(self._protocol.data_to_send())


class WebsocketsClientProtocol(WebsocketsProtocol):
    """See `ClientProtocol`."""

    def __init__(self, request: Request) -> None:
        self._request = request
        address = request.address
        self._client = _ClientProtocol(
            WebSocketURI(
                address.secure,
                address.bare_host,
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
            logger=_QUIET,
        )
        super().__init__(self._client, request.max_size)

    def request(self) -> bytes:
        request = self._client.connect()
        for name, value in self._request.headers:
            if name.lower() in ("host", "authorization", "origin") and name in request.headers:
                del request.headers[name]  # replaced, not repeated
            request.headers[name] = value
        self._client.send_request(request)
        return b"".join(self._client.data_to_send())

    def receive_head(self, head: bytes) -> None:
        self._client.receive_data(head)
        self._client.events_received()  # the response
        exc = self._client.handshake_exc
        if exc is not None:  # of its extensions: the rest is known to be good
            raise Rejected(f"the handshake failed: {exc.__cause__ or exc}", cause=exc)


class WebsocketsServerProtocol(WebsocketsProtocol):
    """The server's; open from the beginning."""

    def __init__(self, max_size: int) -> None:
        protocol = _ClosesAnywhere(SERVER, state=OPEN, max_size=max_size, logger=_QUIET)
        super().__init__(protocol, max_size)
