"""One Socket.IO connection on one WebSocket."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from enum import Flag, auto
from itertools import count
from typing import TYPE_CHECKING, Any

from .._connection.connection import Connection
from .._connection.handler import ConnectionHandler
from .._connection.link import CLEANUP, Link
from .._connection.link_changes import Disconnected, Watch
from .._connection.log_limit import LogLimit
from .._connection.opening import open_connection
from .._connection.pending_replies import PendingReplies
from .._connection.policies import Fifo
from .._connection.queue import Queue
from .._connection.received_item import ReceivedItem
from .._connection.state import State
from .._errors import ConnectionClosed, ProtocolError, VuerError
from .._formatting import shown
from .._interrupts import protected_methods
from .._net.connect_options import ConnectOptions
from .._net.rejection import Rejected
from .._runtime import Runtime
from .._transport_name import TransportName
from .._websocket.connect import dial
from .._websocket.transport import Message, Transport
from .address import Server
from .errors import ConnectionError, unreachable
from .events import RoomzEvent
from .packets import CONNECT, PONG, Kind, Packet, decode, encode_event

if TYPE_CHECKING:
    from .._async_types import AsyncEvent, Nursery

__all__ = ["Refused", "Socket"]

log: logging.Logger = logging.getLogger("vuer_trio.roomz")

#: maximum bytes of a received message; chat messages have about 10,000 at most
_MAX_SIZE = 4 << 20
#: defaults for the server's terms: maximum bytes of a sent message, seconds of silence
_MAX_PAYLOAD = 1_000_000
_SILENCE = 45.0
#: seconds without progress while the outbox drains, and for the reply to a close frame
_CLOSE_TIMEOUT = 1.0
#: events received before `begin`
_EARLY = Fifo(1000, max_bytes=4 << 20)


class _Step(Flag):
    """The steps of opening; each happens once, in any order."""

    NONE = 0
    AGREED = auto()  # the server has sent its terms
    ADMITTED = auto()  # it has confirmed the namespace
    AUTHENTICATED = auto()  # it has sent the user of the session
    LET_IN = ADMITTED | AUTHENTICATED
    BEGUN = auto()  # events are delivered as they are read


class Refused(Exception):
    """The server refused the connection, without saying whether because of the session."""


@protected_methods
class Socket(ConnectionHandler):
    """Call `open`, then `begin` to deliver events; `call` while it is open, and `close`.

    ``deliver(name, data, size)`` is called with the events, in order. The reader stops while
    ``backpressure`` is full.
    """

    def __init__(
        self,
        rt: Runtime,
        server: Server,
        cookie: str,
        transport: TransportName,
        backpressure: Any,
        deliver: Callable[[str, dict[str, Any], int], None],
    ) -> None:
        self.rt = rt
        self.server = server
        self.user: dict[str, Any] = {}
        self.ended: AsyncEvent = rt.Event()
        #: events before `begin`; a full one stops the reader only once the client is connected
        self._early: Queue[ReceivedItem[RoomzEvent]] = _EARLY.open(rt, has_consumer=False)
        self.connection: Connection = Connection(
            rt,
            server.shown,
            self,
            Fifo().open(rt, has_consumer=False),  # unused
            Fifo().open(rt),
            heartbeat=math.inf,  # Engine.IO has its own
            close_timeout=_CLOSE_TIMEOUT,
            stopped_by=(backpressure, self._early),
        )
        self._early.ignore_count(True)  # a reply may be behind them
        self._missed = 0
        self._ignored = LogLimit(log, "invalid packets")
        self._options = ConnectOptions(
            server.websocket,
            _MAX_SIZE,
            transport,
            headers=(("Cookie", f"session_token={cookie}"),),
            stays="the session is not sent to another server; open the client with its URL",
        )
        self._deliver = deliver
        self._calls: PendingReplies[Any] = PendingReplies(rt)
        self._numbers = count(1)
        self._steps = _Step.NONE
        self._decided = rt.Event()  # set when the client is connected, refused or lost
        self._refusal: str | None = None
        self._close_info: Disconnected | None = None
        self.max_payload: int = _MAX_PAYLOAD
        self._silence = _SILENCE

    @property
    def alive(self) -> bool:
        """Whether it is open in both directions."""
        return self.connection.state is State.OPEN

    # ---- running

    async def open(self, nursery: Nursery) -> None:
        """Dial, and wait until the server accepts the client; its tasks run in ``nursery``.

        The caller sets the deadline. Raises Refused, and ConnectionError if the connection ends
        before it is accepted. Cancelled: nothing is left open.
        """
        watch = self.connection.changes.watch(self.rt)
        failure = await open_connection(self.connection, nursery)
        if isinstance(failure, OSError | VuerError | Rejected):
            raise unreachable(self.server.shown, failure)
        if failure is not None:
            raise failure  # invalid options
        nursery.start_soon(self._watch, watch)
        try:
            await self._decided.wait()
            if self._refusal is not None:
                await self.close()
                raise Refused(self._refusal)
        except BaseException:
            await self.abort()
            raise
        if not self._let_in:
            raise self._lost()

    async def _watch(self, watch: Watch) -> None:
        """Run the heartbeat until the connection ends."""
        try:
            async with self.rt.open_nursery() as tasks:
                tasks.start_soon(self._beat)
                async for change in watch:
                    if isinstance(change, Disconnected):
                        self._close_info = change
                        break
                tasks.cancel_scope.cancel()
        finally:
            self._end()

    def _end(self) -> None:
        self._calls.fail(self._lost())
        self._decided.set()
        self.ended.set()

    def _lost(self) -> ConnectionError:
        why = ""
        if self._close_info is not None:
            why = f" (code {self._close_info.code}"
            why += f": {shown(self._close_info.reason)})" if self._close_info.reason else ")"
        return ConnectionError(f"the connection to {self.server.shown} has ended{why}")

    async def _beat(self) -> None:
        """End the connection after silence for the server's ping interval and timeout.

        Any received data counts, and no silence counts while a full queue stops the reader.
        """
        await self._decided.wait()
        while True:
            if self.connection.stopped:
                await self.rt.sleep(self._silence)
                continue
            due = self.connection.heard_at + self._silence
            if self.rt.current_time() >= due:
                self.connection.lose(f"no sign of life for {self._silence:g} s")
                return
            await self.rt.sleep_until(due)

    async def close(self) -> None:
        """Close cleanly; pending calls fail. Cancelled: aborts without waiting."""
        self._calls.fail(self._lost())
        try:
            await self.connection.aclose()
        except ConnectionClosed as exc:  # calls whose message was not sent have failed already
            log.debug("%s", exc)

    async def abort(self) -> None:
        """Close immediately, and wait until nothing is left."""
        self.connection.abort()
        with self.rt.CancelScope(shield=True, deadline=self.rt.current_time() + CLEANUP):
            await self.connection.over.wait()

    # ---- the connection's view (ConnectionHandler)

    async def dial(self, link: Link, nursery: Any) -> Transport:
        return await dial(self.rt, self._options, link, nursery)

    def wrap_error(self, uri: str, exc: Exception) -> Exception:
        return unreachable(uri, exc)

    # ---- reading

    def begin(self) -> None:
        """Deliver the events so far, and from now on each as it is read."""
        self._steps |= _Step.BEGUN
        if self._missed:
            log.warning(
                "%d events are lost: %s sent too many before it accepted the client",
                self._missed,
                self.server.shown,
            )
        while self._early.items:
            item = self._early.pop()
            self._deliver(item.event.name, item.event.data, item.size)

    def messages_received(self, messages: Sequence[Message], at: float) -> Sequence[Any]:
        for message in messages:
            try:
                packet = decode(message)
            except ProtocolError as exc:
                if self._ignored.admits():
                    log.warning("ignored from %s: %s", self.server.shown, exc)
            else:
                self._take(packet, len(message))
        return ()

    def _take(self, packet: Packet, size: int) -> None:
        match packet.kind:
            case Kind.OPEN:
                self._agree(packet.data)
            case Kind.PING:
                self.connection.outbox.offer(PONG)  # without room, the server is not reading either
            case Kind.CONNECTED:
                self._steps |= _Step.ADMITTED
            case Kind.REFUSED if not self._decided.is_set():
                self._refusal = packet.data
                self._decided.set()
            case Kind.REFUSED:
                log.warning("%s sent a late refusal: %s", self.server.shown, shown(packet.data))
            case Kind.EVENT:
                name, data = packet.data
                self._event(name, data, size)
            case Kind.REPLY:
                self._calls.settle(packet.number, packet.data)
            case Kind.CLOSE | Kind.LEFT:
                self.connection.fail(1000, "the server ended the session")
        if not self._decided.is_set() and self._let_in:
            self._early.has_consumer = self.alive  # from now on, a full queue stops the reader
            self._decided.set()

    @property
    def _let_in(self) -> bool:
        return _Step.LET_IN in self._steps

    def _agree(self, terms: dict[str, Any]) -> None:
        if _Step.AGREED in self._steps:
            return
        self._steps |= _Step.AGREED
        self.max_payload = int(_positive(terms.get("maxPayload"), 1, _MAX_PAYLOAD))
        interval = _positive(terms.get("pingInterval"), 0.001, 25.0)
        self._silence = interval + _positive(terms.get("pingTimeout"), 0.001, 20.0)
        self.connection.outbox.offer(CONNECT)

    def _event(self, name: str, data: dict[str, Any], size: int) -> None:
        if name in ("connect", "connect_error", "disconnect"):  # emitted by this client only
            log.warning("ignored from %s: an event named %s", self.server.shown, shown(name, 64))
            return
        if name == "authenticated":
            user = data.get("user")
            if _Step.AUTHENTICATED in self._steps or not isinstance(user, dict):
                log.warning(
                    "ignored from %s: a second or invalid 'authenticated'", self.server.shown
                )
                return
            self._steps |= _Step.AUTHENTICATED
            self.user = dict(user)
        if _Step.BEGUN in self._steps:
            self._deliver(name, data, size)
        else:
            self._keep(name, data, size)

    def _keep(self, name: str, data: dict[str, Any], size: int) -> None:
        """Keep an event until `begin`.

        Without room, events before the server accepts the client are dropped: stopping the reader
        would prevent it from ever being accepted.
        """
        early = self._early
        if early.has_room or early.has_consumer or name == "authenticated":
            early.put(ReceivedItem(RoomzEvent(name, data), size))
        else:
            self._missed += 1

    # ---- calling

    async def call(self, name: str, data: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Send an event, wait for its acknowledgement, and return it.

        Returns ``{"error", "code"}`` with 408 after ``timeout`` seconds, 413 for an event that is
        too large for the server, and 502 for an invalid reply. Raises ConnectionError if the
        connection ends. Cancelled: the event may have been sent.
        """
        number = next(self._numbers)
        payload = encode_event(name, data, number)
        if len(payload) > self.max_payload:
            await self.rt.checkpoint()
            said = f"The message has {len(payload):,} bytes; the limit is {self.max_payload:,}"
            return {"error": said, "code": 413}
        with self.rt.move_on_after(timeout):
            reply = await self._call(number, payload)
            if isinstance(reply, dict):
                return reply
            return {"error": "The server's acknowledgment is malformed", "code": 502}
        return {"error": "Message acknowledgment timeout", "code": 408}

    async def _call(self, number: int, payload: bytes) -> Any:
        if not self.alive:
            raise self._lost()
        outbox = self.connection.outbox
        with self._calls.expect(number) as call:
            try:
                await outbox.reserve(len(payload))
                outbox.put_reserved((payload,), len(payload))
            except VuerError as exc:
                raise self._lost() from exc
            return await call.wait()


def _positive(value: Any, unit: float, default: float) -> float:
    """Scale a number from the server by ``unit``; return ``default`` for an invalid one."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12:
        return value * unit
    return default
