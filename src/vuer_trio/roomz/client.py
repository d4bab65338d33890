"""The Roomz client."""

from __future__ import annotations

import os
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from .._connection.opening import open_connection
from .._errors import ClientClosed, renew
from .._formatting import must_be
from .._interrupts import protected_methods
from .._nursery import open_plain_nursery
from .._reentrant import ReentrantContextManager
from .._runtime import runtime
from .._transport_name import TransportName
from . import http
from .account import Account
from .address import parse_server
from .cache import SessionCache
from .errors import ClientError, ConnectionError, needed
from .events import ConnectionState, EventHandler, Handlers, RoomzEvent
from .handler_runner import HandlerCaller, call_handler
from .packets import load_codec
from .session import RoomzSession, Settings

if TYPE_CHECKING:
    from .._async_types import Nursery, TaskStatus

__all__ = ["AsyncClient", "open_roomz_client"]


@protected_methods
class AsyncClient(ReentrantContextManager):
    """A client of a Roomz chat server, on Trio and asyncio.

    ``async with AsyncClient(url, token) as client`` connects if there is a token or a session,
    and disconnects at the end of the block; without either, `login` and `connect` in the block
    do. `connect` and `disconnect` do without a block, and `run` in a nursery.

    ``server_url`` is ``http://host:port`` or ``https://``. ``session_token`` is the token of a
    magic link, which is redeemed once. ``reconnect``: when the connection is lost, dial again
    after ``reconnect_delay * 2**n`` seconds and a little by chance, ``max_reconnect_attempts``
    times. ``connection_timeout`` is for the whole of connecting, in seconds. The session is kept
    in ``session_cache_file``, readable by its owner only, or in memory without one.
    ``transport``: as that of the Vuer client.

    Raises TypeError and ValueError for invalid options.
    """

    def __init__(
        self,
        server_url: str,
        session_token: str = "",
        *,
        reconnect: bool = True,
        reconnect_delay: float = 1.0,
        max_reconnect_attempts: int = 5,
        connection_timeout: float = 10.0,
        session_cache_file: str | Path | None = None,
        transport: TransportName = "auto",
    ) -> None:
        server = parse_server(server_url)
        if not isinstance(session_cache_file, str | os.PathLike | None):
            raise TypeError(must_be("session_cache_file", "a path", session_cache_file))
        self._settings = Settings(
            server,
            reconnect,
            reconnect_delay,
            max_reconnect_attempts,
            connection_timeout,
            transport,
        )
        cache = None if session_cache_file is None else SessionCache(session_cache_file)
        self._account = Account(server, _token(session_token), cache)
        self._handlers = Handlers()
        self._call_handler: HandlerCaller = call_handler
        self._visit: RoomzSession | None = None
        self._nursery: Nursery | None = None  # of the block
        self._abandon: Callable[[], object] | None = None

    # ---- state

    @property
    def server_url(self) -> str:
        """As it was given."""
        return self._settings.server.url

    @property
    def connected(self) -> bool:
        """Whether it is connected and authenticated."""
        return self.connection_state is ConnectionState.CONNECTED

    @property
    def connection_state(self) -> ConnectionState:
        """As it is now."""
        return self._visit.state if self._visit is not None else ConnectionState.DISCONNECTED

    @property
    def user(self) -> dict[str, Any] | None:
        """``{"id", "email", "display_name"}`` while it is connected, else None."""
        return self._visit.user if self._visit is not None else None

    @property
    def display_name(self) -> str | None:
        """The display name, as the server has it, while it is connected."""
        user = self.user
        return user.get("display_name") if user else None

    def __repr__(self) -> str:
        return f"<AsyncClient {self._settings.server.shown} {self.connection_state.value}>"

    # ---- handlers and events

    def on(self, event: str, handler: EventHandler) -> None:
        """Call ``handler(data)``, sync or async, for each event of a name.

        ``authenticated``, ``message``, ``user_joined``, ``user_left``, ``display_name_changed``,
        ``disconnect`` and ``error``. Handlers run one after another, in the order of the events
        and of their registration; each may call any method of the client. What one raises is
        logged, and the next one runs.
        """
        self._handlers.add(event, handler)

    def off(self, event: str, handler: EventHandler | None = None) -> None:
        """Take a handler away, or all of an event: from now on it is not called."""
        self._handlers.remove(event, handler)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RoomzEvent:
        """The next event of any name; the newest 1,024 wait for it.

        It ends after `disconnect`, and raises ConnectionError or AuthenticationError when the
        connection was lost for good. Cancelled: nothing has been taken.
        """
        visit = self._visit
        if visit is None:
            raise ConnectionError(f"{self!r}: connect first, then iterate")
        visit.home.check_loop()
        await visit.rt.checkpoint()
        inbox = visit.inbox
        while not inbox.items:
            if isinstance(inbox.closed, ClientClosed):
                raise StopAsyncIteration
            if inbox.closed is not None:
                raise renew(inbox.closed)
            await inbox.arrival()
        event = inbox.pop().event
        dropped, inbox.dropped_since = inbox.dropped_since, 0
        return replace(event, dropped_before=dropped) if dropped else event

    # ---- who you are

    async def login(self, email: str) -> bool:
        """Have a magic link sent to an address. True; its token is for `connect`.

        Raises ConnectionError, with the server's ``status`` and ``detail`` if it answered.
        """
        if not isinstance(email, str):
            raise TypeError(must_be("email", "a str, 'user@example.com'", email))
        await self._in_time(http.request_link, self._settings.server, email)
        return True

    async def me(self) -> dict[str, Any]:
        """``{"email", "created_at"}`` of the session, as the server has it.

        Raises AuthenticationError without a session that it accepts, and ConnectionError.
        """
        user: dict[str, Any] = await self._in_time(self._account.me)
        return user

    async def logout(self) -> None:
        """Disconnect, and end the session, here and at the server. Raises ConnectionError."""
        await self.disconnect()
        await self._in_time(self._account.log_out)

    def clear_cached_session(self) -> None:
        """Forget the session, in memory and on disk. An open connection stays open,
        until it is lost."""
        self._account.forget()

    async def _in_time(self, fn: Any, *args: Any) -> Any:
        """Within the connection timeout."""
        needed("httpx2")
        timeout = self._settings.connection_timeout
        with runtime().move_on_after(timeout):
            return await fn(*args)
        raise ConnectionError(f"no answer from {self._settings.server.shown} within {timeout:g} s")

    # ---- connecting

    async def connect(
        self,
        session_token: str | None = None,
        *,
        token: str | None = None,
        nursery: Nursery | None = None,
    ) -> None:
        """Connect, with a magic link's token or with the session from before.

        In the block of the client, or in ``nursery``, its tasks belong to that; elsewhere to a
        system task, until `disconnect`. ``token`` is the same as ``session_token``.

        Raises AuthenticationError for a token or a session that is not accepted, or if both are
        missing; ConnectionError for everything else; ClientError while it is connected. Cancelled:
        nothing is left open; the token may be used up.
        """
        if token is not None and session_token is not None:
            raise TypeError("session_token= and token= are one option; give one of them")
        given = _token(token if session_token is None else session_token)
        state = self.connection_state
        if state is not ConnectionState.DISCONNECTED:
            raise ClientError(f"{self!r} is already {state.value}; disconnect() first")
        load_codec()  # before the token is used up
        needed("httpx2")
        rt = runtime()
        visit = RoomzSession(
            rt, self._settings, self._account, self._handlers, self._call_handler, given
        )
        self._visit = visit
        home = nursery if nursery is not None else self._nursery
        failure = await open_connection(visit, home)
        if failure is not None:
            raise failure
        if home is None:
            call = rt.loop_caller()
            self._abandon = lambda: call(visit.abort)

    async def disconnect(self) -> None:
        """Disconnect, and wait for the handlers of what has been received.

        In a handler it does not wait for them. A handler that takes more than 5 s then is
        cancelled. While reconnecting, it stops that. Without a connection it does nothing.
        Cancelled: leaves at once.
        """
        self._abandon = None
        if self._visit is None:
            await runtime().checkpoint()
        else:
            await self._visit.leave()

    async def run(self, *, task_status: TaskStatus[Self] | None = None) -> None:
        """Carry a connection: ``client = await nursery.start(AsyncClient(url, token).run)``.

        Returns after `disconnect`. Raises as `connect`, and what ended the connection for good.
        Cancelled: leaves at once.
        """
        previous = self._visit
        async with self:
            if self._visit is previous:
                await self.connect()
            visit = self._visit
            assert visit is not None
            if task_status is not None:
                task_status.started(self)
            await visit.over.wait()
        error = visit.inbox.closed
        if error is not None and not isinstance(error, ClientClosed):
            raise renew(error)

    @asynccontextmanager
    async def _in_block(self) -> AsyncIterator[None]:
        if self._nursery is not None or self.connection_state is not ConnectionState.DISCONNECTED:
            raise ClientError(f"{self!r} is already in use; disconnect() first")
        try:
            async with open_plain_nursery(runtime()) as self._nursery:
                if self._account.known():
                    await self.connect()
                yield
                await self.disconnect()
        finally:
            self._nursery = None

    def __del__(self) -> None:
        abandon = getattr(self, "_abandon", None)
        if abandon is not None and self.connection_state is not ConnectionState.DISCONNECTED:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, stacklevel=1, source=self)
            with suppress(RuntimeError):  # the loop has ended, and the connection with it
                abandon()

    # ---- talking

    async def send(self, content: str) -> dict[str, Any]:
        """Send a message to all devices of this user.

        Returns ``{"status": "ok", "message_id", "timestamp"}``, or ``{"error", "code"}``: 400 for
        what the server does not accept, 408 without its acknowledgement within 5 s, 413 for more
        than it accepts. Raises ConnectionError if it is not, or no longer, connected. Cancelled:
        the message may have been sent.
        """
        if not isinstance(content, str):
            raise TypeError(must_be("content", "a str", content, secret=True))
        return await self._here().send(content)

    async def set_display_name(self, name: str | None) -> dict[str, Any]:
        """Set the name of this connection, or clear it with None. It is restored when reconnecting.

        Returns ``{"status": "ok", "display_name"}``, or ``{"error", "code"}`` as `send`. Names
        have 1 to 50 characters. Raises and is cancelled as `send`.
        """
        if name is not None and not isinstance(name, str):
            raise TypeError(must_be("name", "a str, or None for no name", name))
        return await self._here().set_display_name(name)

    @property
    def _in_handler(self) -> bool:
        """Whether one of its handlers asks."""
        return self._visit is not None and self._visit.in_handler

    async def _wait_over(self) -> None:
        """Wait until the connection has ended, and its handlers with it."""
        if self._visit is not None:
            await self._visit.over.wait()

    def _here(self) -> RoomzSession:
        if self._visit is None:
            raise ConnectionError(f"not connected to {self._settings.server.shown}: connect first")
        return self._visit


def _token(given: str | None) -> str:
    if given is not None and not isinstance(given, str):
        what = "a str, the token of a magic link"
        raise TypeError(must_be("session_token", what, given, secret=True))
    return (given or "").strip()


#: ``async with open_roomz_client(url, ...) as client``: the client is its own context manager
open_roomz_client = AsyncClient
