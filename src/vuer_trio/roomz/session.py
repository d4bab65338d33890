"""One session at a server, from `connect` to the end, across reconnects."""

from __future__ import annotations

import logging
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from .._client.options import check_choice, check_seconds, check_size
from .._connection.backoff import Backoff, Delays
from .._connection.policies import DropOldest
from .._connection.queue import Queue
from .._connection.received_item import ReceivedItem
from .._errors import ClientClosed, VuerError
from .._failures import describe
from .._formatting import must_be, shown
from .._home import Home
from .._interrupts import protected_methods
from .._runtime import Runtime
from .._transport_name import TransportName
from .account import Account
from .address import Server
from .errors import AuthenticationError, ClientError, ConnectionError
from .events import ConnectionState, Handlers, RoomzEvent, complete
from .handler_runner import Backpressure, HandlerCaller, HandlerRunner
from .socket import Refused, Socket

if TYPE_CHECKING:
    from .._async_types import AsyncEvent, Nursery

__all__ = ["ACK_TIMEOUT", "RoomzSession", "Settings"]

log: logging.Logger = logging.getLogger("vuer_trio.roomz")

#: seconds to wait for an acknowledgement, as in the reference client
ACK_TIMEOUT = 5.0
#: events waiting for `async for`; it drops the oldest, because iteration is optional
_INBOX = DropOldest(1024, max_bytes=4 << 20)
#: minimum and maximum delay before a dial, and maximum random addition, in seconds
_SHORTEST, _LONGEST, _JITTER = 0.01, 300.0, 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """The validated options of a client. Times are in seconds."""

    server: Server
    reconnect: bool
    reconnect_delay: float
    max_reconnect_attempts: int
    connection_timeout: float
    transport: TransportName

    def __post_init__(self) -> None:
        """Raise TypeError or ValueError, which names the option."""
        times = ("reconnect_delay", "connection_timeout")
        check_seconds(self, times, positive=("connection_timeout",))
        if self.reconnect_delay == math.inf:
            raise ValueError("reconnect_delay must be finite, got inf; use reconnect=False")
        if not isinstance(self.reconnect, bool):
            raise TypeError(must_be("reconnect", "True or False", self.reconnect))
        if self.max_reconnect_attempts != 0:
            check_size("max_reconnect_attempts", self.max_reconnect_attempts)
        check_choice("transport", self.transport, get_args(TransportName))

    def delays(self) -> Delays:
        """The delays of one reconnection."""
        shortest = min(_LONGEST, max(_SHORTEST, self.reconnect_delay))
        return Delays(Backoff(shortest, _LONGEST, self.max_reconnect_attempts or None), _later)


def _later(delay: float) -> float:
    return delay + random.uniform(0, min(_JITTER, delay / 2))


@protected_methods
class RoomzSession:
    """`run` runs the session; `leave` ends it cleanly, `abort` immediately."""

    def __init__(
        self,
        rt: Runtime,
        settings: Settings,
        account: Account,
        handlers: Handlers,
        call: HandlerCaller,
        token: str,
    ) -> None:
        self.rt = rt
        self.home: Home = Home(rt, f"the connection to {settings.server.shown}")
        self.uri: str = settings.server.shown
        self.inbox: Queue[ReceivedItem[RoomzEvent]] = _INBOX.open(rt)
        #: set when no more events can come; handlers may still run
        self.ended: AsyncEvent = rt.Event()
        self.over: AsyncEvent = rt.Event()
        self._settings = settings
        self._account = account
        self._handler_runner = HandlerRunner(rt, handlers, call)
        self._token = token
        self._state = ConnectionState.CONNECTING
        self._socket: Socket | None = None
        self._name: str | None = None  # to be restored on reconnect, as the user gave it
        self._leaving = False
        self._scope = rt.CancelScope()
        self._opening = rt.CancelScope()  # cancelled to stop connecting and reconnecting
        self._nursery: Nursery | None = None
        self._struck: ClientClosed | None = None  # the error that calls raise after an interrupt

    # ---- state

    @property
    def state(self) -> ConnectionState:
        if self.home.forked:
            return ConnectionState.DISCONNECTED
        if self._state is ConnectionState.CONNECTED and not self._connected:
            again = self._settings.reconnect and not self._leaving
            return ConnectionState.RECONNECTING if again else ConnectionState.DISCONNECTED
        return self._state

    @property
    def _connected(self) -> bool:
        return self._socket is not None and self._socket.alive

    @property
    def user(self) -> dict[str, Any] | None:
        if self.state is not ConnectionState.CONNECTED:
            return None
        assert self._socket is not None
        return dict(self._socket.user)

    @property
    def in_handler(self) -> bool:
        """Whether the caller is one of the session's handlers."""
        return self._handler_runner.inside

    def socket(self) -> Socket:
        """The open socket. Raises ConnectionError; RuntimeError in another event loop."""
        self.home.check_loop()
        if (state := self.state) is not ConnectionState.CONNECTED:
            how = "connect first" if state is ConnectionState.DISCONNECTED else state.value
            raise ConnectionError(f"not connected to {self.uri}: {how}")
        assert self._socket is not None
        return self._socket

    # ---- running

    async def run(self, status: Any) -> None:
        """Connect, and stay connected. ``status.started()`` gets None or the error of connecting.

        Raises only cancellation, which ends the session immediately.
        """
        try:
            with self._scope:
                async with self.rt.open_nursery() as self._nursery:
                    self._nursery.start_soon(self._handler_runner.run)
                    await self._stay(status)
                    self.ended.set()
                    await self._handler_runner.finish()
                    self._nursery.cancel_scope.cancel()
        except BaseException as exc:
            self._struck = await status.struck(exc)
            raise
        finally:
            self._end(None)
            self.ended.set()
            self.over.set()
            status.started(self._left())

    async def _stay(self, status: Any) -> None:
        try:
            await self._connect()
        except Exception as exc:
            self._end(exc if isinstance(exc, VuerError) else None)
            status.started(exc)
            return
        status.started(None)
        try:
            while await self._until_lost():
                if not await self._reconnect():
                    break
        except Exception as exc:  # a bug; shown to the user, too
            log.exception("the session at %s failed", self.uri)
            self._end(
                ConnectionError(f"the connection to {self.uri} failed: {describe(exc, repr)}")
            )

    async def _until_lost(self) -> bool:
        """Wait for the end of the socket; return whether to reconnect."""
        assert self._socket is not None
        if self._leaving:  # `leave` was called while it connected
            await self._socket.close()
        await self._socket.ended.wait()
        again = self._settings.reconnect and not self._leaving
        if again:
            self._state = ConnectionState.RECONNECTING
        else:
            self._state = ConnectionState.DISCONNECTED
        self._emit("disconnect", {})
        if not again:
            error = ConnectionError(f"the connection to {self.uri} was lost")
            self._end(self._left() if self._leaving else error)
        return again

    async def _reconnect(self) -> bool:
        """Dial until it succeeds, fails for good, or runs out of attempts. Returns success."""
        settings, failure = self._settings, "no attempt was made"
        self._opening = self.rt.CancelScope()
        with self._opening:
            delays = settings.delays()
            delay = delays.after_link(0) if settings.max_reconnect_attempts else None
            while delay is not None:
                await self.rt.sleep(delay)
                try:
                    await self._within_the_timeout()
                    return True
                except AuthenticationError as exc:
                    self._give_up(exc, {"error": str(exc), "code": 401})
                    return False
                except ClientError as exc:
                    log.info("an attempt to reconnect failed: %s", exc)
                    failure, delay = str(exc), delays.after_failure()
            error = ConnectionError(f"gave up reconnecting to {self.uri}: {failure}", status=503)
            self._give_up(error, {"error": "Max reconnection attempts exceeded", "code": 503})
            return False
        self._end(self._left())
        return False

    def _give_up(self, error: VuerError, data: dict[str, Any]) -> None:
        log.warning("%s", error)
        self._state = ConnectionState.DISCONNECTED
        self._emit("error", data)
        self._end(error)

    def _end(self, error: VuerError | None) -> None:
        self._state = ConnectionState.DISCONNECTED
        self.inbox.close(error or self._left())

    def _left(self) -> ClientClosed:
        return self._struck or ClientClosed(f"the connection to {self.uri} was closed by this side")

    # ---- connecting

    async def _connect(self) -> None:
        with self._opening:
            await self._within_the_timeout()
            return
        raise ConnectionError(f"disconnected from {self.uri} while connecting")

    async def _within_the_timeout(self) -> None:
        timeout = self._settings.connection_timeout
        with self.rt.move_on_after(timeout):
            cookie = await self._account.cookie(self._token)
            self._token = ""
            await self._enter(cookie)
            return
        raise ConnectionError(f"not connected to {self.uri} within {timeout:g} s")

    async def _enter(self, cookie: str) -> None:
        socket = Socket(
            self.rt,
            self._settings.server,
            cookie,
            self._settings.transport,
            Backpressure(self._handler_runner.queue),
            self._emit,
        )
        try:
            assert self._nursery is not None
            await socket.open(self._nursery)
        except Refused as exc:
            await self._explain(exc)
        try:
            await self._restore_name(socket)
        except BaseException:
            await socket.abort()
            raise
        # No await from here: handlers and callers must see the state that the events report.
        self._socket = socket
        self._state = ConnectionState.CONNECTED
        socket.begin()

    async def _explain(self, refused: Refused) -> None:
        """Raise the reason of a refusal: ``/auth/me`` tells a bad session from a full server."""
        try:
            await self._account.me()
        except AuthenticationError as exc:
            raise AuthenticationError(
                f"{exc}; request a link with login(email)", reason=exc.reason
            ) from None
        raise ConnectionError(
            f"{self.uri} refused the connection ({shown(refused)}), although the session is valid: "
            "it may be full",
            detail=str(refused),
        )

    async def _restore_name(self, socket: Socket) -> None:
        """Set the display name again, which belongs to a connection at the server."""
        if self._name is None:
            return
        reply = await socket.call("set_display_name", {"display_name": self._name}, ACK_TIMEOUT)
        if "error" in reply:
            why = shown(reply["error"])
            log.warning("the display name %r was not restored: %s", self._name, why)
        else:
            socket.user["display_name"] = reply.get("display_name")

    # ---- calls

    async def send(self, content: str) -> dict[str, Any]:
        return await self.socket().call("message", {"content": content}, ACK_TIMEOUT)

    async def set_display_name(self, name: str | None) -> dict[str, Any]:
        socket = self.socket()
        reply = await socket.call("set_display_name", {"display_name": name}, ACK_TIMEOUT)
        if "error" not in reply:
            self._name = name
            socket.user["display_name"] = reply.get("display_name")
        return reply

    def _emit(self, name: str, data: dict[str, Any], size: int = 100) -> None:
        """Pass an event to the handlers and to iteration; its packet has ``size`` bytes."""
        if name == "authenticated" and self._socket is not None:
            data = {**data, "user": dict(self._socket.user)}  # with the restored name
        item = ReceivedItem(RoomzEvent(name, complete(name, data)), size)
        self._handler_runner.queue.put(item)
        self.inbox.put(item)

    # ---- leaving

    async def leave(self) -> None:
        """Disconnect, and wait for the handlers, unless called from one.

        Handlers that make no progress for 5 s are cancelled. Cancelled: leaves immediately.
        """
        if not self.over.is_set():  # an ended session can be left from any loop
            self.home.check_loop()
        self._leaving = True
        socket = self._socket
        if socket is not None and socket.alive:
            await socket.close()
        self._opening.cancel()
        await self.ended.wait()
        if not self.in_handler:
            await self.over.wait()

    def abort(self) -> None:
        """End the session immediately."""
        self._leaving = True
        self._scope.cancel()
