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
    and disconnects at the end of the block. Without either, call `login` and `connect` inside the
    block. `connect` and `disconnect` also work without a block, and `run` in a nursery.

    ``server_url`` is ``http://host:port`` or ``https://``. ``session_token`` is the token of a
    magic link, which can be used once. With ``reconnect``, a lost connection is dialled again after
    ``reconnect_delay * 2**n`` seconds plus a small random time, ``max_reconnect_attempts`` times.
    ``connection_timeout`` limits the whole of connecting, in seconds. The session is kept in
    ``session_cache_file``, which only its owner can read, or else in memory. ``transport`` is as in
    the Vuer client.

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
        self._session: RoomzSession | None = None
        self._nursery: Nursery | None = None  # the nursery of the block, while inside it
        self._abandon: Callable[[], object] | None = None

    # ---- state

    @property
    def server_url(self) -> str:
        """The URL as given."""
        return self._settings.server.url

    @property
    def connected(self) -> bool:
        """Whether the client is connected and authenticated."""
        return self.connection_state is ConnectionState.CONNECTED

    @property
    def connection_state(self) -> ConnectionState:
        """The current state."""
        return self._session.state if self._session is not None else ConnectionState.DISCONNECTED

    @property
    def user(self) -> dict[str, Any] | None:
        """``{"id", "email", "display_name"}`` while it is connected, else None."""
        return self._session.user if self._session is not None else None

    @property
    def display_name(self) -> str | None:
        """The display name at the server, while the client is connected."""
        user = self.user
        return user.get("display_name") if user else None

    def __repr__(self) -> str:
        return f"<AsyncClient {self._settings.server.shown} {self.connection_state.value}>"

    # ---- handlers and events

    def on(self, event: str, handler: EventHandler) -> None:
        """Call ``handler(data)``, sync or async, for each event named ``event``.

        ``authenticated``, ``message``, ``user_joined``, ``user_left``, ``display_name_changed``,
        ``disconnect`` and ``error``. Handlers run one after another, in the order of the events
        and of their registration. A handler may call any method of the client. If it raises, the
        error is logged, and the next handler runs.
        """
        self._handlers.add(event, handler)

    def off(self, event: str, handler: EventHandler | None = None) -> None:
        """Remove a handler, or all handlers of an event, with immediate effect."""
        self._handlers.remove(event, handler)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RoomzEvent:
        """The next event of any name. The newest 1,024 events are kept for this.

        Iteration ends after `disconnect`, and raises ConnectionError or AuthenticationError if the
        connection has ended for good. Cancelled: no event has been taken.
        """
        session = self._session
        if session is None:
            raise ConnectionError(f"{self!r}: connect first, then iterate")
        session.home.check_loop()
        await session.rt.checkpoint()
        inbox = session.inbox
        while not inbox.items:
            if isinstance(inbox.closed, ClientClosed):
                raise StopAsyncIteration
            if inbox.closed is not None:
                raise renew(inbox.closed)
            await inbox.arrival()
        event = inbox.pop().event
        dropped, inbox.dropped_since = inbox.dropped_since, 0
        return replace(event, dropped_before=dropped) if dropped else event

    # ---- authentication

    async def login(self, email: str) -> bool:
        """Request a magic link for an email address; its token is for `connect`. Returns True.

        Raises ConnectionError, with the server's ``status`` and ``detail`` if it answered.
        """
        if not isinstance(email, str):
            raise TypeError(must_be("email", "a str, 'user@example.com'", email))
        await self._in_time(http.request_link, self._settings.server, email)
        return True

    async def me(self) -> dict[str, Any]:
        """``{"email", "created_at"}`` of the session, from the server.

        Raises AuthenticationError if the server accepts no session, and ConnectionError.
        """
        user: dict[str, Any] = await self._in_time(self._account.me)
        return user

    async def logout(self) -> None:
        """Disconnect, and end the session, locally and at the server. Raises ConnectionError."""
        await self.disconnect()
        await self._in_time(self._account.log_out)

    def clear_cached_session(self) -> None:
        """Forget the session, in memory and on disk. An open connection stays open until lost."""
        self._account.forget()

    async def _in_time(self, fn: Any, *args: Any) -> Any:
        """Await ``fn(*args)``; raise ConnectionError after the connection timeout."""
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
        """Connect, with the token of a magic link or with an earlier session.

        The tasks of the connection belong to the block of the client or to ``nursery``; without
        either, to a system task, until `disconnect`. ``token`` is the same as ``session_token``.

        Raises AuthenticationError if the token or the session is not accepted, or if both are
        missing; ConnectionError for everything else; ClientError while connected. Cancelled:
        nothing is left open; the token may have been used.
        """
        if token is not None and session_token is not None:
            raise TypeError("session_token= and token= are one option; give one of them")
        given = _token(token if session_token is None else session_token)
        state = self.connection_state
        if state is not ConnectionState.DISCONNECTED:
            raise ClientError(f"{self!r} is already {state.value}; disconnect() first")
        load_codec()  # a missing package must not use up the token
        needed("httpx2")
        rt = runtime()
        session = RoomzSession(
            rt, self._settings, self._account, self._handlers, self._call_handler, given
        )
        self._session = session
        home = nursery if nursery is not None else self._nursery
        failure = await open_connection(session, home)
        if failure is not None:
            raise failure
        if home is None:
            call = rt.loop_caller()
            self._abandon = lambda: call(session.abort)

    async def disconnect(self) -> None:
        """Disconnect, and wait until the handlers have seen all received events.

        A handler that takes more than 5 s is cancelled. Called from a handler, it does not wait for
        handlers. It also stops reconnecting, and does nothing without a connection. Cancelled:
        disconnects immediately.
        """
        self._abandon = None
        if self._session is None:
            await runtime().checkpoint()
        else:
            await self._session.leave()

    async def run(self, *, task_status: TaskStatus[Self] | None = None) -> None:
        """Run a connection: ``client = await nursery.start(AsyncClient(url, token).run)``.

        Returns after `disconnect`. Raises as `connect`, and the error that ended the connection for
        good. Cancelled: disconnects immediately.
        """
        previous = self._session
        async with self:
            if self._session is previous:
                await self.connect()
            session = self._session
            assert session is not None
            if task_status is not None:
                task_status.started(self)
            await session.over.wait()
        error = session.inbox.closed
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
            with suppress(RuntimeError):  # the loop, and so the connection, has ended
                abandon()

    # ---- messages

    async def send(self, content: str) -> dict[str, Any]:
        """Send a message to all devices of this user.

        Returns ``{"status": "ok", "message_id", "timestamp"}``, or ``{"error", "code"}``: 400 if
        the server rejects the content, 408 without an acknowledgement within 5 s, 413 if the
        content is too large. Raises ConnectionError if the client is not connected, or if the
        connection is lost. Cancelled: the message may have been sent.
        """
        if not isinstance(content, str):
            raise TypeError(must_be("content", "a str", content, secret=True))
        return await self._here().send(content)

    async def set_display_name(self, name: str | None) -> dict[str, Any]:
        """Set the name of this connection, or clear it with None. Reconnecting restores it.

        Returns ``{"status": "ok", "display_name"}``, or ``{"error", "code"}`` as `send`. Names
        have 1 to 50 characters. Raises and is cancelled as `send`.
        """
        if name is not None and not isinstance(name, str):
            raise TypeError(must_be("name", "a str, or None for no name", name))
        return await self._here().set_display_name(name)

    @property
    def _in_handler(self) -> bool:
        """Whether the caller is one of the client's handlers."""
        return self._session is not None and self._session.in_handler

    async def _wait_over(self) -> None:
        """Wait until the connection and its handlers have ended."""
        if self._session is not None:
            await self._session.over.wait()

    def _here(self) -> RoomzSession:
        if self._session is None:
            raise ConnectionError(f"not connected to {self._settings.server.shown}: connect first")
        return self._session


def _token(given: str | None) -> str:
    if given is not None and not isinstance(given, str):
        what = "a str, the token of a magic link"
        raise TypeError(must_be("session_token", what, given, secret=True))
    return (given or "").strip()


#: ``async with open_roomz_client(url, ...) as client``: the client is its own context manager
open_roomz_client = AsyncClient
