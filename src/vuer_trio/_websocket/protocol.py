"""What a sans-I/O transport asks of a WebSocket library: bytes in, what they mean out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .._net.address import Address
from .._net.rejection import basic_authorization
from .transport import CloseInfo, Message

__all__ = ["ClientProtocol", "Request", "WebSocketProtocol"]


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What the opening handshake asks for."""

    address: Address
    max_size: int
    headers: Sequence[tuple[str, str]] = ()
    subprotocols: Sequence[str] | None = None
    origin: str | None = None
    compression: str | None = None

    def __repr__(self) -> str:
        return f"<Request to {self.address.shown}>"

    def fields(self) -> tuple[str, list[tuple[bytes, bytes]]]:
        """The Host header, and the other fields, as wsproto wants them: each once."""
        host = self.address.host_header
        fields: dict[bytes, bytes] = {}
        if self.origin is not None:
            fields[b"origin"] = self.origin.encode("ascii")
        if self.address.user is not None:
            fields[b"authorization"] = basic_authorization(*self.address.user).encode("ascii")
        given = [(n.lower().encode("ascii"), v.encode("latin-1")) for n, v in self.headers]
        for name, value in given:
            fields.pop(name, None)
            if name == b"host":
                host = value.decode("latin-1")
        return host, [*fields.items(), *(field for field in given if field[0] != b"host")]


class WebSocketProtocol(Protocol):
    """One open connection's protocol, in either role. Sync, and owns no socket.

    It is asked for every frame that is not a whole binary message; those it never sees, unless
    ``compressed``. Text is known to be UTF-8 then, unless ``compressed``. `receive` adds to the
    three lists, and sets ``ending``; whoever reads them empties them.
    """

    #: whole messages, in order; shared with who cuts out the others
    messages: list[Message]
    #: payloads of pongs
    pongs: list[bytes]
    #: frames to be written: pongs, a close
    out: list[bytes]
    #: how the peer, or a protocol error by the peer, ended the connection
    close_info: CloseInfo | None
    #: it is at work on what it got; no message that it does not get may be delivered before
    #: `settle` has returned
    busy: bool

    @property
    def name(self) -> str:
        """As ``transport=`` has it."""

    @property
    def compressed(self) -> bool:
        """Messages are packed and unpacked by the library."""

    @property
    def subprotocol(self) -> str | None:
        """What the server chose."""

    @property
    def buffered(self) -> int:
        """Bytes of a message that is not whole."""

    def receive(self, data: bytes) -> bool:
        """Bytes of frames, small ones whole; whether more may follow."""

    async def settle(self) -> None:
        """Wait until it is no longer `busy`. Raises Rejected, during the handshake only.
        Cancelled: may be called again."""

    def close(self, code: int, reason: str) -> None:
        """Queue a close frame, now or soon. Calling it twice is harmless."""

    def fail(self, code: int, reason: str) -> None:
        """End it for a protocol error by the peer that this side has found."""

    def encode(self, payload: bytes) -> bytes:
        """One message, compressed. Raises ConnectionResetError when no message may follow."""


class ClientProtocol(WebSocketProtocol, Protocol):
    """A client's protocol: `WebSocketProtocol`, and before them the handshake."""

    def request(self) -> bytes:
        """The request of the handshake."""

    def receive_head(self, head: bytes) -> None:
        """The handshake's reply, checked and plain: see `plain_switching`. Raises Rejected."""
