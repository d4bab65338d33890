"""The protocol of the ``wsproto`` package, which every install has."""

from __future__ import annotations

from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection, ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.events import Request as Handshake
from wsproto.utilities import RemoteProtocolError

from .._net.rejection import Rejected
from .frames import CLOSE, close_payload, frame, server_frame
from .protocol import Request
from .transport import CloseInfo, Message, Text

__all__ = ["WsprotoClientProtocol", "WsprotoServerProtocol"]


class WsprotoProtocol:
    """See `WebSocketProtocol`. ``protocol`` is opened, or will be."""

    name = "wsproto"
    compressed = False
    _frame = staticmethod(frame)  # of this side's role

    def __init__(self, protocol: WSConnection | Connection, max_size: int) -> None:
        self._protocol = protocol
        self._max_size = max_size
        self.messages: list[Message] = []
        self.pongs: list[bytes] = []
        self.out: list[bytes] = []
        self.close_info: CloseInfo | None = None
        self.busy = False
        self.subprotocol: str | None = None
        self._begun = bytearray()  # of a message that is not whole yet

    @property
    def buffered(self) -> int:
        return len(self._begun)

    def receive(self, data: bytes) -> bool:
        if self._protocol.state is ConnectionState.CLOSED:
            return False
        self._protocol.receive_data(data)
        for event in self._protocol.events():
            if self.close_info is None:
                self._received(event)
        return self.close_info is None

    async def settle(self) -> None:
        """It is never busy."""

    def _received(self, event: Event) -> None:
        if isinstance(event, BytesMessage | TextMessage):
            text = isinstance(event, TextMessage)
            # Joined as it comes: a list of a million small parts is a hundred times as large.
            self._begun += event.data.encode() if isinstance(event, TextMessage) else event.data
            if len(self._begun) > self._max_size:
                limit = f"a message is over max_size, {self._max_size:,} bytes"
                self._fail(1009, limit)
            elif event.message_finished:
                payload, self._begun = self._begun, bytearray()
                self.messages.append(Text(payload) if text else payload)
        elif isinstance(event, Ping):
            if self._protocol.state is ConnectionState.OPEN:
                self.out.append(bytes(self._protocol.send(event.response())))
        elif isinstance(event, Pong):
            self.pongs.append(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                self.out.append(bytes(self._protocol.send(event.response())))
            elif self._protocol.state is ConnectionState.OPEN:
                # A protocol error by the peer: the package shows it as a close, and sends nothing.
                self._fail(int(event.code), event.reason or "")
                return
            self.close_info = CloseInfo("peer", int(event.code), event.reason or "")

    def _fail(self, code: int, reason: str) -> None:
        self.out.append(self._frame(close_payload(code, reason), CLOSE))
        self.close_info = CloseInfo("us", code, reason)

    def close(self, code: int, reason: str) -> None:
        if self._protocol.state is ConnectionState.OPEN and self.close_info is None:
            self.out.append(bytes(self._protocol.send(CloseConnection(code, reason or None))))

    def fail(self, code: int, reason: str) -> None:
        if self.close_info is None and self._protocol.state is ConnectionState.OPEN:
            self._fail(code, reason)
        elif self.close_info is None:  # a close frame is on its way already
            self.close_info = CloseInfo("us", code, reason)

    def encode(self, payload: bytes) -> bytes:
        # A transport asks for this only where `compressed` is true, and here it never is.
        raise NotImplementedError("nothing is compressed here")


class WsprotoClientProtocol(WsprotoProtocol):
    """See `ClientProtocol`."""

    def __init__(self, request: Request) -> None:
        super().__init__(WSConnection(ConnectionType.CLIENT), request.max_size)
        self._request = request

    def request(self) -> bytes:
        host, fields = self._request.fields()
        return self._protocol.send(
            Handshake(
                host=host,
                target=self._request.address.resource,
                subprotocols=list(self._request.subprotocols or ()),
                extra_headers=fields,
            )
        )

    def receive_head(self, head: bytes) -> None:
        try:
            self._protocol.receive_data(head)
        except RemoteProtocolError as exc:
            raise Rejected(f"the handshake failed: {exc}", cause=exc) from exc
        for event in self._protocol.events():
            if isinstance(event, AcceptConnection):
                self.subprotocol = event.subprotocol


class WsprotoServerProtocol(WsprotoProtocol):
    """The server's; open from the beginning."""

    _frame = staticmethod(server_frame)

    def __init__(self, max_size: int) -> None:
        super().__init__(Connection(ConnectionType.SERVER), max_size)
