"""Dialling a relay.

A relay rejects a token only after the WebSocket handshake, so a dial succeeds with the first frame,
not with the handshake.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from .._client.connecting import connection_failed, dial_now, in_time
from .._client.options import Options
from .._connection.link import CLEANUP, Link
from .._errors import VuerError
from .._formatting import shown, without
from .._interrupts import protected_methods
from .._net.rejection import Rejected
from .._websocket.transport import CloseInfo, Message, Transport
from ._errors import AuthenticationError, RateLimited
from .account import Account

if TYPE_CHECKING:
    from .._async_types import CancelScope, Nursery
    from .._runtime import Runtime

__all__ = ["Busy", "Dialler", "HandshakeBuffer", "Refused", "failed", "verdict"]

log: logging.Logger = logging.getLogger("vuer_trio.arc")

#: close codes of the ARC protocol
BAD_TOKEN, TOO_MANY = 4001, 4029


#: why redirects to another server are not followed: that server would need the token
_STAYS = "the token is not sent to another server; open the client with its URL as relay_url="


class Refused(Exception):
    """The relay closed the connection because of the token."""


class Busy(ConnectionError):
    """The relay closed the connection because of too many messages."""


@protected_methods
class HandshakeBuffer:
    """A sink that keeps messages until the link is open, then passes them on to it."""

    def __init__(self, link: Link) -> None:
        self.rt: Runtime = link.rt
        self._link = link
        self._kept: list[Message] | None = []
        self._released = link.rt.Event()
        self._waiting: CancelScope | None = None  # cancelled by the first frame

    async def first(self, transport: Transport, timeout: float) -> CloseInfo | None:
        """Read until the first frame arrives. Returns the CloseInfo if the connection ends first.

        A relay may send nothing, so it returns None after ``timeout`` seconds as well.
        """
        with self.rt.move_on_after(timeout) as self._waiting:
            if not self._kept:
                return await transport.read()
        return None

    def release(self) -> None:
        """The link is open: pass on the kept messages and all later ones."""
        kept, self._kept = self._kept, None
        if kept:
            self._link.deliver(kept)
        self._released.set()

    # ---- Sink

    def deliver(self, messages: Sequence[Message]) -> bool:
        if self._kept is None:
            return self._link.deliver(messages)
        self._kept.extend(messages)
        if self._waiting is not None:
            self._waiting.cancel()
        return True

    def heard(self, size: int) -> None:
        self._link.heard(size)

    def ponged(self, payload: bytes) -> None:
        self._link.ponged(payload)

    def wake_writer(self) -> None:
        self._link.wake_writer()

    @property
    def full(self) -> bool:
        return bool(self._kept) or self._link.full

    async def drained(self) -> None:
        if self._kept is not None:
            await self._released.wait()
        if self._link.full:
            await self._link.drained()

    async def turn(self) -> None:
        await self._link.turn()


@protected_methods
class Dialler:
    """Dials one relay. ``buffer`` is the `HandshakeBuffer` of the latest dial."""

    def __init__(
        self, options: Options, account: Account, welcome_timeout: float, reregister: bool
    ) -> None:
        self.buffer: HandshakeBuffer | None = None
        self._options = options
        self._account = account
        self._welcome_timeout = welcome_timeout
        self._reregister = reregister

    async def dial(self, link: Link, nursery: Nursery) -> Transport:
        """Register if there is no token, then connect with it.

        Raises TimeoutError after ``connect_timeout``, and the errors that `failed` converts.
        Cancelled: nothing is left open.
        """
        return await in_time(self._options, link, self._dial(link, nursery))

    async def _dial(self, link: Link, nursery: Nursery) -> Transport:
        account = self._account
        fresh = account.token is None
        if fresh:
            await account.register()
        while True:
            try:
                return await self._enter_either_way(link, nursery)
            except (Refused, Rejected) as exc:
                if not _is_about_the_token(exc) or fresh or not self._reregister:
                    raise
            log.info("%s rejected the token: registering again", link.uri)
            fresh, account.token = True, None
            await account.register()

    async def _enter_either_way(self, link: Link, nursery: Nursery) -> Transport:
        """Connect with the token in a header; if that does not reach the relay, in the query."""
        account = self._account
        try:
            return await self._enter(link, nursery, account.in_query)
        except (Refused, Rejected) as exc:
            missing = "missing" in str(exc).lower() or isinstance(exc, Rejected)
            if account.in_query or not missing or not _is_about_the_token(exc):
                raise
            first = exc
        try:
            transport = await self._enter(link, nursery, True)
        except (Refused, Rejected):
            raise first from None
        account.in_query = True
        return transport

    async def _enter(self, link: Link, nursery: Nursery, in_query: bool) -> Transport:
        buffer = self.buffer = HandshakeBuffer(link)
        rt = link.rt
        transport = await dial_now(self._with_token(in_query), buffer, nursery, stays=_STAYS)
        try:
            close_info = await buffer.first(transport, self._welcome_timeout)
            if close_info is None:
                return transport
            with suppress(OSError), rt.move_on_after(self._options.close_timeout):
                await transport.write(())  # reply to its close frame
        except BaseException:
            transport.abort(())
            with rt.CancelScope(shield=True, deadline=rt.current_time() + CLEANUP):
                await transport.aclose()
            raise
        with rt.CancelScope(shield=True, deadline=rt.current_time() + CLEANUP):
            await transport.aclose()
        raise _how(close_info, self._account.token)

    def _with_token(self, in_query: bool) -> Options:
        options, token = self._options, self._account.token
        assert token is not None
        headers = options.header_fields()
        if in_query:
            uri = f"{options.uri}?token={quote(token, safe='')}"
            return replace(options, uri=uri, headers=headers)
        return replace(options, headers=[*headers, ("Authorization", f"Bearer {token}")])


def _how(close_info: CloseInfo, token: str | None) -> Exception:
    """The exception of a dial whose connection ended before the first frame."""
    said = without(shown(close_info.reason), [token] if token else ())
    if close_info.by == "peer" and close_info.code == BAD_TOKEN:
        return Refused(said or "bad token")
    if close_info.by == "peer" and close_info.code == TOO_MANY:
        return Busy(said or "too many messages")
    if close_info.by == "loss":
        return ConnectionResetError(said)
    reason = f": {said}" if said else ""
    return ConnectionResetError(f"it was closed immediately with code {close_info.code}{reason}")


def _is_about_the_token(exc: Exception) -> bool:
    return isinstance(exc, Refused) or (isinstance(exc, Rejected) and exc.status == 401)


def failed(uri: str, exc: Exception) -> Exception:
    """Convert an exception of a dial into the one that the user sees."""
    if isinstance(exc, VuerError):
        return exc
    if _is_about_the_token(exc):
        return bad_token(uri, str(exc), getattr(exc, "status", None))
    if isinstance(exc, Busy) or (isinstance(exc, Rejected) and exc.status == 429):
        return RateLimited(
            f"rate limited by {uri}: {exc}", uri=uri, status=getattr(exc, "status", None)
        )
    if isinstance(exc, ImportError):
        return exc
    return connection_failed(uri, exc, "an ARC relay")


def bad_token(uri: str, reason: str, status: int | None = None) -> AuthenticationError:
    told = f": {reason}" if reason else ""
    return AuthenticationError(
        f"{uri} does not accept the token{told}; register for a new one, or open the client with "
        "reregister=True",
        uri=uri,
        status=status,
    )


def verdict(
    uri: str, how: CloseInfo | Exception, account: Account, reconnects: bool, reregister: bool
) -> VuerError | Literal["late"] | None:
    """Classify a failed dial or the end of a link, as `ConnectionHandler.classify_error`."""
    if isinstance(how, CloseInfo):
        if how.by != "peer":
            return None
        if how.code == BAD_TOKEN:
            if not (reconnects and reregister):
                return bad_token(uri, shown(how.reason))
            account.token = None
        elif how.code == TOO_MANY:
            if not reconnects:
                return RateLimited(f"rate limited by {uri}: {shown(how.reason)}", uri=uri)
            return "late"
        return None
    return "late" if isinstance(failed(uri, how), RateLimited) else None
