"""What a sans-I/O transport asks of a WebSocket library: bytes in, what they mean out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .address import Address
from .base import Ending, Message
from .handshake import basic_authorization

__all__ = ["Core", "Frames", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """What the opening handshake asks for."""

    address: Address
    max_size: int
    headers: Sequence[tuple[str, str]] = ()
    subprotocols: Sequence[str] | None = None
    origin: str | None = None
    compression: str | None = None

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


class Frames(Protocol):
    """One open connection's protocol, in either role. Sync, and owns no socket.

    It is asked for every frame that is not a whole binary message; those it never sees, unless
    ``compressed``. `receive` adds to the three lists, and sets ``ending``; whoever reads them
    empties them.
    """

    #: whole messages, in order; shared with who cuts out the others
    messages: list[Message]
    #: payloads of pongs
    pongs: list[bytes]
    #: frames to be written: pongs, a close
    out: list[bytes]
    #: how the peer, or a fault of the peer's, ended the connection
    ending: Ending | None

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
        """Bytes of frames; whether more may follow."""

    def close(self, code: int, reason: str) -> None:
        """Queue a close frame. Twice is harmless."""

    def encode(self, payload: bytes) -> bytes:
        """One message, compressed."""


class Core(Frames, Protocol):
    """A client's protocol: `Frames`, and before them the handshake."""

    @property
    def opened(self) -> bool:
        """The handshake came to something good."""

    def request(self) -> bytes:
        """The request of the handshake."""

    def receive_head(self, data: bytes) -> None:
        """Bytes of the handshake's reply, not beyond its head if it is good. Raises Rejected."""

    def receive_nothing(self) -> None:
        """The stream ended during the handshake. Raises Rejected."""
