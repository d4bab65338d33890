"""Both directions of a connection: what its user does with it, be that a client's, a server's
session or an agent."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from .._errors import CallTimeout
from .._interrupts import protected_methods
from .._runtime import runtime
from .checkpoints import CheckpointThrottle
from .connection import Connection
from .counters import Counters
from .receiver import Receiver
from .sender import Sender
from .state import State
from .statistics import Statistics, measure

if TYPE_CHECKING:
    from .trio_channels import ReceiveEnd, SendEnd

__all__ = ["Duplex", "In", "Out"]

Out = TypeVar("Out")
In = TypeVar("In")


@protected_methods
class Duplex(Generic[Out, In]):
    """The sender and the receiver outlive connections: they may be connected later, and again.

    Subclasses define how to send a single message.
    """

    _connection: Connection | None

    def __init__(self, sender: Sender[Out], decode: Callable[[Any], In]) -> None:
        self._sender = sender
        self._receiver: Receiver[In] = Receiver(decode, sender.uri)

    def _join(self, connection: Connection, *, every: bool = False) -> None:
        """Use ``connection`` from now on. ``every``: yield to other tasks at every call."""
        throttle = CheckpointThrottle(connection.rt, every=every, home=connection.home)
        self._sender.connect(connection.outbox, throttle)
        self._receiver.connect(connection.rt, connection.inbox, connection.outbox, throttle)

    # ---- state

    @property
    def connected(self) -> bool:
        """Whether it is open in both directions."""
        connection = self._connection
        return (
            connection is not None and connection.state is State.OPEN and not connection.home.forked
        )

    @property
    def transport(self) -> str | None:
        """The transport in use, "trio-websocket" or "websockets"; None before a connection."""
        return (self._connection.transport_name or None) if self._connection else None

    @property
    def close_code(self) -> int | None:
        """The close code of the latest connection (RFC 6455 §7.4.1), None while it is open."""
        close_info = self._connection.close_info if self._connection else None
        return close_info.code if close_info else None

    @property
    def close_reason(self) -> str | None:
        """The reason that came with `close_code`."""
        close_info = self._connection.close_info if self._connection else None
        return close_info.reason if close_info else None

    def statistics(self) -> Statistics:
        """Counts, depths and times, as they are now."""
        connection = self._connection
        if connection is None:
            return measure(Counters(), self._sender.outbox, self._receiver.inbox, (), silence=None)
        return measure(
            connection.counters,
            connection.outbox,
            connection.inbox,
            connection.queues,
            silence=connection.rt.current_time() - connection.heard_at,
            reconnects=max(0, connection.generation - 1),
        )

    async def wait_closed(self) -> None:
        """Wait until the connection and its handlers have ended, for whatever reason.

        Without a connection it returns immediately. Cancelled: nothing has changed.
        """
        if self._connection is not None:
            self._connection.home.check_loop()
            await self._connection.over.wait()

    # ---- sending

    async def send_many(self, messages: Iterable[Out]) -> None:
        """Wait for room, then enqueue all of them in one step.

        Raises EncodeError, ConnectionClosed, ClientClosed. Cancelled: none of them has been sent,
        and none will be.
        """
        await self._sender.many(messages)

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until the peer has read everything enqueued so far.

        The peer answers a WebSocket ping that is sent after it. Raises CallTimeout after
        ``timeout`` seconds, InboxFull if a full inbox keeps the answer from being read:
        immediately, or after 1 s with the default inbox of a client if nothing has ever been
        received. Raises ConnectionClosed, ClientClosed. Cancelled: nothing is undone.
        """
        connection = self._connection
        if connection is None:
            raise self._sender.outbox.refusal()
        if timeout is None:
            return await connection.flush()
        with connection.rt.move_on_after(timeout):
            return await connection.flush()
        raise CallTimeout(f"{connection.uri} has not read everything within {timeout:g} s")

    @property
    def send_channel(self) -> SendEnd[Out]:
        """The sending end, as a ``trio.abc.SendChannel``; each access makes a new one.

        Under asyncio it is an ``anyio.abc.ObjectSendStream``, with anyio's exceptions.
        """
        rt = runtime()
        if rt.name == "asyncio":
            from .anyio_channels import SendStream

            # With a union, every program on Trio would have to narrow the type.
            return SendStream(rt, self._sender)  # type: ignore[return-value]
        from .trio_channels import SendEnd

        return SendEnd(rt, self._sender)

    # ---- receiving

    # Not `async def`: a coroutine that only awaits another one costs a tenth of a receive.
    def recv(self, timeout: float | None = None) -> Coroutine[Any, Any, In]:
        """Wait for the next message.

        Raises RecvTimeout after ``timeout`` seconds, ConnectionClosed when everything has been
        received and the connection has ended (cleanly, too), ClientClosed after a local close,
        ProtocolError for a frame that cannot be decoded, after which the next call continues.
        It yields to other tasks at least every 0.25 ms. Cancelled: nothing has been taken.
        """
        if timeout is None:
            return self._receiver.recv()
        return self._receiver.recv_within(timeout)

    def recv_nowait(self) -> In:
        """Return the next message. Raises InboxEmpty if none has arrived, else as `recv`."""
        return self._receiver.recv_nowait()

    async def recv_many(self, limit: int | None = None) -> list[In]:
        """Wait for a message, and return all that have arrived, up to ``limit``, in order.

        Raises as `recv`, and ValueError for a ``limit`` below 1. Cancelled: nothing has been
        taken.
        """
        return await self._receiver.recv_many(limit)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, In]:
        """Like `recv`, but iteration ends on a normal close: code 1000 or 1001."""
        return self._receiver.recv(True)  # a positional argument is faster

    @property
    def receive_channel(self) -> ReceiveEnd[In]:
        """The receiving end, as a ``trio.abc.ReceiveChannel``; each access makes a new one.

        Under asyncio it is an ``anyio.abc.ObjectReceiveStream``, with anyio's exceptions. Taking
        it counts as the first `recv`: from then on, an inbox with the default policy drops
        nothing.
        """
        rt = runtime()
        self._receiver.take()
        if rt.name == "asyncio":
            from .anyio_channels import ReceiveStream

            # As above.
            return ReceiveStream(rt, self._receiver)  # type: ignore[return-value]
        from .trio_channels import ReceiveEnd

        return ReceiveEnd(rt, self._receiver)
