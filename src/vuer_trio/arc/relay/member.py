"""One agent's connection to a relay, from the handshake to its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs

from ..._connection.connection import Connection
from ..._connection.handler import ConnectionHandler
from ..._connection.link import Link
from ..._connection.opening import open_connection
from ..._connection.policies import Fifo
from ..._errors import ConnectionClosed
from ..._hosting.memory_limit import MemoryLimit
from ..._interrupts import protected_methods
from ..._runtime import Runtime
from ..._websocket.transport import Prepared, Text, Transport
from ..rate_limit import Window
from .options import RelayOptions
from .registry import Registry
from .switch import Switch

if TYPE_CHECKING:
    from ..._websocket.incoming_request import IncomingRequest

__all__ = ["Member", "RelayHost"]

log: logging.Logger = logging.getLogger("vuer_trio.arc.relay")

#: the protocol's close codes, and RFC 6455's
BAD_TOKEN, TOO_MANY, INVALID, POLICY = 4001, 4029, 1007, 1008
INVALID_TOKEN = "Invalid or unregistered token"


class RelayHost(Protocol):
    """The relay that a member is of."""

    rt: Runtime
    options: RelayOptions
    memory: MemoryLimit
    registry: Registry
    switch: Switch

    def joined(self, member: Member) -> None:
        """Its token was right."""

    def start_soon(self, fn: Callable[..., Coroutine[Any, Any, object]], *args: Any) -> None:
        """Run it in the relay's nursery."""


@protected_methods
class Member(ConnectionHandler):
    """`run` is its life. It is a `Seat` of the switch."""

    def __init__(self, relay: RelayHost, incoming: IncomingRequest) -> None:
        options = relay.options
        self._relay = relay
        self._incoming = incoming
        self._rt = relay.rt
        self.agent_id: str | None = None
        limit = options.rate_limit
        self._window = None if limit is None else Window(relay.rt, limit)
        self._slow = False
        self._connection = Connection(
            relay.rt,
            f"the agent at {incoming.peer}",
            self,
            Fifo().open(relay.rt),
            options.outbox.open(relay.rt),
            heartbeat=options.heartbeat,
            close_timeout=options.close_timeout,
            shielded=True,
        )

    async def run(self) -> None:
        """Returns when nothing of it is left. Cancelled: it ends at once."""
        with self._relay.memory.member(self._connection):
            await self._live()

    async def _live(self) -> None:
        connection = self._connection
        try:
            async with self._rt.open_nursery() as nursery:
                failure = await open_connection(connection, nursery)
                if failure is not None:
                    log.debug("%s: the handshake failed: %r", connection.uri, failure)
                    return
                if self.agent_id is None:
                    await self.close(BAD_TOKEN, self._why)
                await connection.over.wait()
        except BaseException:
            connection.abort()
            raise

    # ---- the connection's view (ConnectionHandler)

    async def dial(self, link: Link, nursery: Any) -> Transport:
        return await self._incoming.accept(link, nursery)

    def data_received(self, size: int) -> None:
        self._relay.memory.count(size)

    def connection_made(self) -> None:
        token, self._why = self._token(), "Missing token"
        if token is None:
            return
        self.agent_id = self._relay.registry.owner(token)
        self._why = INVALID_TOKEN
        if self.agent_id is not None:
            self._relay.joined(self)
            self._relay.switch.join(self.agent_id, self)

    def _token(self) -> str | None:
        """What the header says, if it says anything; else the query."""
        request = self._incoming.request
        kind, _, token = (request.header("authorization") or "").partition(" ")
        if kind == "Bearer":
            return token
        query = parse_qs(request.target.partition("?")[2])
        return query.get("token", [None])[0]

    def connection_lost(self, error: Exception) -> None:
        if self.agent_id is not None:
            self._relay.switch.leave(self.agent_id, self)

    # ---- frames

    def messages_received(self, messages: Sequence[Any], at: float) -> Sequence[Any]:
        """All that is to be done for what was read; nothing is for an inbox."""
        agent_id, switch = self.agent_id, self._relay.switch
        for data in messages:
            if agent_id is None or self._connection.outbox.closed is not None:
                break
            if self._window is not None and not self._window.try_admit():
                log.warning("%s sends too much: its connection ends", self._connection.uri)
                self._connection.fail(TOO_MANY, "Rate limit exceeded")
                break
            try:
                text = str(data, "utf-8")
            except UnicodeDecodeError:
                if type(data) is Text:
                    self._connection.fail(INVALID, "invalid UTF-8")
                    break
                switch.refuse(agent_id, self, "Malformed JSON")
                continue
            switch.receive(agent_id, self, text)
        return ()

    def put(self, frame: Prepared) -> None:
        """Enqueue a frame; a connection that has no room for it ends."""
        outbox = self._connection.outbox
        if outbox.closed is not None or self._slow:
            return
        if frame.account is None:  # the first of those who get it
            self._relay.memory.framed(frame)
        if not outbox.offer_shared(frame):
            self._slow = True
            log.warning(
                "%s reads too slowly: %d messages wait for it, so its connection ends",
                self._connection.uri,
                outbox.count,
            )
            # What waits is not written first: a peer that reads a byte now and then would be kept
            # for as long as it likes.
            link = self._connection.open_link
            if link is not None:
                link.dismiss(POLICY, "this agent reads too slowly")

    # ---- ending

    def end(self, code: int, reason: str) -> None:
        """Close it, beside what the caller does."""
        self._relay.start_soon(self.close, code, reason)

    async def close(self, code: int, reason: str) -> None:
        """Send what waits, close, and wait for the answer."""
        with suppress(ConnectionClosed):  # how much could not be sent
            await self._connection.aclose(code, reason)

    def abort(self) -> None:
        """End it at once."""
        self._connection.abort()
