"""One visit to a server, from `connect` to the end: socket after socket, and the handlers."""

from __future__ import annotations

import logging
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from .._client.options import check_choice, check_seconds, check_size
from .._connection.policies import DropOldest
from .._connection.queue import Queue
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
from .events import ConnectionState, Handlers, Item, RoomzEvent, complete
from .handler_runner import Calling, Gate, HandlerCaller
from .socket import Refused, Socket

if TYPE_CHECKING:
    from .._async_types import AsyncEvent, Nursery

__all__ = ["ACK_TIMEOUT", "RoomzSession", "Settings"]

log: logging.Logger = logging.getLogger("vuer_trio.roomz")

#: seconds that the server has for an acknowledgement, as in the reference
ACK_TIMEOUT = 5.0
#: events that wait for `async for`; nobody need iterate, so of more the oldest are dropped
_INBOX = DropOldest(1024, max_bytes=4 << 20)
#: seconds: the shortest and the longest delay before a dial, and the most that chance adds
_SHORTEST, _LONGEST, _JITTER = 0.01, 300.0, 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """A client's options, checked. Times in seconds."""

    server: Server
    reconnect: bool
    reconnect_delay: float
    max_reconnect_attempts: int
    connection_timeout: float
    transport: TransportName

    def __post_init__(self) -> None:
        """Raises TypeError and ValueError that name the option."""
        times = ("reconnect_delay", "connection_timeout")
        check_seconds(self, times, positive=("connection_timeout",))
        if self.reconnect_delay == math.inf:
            raise ValueError("reconnect_delay must be finite, got inf; use reconnect=False")
        if not isinstance(self.reconnect, bool):
            raise TypeError(must_be("reconnect", "True or False", self.reconnect))
        if self.max_reconnect_attempts != 0:
            check_size("max_reconnect_attempts", self.max_reconnect_attempts)
        check_choice("transport", self.transport, get_args(TransportName))

    def delay(self, attempt: int) -> float:
        """Seconds before the ``attempt``-th dial of a gap, from 0."""
        delay = min(_LONGEST, max(_SHORTEST, self.reconnect_delay * 2.0 ** min(attempt, 64)))
        return delay + random.uniform(0, min(_JITTER, delay / 2))


@protected_methods
class RoomzSession:
    """`run` is its life; `leave` ends it cleanly, `abort` at once. It knows no client."""

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
        self.inbox: Queue[Item] = _INBOX.open(rt)
        #: nothing is connected, and no event comes any more; handlers may still run
        self.ended: AsyncEvent = rt.Event()
        self.over: AsyncEvent = rt.Event()
        self._settings = settings
        self._account = account
        self._calling = Calling(rt, handlers, call)
        self._token = token
        self._state = ConnectionState.CONNECTING
        self._socket: Socket | None = None
        self._name: str | None = None  # to be restored, as the user gave it
        self._leaving = False
        self._scope = rt.CancelScope()
        self._opening = rt.CancelScope()  # of the first attempt, then of each gap
        self._nursery: Nursery | None = None
        self._struck: ClientClosed | None = None  # by an interrupt, which calls raise

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
        """Whether one of its handlers asks."""
        return self._calling.inside

    def socket(self) -> Socket:
        """The open one. Raises ConnectionError; RuntimeError in another loop."""
        self.home.check_loop()
        if (state := self.state) is not ConnectionState.CONNECTED:
            how = "connect first" if state is ConnectionState.DISCONNECTED else state.value
            raise ConnectionError(f"not connected to {self.uri}: {how}")
        assert self._socket is not None
        return self._socket

    # ---- life

    async def run(self, status: Any) -> None:
        """Connect, and stay. ``status.started()`` gets None, or what connecting failed with.

        Raises nothing but a cancellation, which ends it at once.
        """
        try:
            with self._scope:
                async with self.rt.open_nursery() as self._nursery:
                    self._nursery.start_soon(self._calling.run)
                    await self._stay(status)
                    self.ended.set()
                    await self._calling.finish()
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
        except Exception as exc:  # a fault of ours: told to the user as what it is
            log.exception("the visit to %s failed", self.uri)
            self._end(
                ConnectionError(f"the connection to {self.uri} failed: {describe(exc, repr)}")
            )

    async def _until_lost(self) -> bool:
        """Wait for the end of the socket; whether to connect again."""
        assert self._socket is not None
        if self._leaving:  # the connection was made in the step in which its user left
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
        """Dial until it succeeds, or the attempts are used up, or it is pointless."""
        settings, failure = self._settings, "no attempt was made"
        self._opening = self.rt.CancelScope()
        with self._opening:
            for attempt in range(settings.max_reconnect_attempts):
                await self.rt.sleep(settings.delay(attempt))
                try:
                    await self._within_the_timeout()
                    return True
                except AuthenticationError as exc:
                    self._give_up(exc, {"error": str(exc), "code": 401})
                    return False
                except ClientError as exc:
                    log.info("attempt %d to reconnect: %s", attempt + 1, exc)
                    failure = str(exc)
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
            Gate(self._calling.queue),
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
        # No await from here: whoever is told finds it as it is told.
        self._socket = socket
        self._state = ConnectionState.CONNECTED
        socket.begin()

    async def _explain(self, refused: Refused) -> None:
        """A bad session and a full server are refused alike; ``/auth/me`` tells them apart."""
        try:
            await self._account.me()
        except AuthenticationError as exc:
            raise AuthenticationError(
                f"{exc}; request a link with login(email)", reason=exc.reason
            ) from None
        raise ConnectionError(
            f"{self.uri} refused the connection ({shown(refused)}), though the session is good: it "
            "may be full",
            detail=str(refused),
        )

    async def _restore_name(self, socket: Socket) -> None:
        """The server forgets the name of a connection that is gone."""
        if self._name is None:
            return
        reply = await socket.call("set_display_name", {"display_name": self._name}, ACK_TIMEOUT)
        if "error" in reply:
            why = shown(reply["error"])
            log.warning("the display name %r was not restored: %s", self._name, why)
        else:
            socket.user["display_name"] = reply.get("display_name")

    # ---- what its user does

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
        """To the handlers and to who iterates. ``size`` in bytes, of the packet."""
        if name == "authenticated" and self._socket is not None:
            data = {**data, "user": dict(self._socket.user)}  # with the name restored
        item = Item(RoomzEvent(name, complete(name, data)), size)
        self._calling.queue.put(item)
        self.inbox.put(item)

    # ---- leaving

    async def leave(self) -> None:
        """Disconnect; in a handler it does not wait for the handlers, else it does.

        Handlers that get nowhere for 5 s are cancelled. Cancelled: leaves at once.
        """
        if not self.over.is_set():  # what has ended belongs to no loop any more
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
        """End it at once."""
        self._leaving = True
        self._scope.cancel()
