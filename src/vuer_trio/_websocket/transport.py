"""What a transport is: it carries whole WebSocket messages, in batches, and knows no Vuer.

A transport has two tasks above it, both the link's: one reader that awaits `Transport.read` and
one owner that awaits `Transport.write`. Nobody else writes, so a cancelled caller cannot cut a
frame. Everything a transport has to say it says to its `Sink`, in sync code.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

__all__ = [
    "LARGE",
    "CloseInfo",
    "Message",
    "Outgoing",
    "Ping",
    "Prepared",
    "Sink",
    "Text",
    "Transport",
]

#: bytes; a message of this size or more is written and received in pieces, not joined
LARGE = 65_536


class Text(bytes):
    """The payload of a text message, in UTF-8. Vuer has none: for it, one is an error."""


class Ping(bytes):
    """A ping that waits its turn behind the messages enqueued before it."""


class Account(Protocol):
    """Where it is counted what several connections hold."""

    #: bytes of framed messages that exist
    shared: int


class Prepared(bytes):
    """A message that is framed already, as a server sends it: header and payload.

    One of them serves any number of connections. Only a server's transport takes it.
    """

    #: where an outbox keeps the newest of each key
    key: Hashable
    #: what it does to a scene, once an outbox has had to know
    effect: object = None
    #: is told when it comes to its end, of which nobody else knows
    account: Account | None = None

    def __del__(self) -> None:
        if self.account is not None:
            self.account.shared -= len(self)

    @property
    def payload(self) -> bytes:
        """The message without its header, a `Text` if it is one."""
        size = self[1]
        payload = self[2 if size < 126 else 4 if size == 126 else 10 :]
        return Text(payload) if self[0] & 0x0F == 1 else payload


#: what is received: the payload of one whole message
Message: TypeAlias = bytes | bytearray | memoryview
#: what is sent: the payload of one binary message, a `Text`, a `Prepared` one, or a ping
Outgoing: TypeAlias = bytes


@dataclass(frozen=True, slots=True)
class CloseInfo:
    """How a connection ended.

    ``by`` is "peer" for a close frame received, "us" for a protocol error by the peer that made
    this side fail the connection, "loss" for an end without a close frame (``code`` 1006).
    """

    by: Literal["peer", "us", "loss"]
    code: int
    reason: str = ""
    cause: BaseException | None = None


class Sink(Protocol):
    """The link, as its transport sees it. All but `drained` and `turn` is sync."""

    def deliver(self, messages: Sequence[Message]) -> bool:
        """Whole messages, in order; whether the reader is to stop. The list is the transport's
        and is reused."""

    def heard(self, size: int) -> None:
        """``size`` bytes arrived: the peer is alive."""

    def ponged(self, payload: bytes) -> None:
        """A pong arrived."""

    def wake_writer(self) -> None:
        """Frames of the transport's own (pongs, a close) wait to be written."""

    @property
    def full(self) -> bool:
        """Whether the reader is to stop reading."""

    async def drained(self) -> None:
        """Park until there is room again."""

    async def turn(self) -> None:
        """Let the other tasks run. Cancelled: nothing has changed."""


class Transport(Protocol):
    """One open WebSocket connection."""

    @property
    def name(self) -> str:
        """As ``transport=`` has it."""

    @property
    def subprotocol(self) -> str | None:
        """What the server chose."""

    @property
    def pending(self) -> bool:
        """Whether `write` has something to do even without a batch."""

    @property
    def position(self) -> int:
        """Bytes of the stream that the system was given so far."""

    @property
    def arrived(self) -> int:
        """Those of them that the peer's system has, as far as this one can tell."""

    @property
    def buffered(self) -> int:
        """Bytes of messages that have begun to arrive."""

    @property
    def progress(self) -> float:
        """When bytes last left, on the runtime's clock; for telling slow from stalled."""

    @property
    def unfinished(self) -> int:
        """Messages that `write_now` began and `write` has not finished: 0 or 1."""

    async def read(self) -> CloseInfo:
        """Feed the sink until the connection has ended. Cancelled: may be called again."""

    async def read_on(self) -> None:
        """After the end: discard until the peer closes the stream."""

    async def write(self, batch: Sequence[Outgoing], size: int = 0) -> None:
        """Write what is pending, then the batch, whose ``size`` in bytes says whether it may be
        copied. Cancelled: the stream may be cut; only `abort` may follow. Raises OSError when the
        stream is broken, or is closing: the batch has not been written then, but what was pending.
        """

    def write_now(self, payload: bytes) -> bool:
        """Write one message at once, in sync code; what does not fit becomes pending.

        False: this transport cannot, use the writer.
        """

    def ping(self, payload: bytes) -> None:
        """Queue a ping before all data."""

    def close(self, code: int, reason: str) -> None:
        """Queue the close frame before all data."""

    def fail(self, code: int, reason: str) -> None:
        """This side ends it, usually for a protocol error by the peer. Queue the close frame before
        all data; `read` returns if this is called in `Sink.deliver`, else it is to be cancelled.
        """

    def abort(self, unsent: Sequence[Outgoing]) -> None:
        """Offer ``unsent`` and a close frame to the system once, without waiting, if that cannot
        cut a frame. Only `aclose` may follow."""

    async def aclose(self) -> None:
        """Close the stream without waiting for the peer. Done even if cancelled."""
