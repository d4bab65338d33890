"""From an address and a token to an open link: a relay says only after the handshake whether it
takes the token, so a dial goes on until its first frame."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from .._client.connecting import connection_failed, dial_now
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

__all__ = ["Busy", "Dialler", "Gate", "Refused", "failed", "verdict"]

log: logging.Logger = logging.getLogger("vuer_trio.arc")

#: close codes of the protocol's own
BAD_TOKEN, TOO_MANY = 4001, 4029


#: a relay that does not get it lets nobody in
_STAYS = "the token is sent to no other server; open the client with relay_url= of that place"


class Refused(Exception):
    """The relay has closed the connection because of its token."""


class Busy(ConnectionError):
    """The relay has closed the connection because it was too much."""


@protected_methods
class Gate:
    """A link's sink, that keeps what arrives before the link is open."""

    def __init__(self, link: Link) -> None:
        self.rt: Runtime = link.rt
        self._link = link
        self._kept: list[Message] | None = []
        self._released = link.rt.Event()
        self._waiting: CancelScope | None = None  # a scope, for the first frame

    async def first(self, transport: Transport, timeout: float) -> CloseInfo | None:
        """Read until the first frame is there; what ended the connection, if that came first.

        A relay may say nothing: after ``timeout`` seconds it goes on without.
        """
        with self.rt.move_on_after(timeout) as self._waiting:
            if not self._kept:
                return await transport.read()
        return None

    def release(self) -> None:
        """The link is open: everything goes there."""
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
    """Dials one relay. ``gate`` is that of the latest dial."""

    def __init__(
        self, options: Options, account: Account, welcome_timeout: float, reregister: bool
    ) -> None:
        self.gate: Gate | None = None
        self._options = options
        self._account = account
        self._welcome_timeout = welcome_timeout
        self._reregister = reregister

    async def dial(self, link: Link, nursery: Nursery) -> Transport:
        """Register if there is no token, then connect with it.

        Raises TimeoutError after ``connect_timeout``, and what `failed` knows. Cancelled: nothing
        is left open.
        """
        timeout = self._options.connect_timeout
        with link.rt.move_on_after(timeout):
            return await self._dial(link, nursery)
        raise TimeoutError(f"it was not open within {timeout:g} s")

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
            log.info("%s does not accept the token: registering anew", link.uri)
            fresh, account.token = True, None
            await account.register()

    async def _enter_either_way(self, link: Link, nursery: Nursery) -> Transport:
        """With the token in a header, or else, if that did not get there, in the query."""
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
        gate = self.gate = Gate(link)
        rt = link.rt
        transport = await dial_now(self._with_token(in_query), gate, nursery, stays=_STAYS)
        try:
            close_info = await gate.first(transport, self._welcome_timeout)
            if close_info is None:
                return transport
            with suppress(OSError), rt.move_on_after(self._options.close_timeout):
                await transport.write(())  # the answer to its close frame
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
    """What a dial raises for a connection that ended before it began."""
    said = without(shown(close_info.reason), [token] if token else ())
    if close_info.by == "peer" and close_info.code == BAD_TOKEN:
        return Refused(said or "bad token")
    if close_info.by == "peer" and close_info.code == TOO_MANY:
        return Busy(said or "too many messages")
    if close_info.by == "loss":
        return ConnectionResetError(said)
    reason = f": {said}" if said else ""
    return ConnectionResetError(f"it was closed at once with code {close_info.code}{reason}")


def _is_about_the_token(exc: Exception) -> bool:
    return isinstance(exc, Refused) or (isinstance(exc, Rejected) and exc.status == 401)


def failed(uri: str, exc: Exception) -> Exception:
    """What opening raises for what the dial failed with."""
    if isinstance(exc, VuerError):
        return exc
    if _is_about_the_token(exc):
        return bad_token(uri, str(exc), getattr(exc, "status", None))
    if isinstance(exc, Busy) or (isinstance(exc, Rejected) and exc.status == 429):
        return RateLimited(
            f"{uri} wants fewer messages: {exc}", uri=uri, status=getattr(exc, "status", None)
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
    """What an ending, or a failed dial, means for a connection; see `Connection.judge`."""
    if isinstance(how, CloseInfo):
        if how.by != "peer":
            return None
        if how.code == BAD_TOKEN:
            if not (reconnects and reregister):
                return bad_token(uri, shown(how.reason))
            account.token = None
        elif how.code == TOO_MANY:
            if not reconnects:
                return RateLimited(f"{uri} wants fewer messages: {shown(how.reason)}", uri=uri)
            return "late"
        return None
    return "late" if isinstance(failed(uri, how), RateLimited) else None
