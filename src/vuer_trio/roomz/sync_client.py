"""The blocking Roomz client."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, Self

from .._errors import ClientClosed
from ..sync import Portal, call_in_thread
from .client import AsyncClient
from .errors import ClientError, ConnectionError
from .events import ConnectionState, EventHandler

__all__ = ["SyncClient"]


class SyncClient:
    """The methods of `AsyncClient`, blocking, from any thread.

    ``with SyncClient(url, token) as client`` connects, and disconnects at the end of the block.
    The client runs on Trio in a thread of its own from `connect` to `disconnect`. Handlers are
    called one after another, in a worker thread, and may call every method. The session is kept
    in memory only.
    """

    def __init__(
        self,
        server_url: str,
        session_token: str,
        *,
        reconnect: bool = True,
        reconnect_delay: float = 1.0,
        max_reconnect_attempts: int = 5,
        connection_timeout: float = 10.0,
    ) -> None:
        self._portal: Portal | None = None
        self._opening = Lock()
        self._client = AsyncClient(
            server_url,
            session_token,
            reconnect=reconnect,
            reconnect_delay=reconnect_delay,
            max_reconnect_attempts=max_reconnect_attempts,
            connection_timeout=connection_timeout,
        )
        self._client._call_handler = call_in_thread

    # ---- state

    @property
    def server_url(self) -> str:
        """The URL as given."""
        return self._client.server_url

    @property
    def connected(self) -> bool:
        """Whether the client is connected and authenticated."""
        return self._client.connected

    @property
    def connection_state(self) -> ConnectionState:
        """The current state."""
        return self._client.connection_state

    @property
    def user(self) -> dict[str, Any] | None:
        """``{"id", "email", "display_name"}`` while it is connected, else None."""
        return self._client.user

    @property
    def display_name(self) -> str | None:
        """The display name at the server, while the client is connected."""
        return self._client.display_name

    def __repr__(self) -> str:
        return repr(self._client).replace("AsyncClient", "SyncClient")

    # ---- handlers

    def on(self, event: str, handler: EventHandler) -> None:
        """Call ``handler(data)`` for each event named ``event``, in the order of the events."""
        self._client.on(event, handler)

    def off(self, event: str, handler: EventHandler | None = None) -> None:
        """Remove a handler, or all handlers of an event, with immediate effect."""
        self._client.off(event, handler)

    # ---- connecting

    def login(self, email: str) -> bool:
        """Request a magic link for an email address. Raises ConnectionError."""
        return bool(self._somewhere(partial(self._client.login, email)))

    def me(self) -> dict[str, Any]:
        """``{"email", "created_at"}``. Raises AuthenticationError and ConnectionError."""
        user: dict[str, Any] = self._somewhere(self._client.me)
        return user

    def connect(self, session_token: str | None = None, *, token: str | None = None) -> None:
        """Connect, with a token or with an earlier session.

        Raises AuthenticationError, ConnectionError, and ClientError while it is connected.
        """
        with self._opening:
            if self.connection_state is not ConnectionState.DISCONNECTED:
                state = self.connection_state.value
                raise ClientError(f"{self!r} is already {state}; disconnect() first")
            self._stop()  # the thread of a connection that was lost for good
            portal = Portal(f"roomz {self._client._settings.server.shown}")
            try:
                portal.call(partial(self._client.connect, session_token, token=token))
            except BaseException:
                portal.stop()
                raise
            self._portal = portal

    def disconnect(self) -> None:
        """Disconnect, and end the thread. Called from a handler, it does not wait for handlers."""
        portal = self._portal
        if portal is not None and portal.forked:
            self._portal = None  # forked: the connection belongs to the parent
        elif portal is not None:
            try:
                portal.call(self._client.disconnect)
            except ClientClosed:
                pass  # another thread stopped it
            finally:
                self._stop()

    def _stop(self) -> None:
        portal, self._portal = self._portal, None
        if portal is not None:
            if self._client._in_handler:  # the handlers must return first
                portal.stop_after(self._client._wait_over)
            else:
                portal.stop()

    def logout(self) -> None:
        """Disconnect, and end the session, locally and at the server. Raises ConnectionError."""
        self.disconnect()
        self._somewhere(self._client.logout)

    def clear_cached_session(self) -> None:
        """Forget the session. An open connection stays open, until it is lost."""
        self._client.clear_cached_session()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        self.disconnect()

    def __del__(self) -> None:
        portal = getattr(self, "_portal", None)
        if portal is not None and not portal.forked:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, stacklevel=1, source=self)
            self._client._abandon = None  # else it would warn again
            portal.stop(wait=False)

    # ---- messages

    def send(self, content: str) -> dict[str, Any]:
        """Send a message; returns the acknowledgement. Raises ConnectionError if not connected."""
        return self._here(partial(self._client.send, content))

    def set_display_name(self, name: str | None) -> dict[str, Any]:
        """Set the display name, or clear it with None. Returns and raises as `send`."""
        return self._here(partial(self._client.set_display_name, name))

    def _here(self, fn: Callable[[], Any]) -> dict[str, Any]:
        portal = self._portal
        if portal is None:
            raise ConnectionError(f"{self!r}: connect() first")
        try:
            reply: dict[str, Any] = portal.call(fn)
        except ClientClosed as exc:
            raise ConnectionError(f"{self!r} was disconnected during the call") from exc
        return reply

    def _somewhere(self, fn: Callable[[], Any]) -> Any:
        """Run ``fn`` in the loop of the connection, or else in a temporary one."""
        if self._portal is not None:
            return self._portal.call(fn)
        portal = Portal("roomz")
        try:
            return portal.call(fn)
        finally:
            portal.stop()
