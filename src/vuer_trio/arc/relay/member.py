"""One agent's connection to a relay, from the handshake to its end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
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
from .switch import Switch

if TYPE_CHECKING:
    from ..._async_types import Nursery
    from ..._websocket.incoming_request import IncomingRequest

__all__ = ["Member", "RelayHost"]

log: logging.Logger = logging.getLogger("vuer_trio.arc.relay")

#: close codes: two of the ARC protocol, two of RFC 6455
BAD_TOKEN, TOO_MANY, INVALID, POLICY = 4001, 4029, 1007, 1008
INVALID_TOKEN = "Invalid or unregistered token"


class RelayHost(Protocol):
    """What a member uses of its relay."""

    rt: Runtime
    options: RelayOptions
    memory: MemoryLimit
    switch: Switch

    def owner(self, token: str) -> str | None:
        """The agent that owns a token; None for an unknown one."""

    async def look_up(self, token: str) -> None:
        """Called before `owner`: time to hear of tokens that another relay has given out."""

    def joined(self, member: Member) -> None:
        """Called when a member has presented a valid token."""

    def left(self, member: Member) -> None:
        """Called when the connection of such a member has ended."""


@protected_methods
class Member(ConnectionHandler):
    """One connection of an agent; `run` runs it. It is a `ServerConnection` and a `Seat`."""

    def __init__(self, relay: RelayHost, incoming: IncomingRequest) -> None:
        options = relay.options
        self._relay = relay
        self._incoming = incoming
        self._rt = relay.rt
        self.agent_id: str | None = None
        limit = options.rate_limit
        self._window = None if limit is None else Window(relay.rt, limit)
        self._slow = False
        self._nursery: Nursery | None = None  # while `run` has one open
        self.connection: Connection = Connection(
            relay.rt,
            f"the agent at {incoming.peer}",
            self,
            Fifo().open(relay.rt),
            options.outbox.open(relay.rt),
            heartbeat=options.heartbeat,
            close_timeout=options.close_timeout,
            shielded=True,
            by_server=True,
        )

    async def run(self) -> None:
        """Run the connection until it is closed and cleaned up. Cancelled: aborts it."""
        connection = self.connection
        self._relay.memory.add(connection)
        try:
            token = self._token()
            if token is not None:
                await self._relay.look_up(token)
            async with self._rt.open_nursery() as self._nursery:
                failure = await open_connection(connection, self._nursery)
                if failure is not None:
                    log.debug("%s: the handshake failed: %r", connection.uri, failure)
                    return
                if self.agent_id is None:
                    await self._end(BAD_TOKEN, self._why)
                await connection.over.wait()
                self._nursery = None
        except BaseException:
            connection.abort()
            raise
        finally:
            self._nursery = None
            self._relay.memory.drop(connection)

    # ---- the connection's view (ConnectionHandler)

    async def dial(self, link: Link, nursery: Any) -> Transport:
        return await self._incoming.accept(link, nursery)

    def data_received(self, size: int) -> None:
        self._relay.memory.count(size)

    def connection_made(self) -> None:
        token, self._why = self._token(), "Missing token"
        if token is None:
            return
        self.agent_id = self._relay.owner(token)
        self._why = INVALID_TOKEN
        if self.agent_id is not None:
            self._relay.joined(self)

    def _token(self) -> str | None:
        """The token from the Authorization header, else from the query."""
        request = self._incoming.request
        kind, _, token = (request.header("authorization") or "").partition(" ")
        if kind == "Bearer":
            return token
        query = parse_qs(request.target.partition("?")[2])
        return query.get("token", [None])[0]

    def connection_lost(self, error: Exception) -> None:
        if self.agent_id is not None:
            self._relay.left(self)

    # ---- frames

    def messages_received(self, messages: Sequence[Any], at: float) -> Sequence[Any]:
        """Route messages. None of them goes into an inbox."""
        agent_id, switch = self.agent_id, self._relay.switch
        for data in messages:
            if agent_id is None or self.connection.outbox.closed is not None:
                break
            if self._window is not None and not self._window.try_admit():
                log.warning("%s exceeds the rate limit: closing it", self.connection.uri)
                self.connection.fail(TOO_MANY, "Rate limit exceeded")
                break
            try:
                text = str(data, "utf-8")
            except UnicodeDecodeError:
                if type(data) is Text:
                    self.connection.fail(INVALID, "invalid UTF-8")
                    break
                switch.refuse(agent_id, self, "Malformed JSON")
                continue
            switch.receive(agent_id, self, text)
        return ()

    def put(self, frame: Prepared) -> None:
        """Enqueue a frame; if there is no room for it, close the connection."""
        outbox = self.connection.outbox
        if outbox.closed is not None or self._slow:
            return
        if frame.account is None:  # its first recipient
            self._relay.memory.framed(frame)
        if not outbox.offer_broadcast(frame):
            self._slow = True
            log.warning(
                "%s reads too slowly: closing it, with %d messages waiting",
                self.connection.uri,
                outbox.count,
            )
            # Waiting messages are not written first: a peer that reads a byte now and then could
            # keep the connection open for as long as it likes.
            link = self.connection.open_link
            if link is not None:
                link.dismiss(POLICY, "this agent reads too slowly")

    # ---- ending

    def end(self, code: int, reason: str) -> None:
        """Close the connection in the background, even if the relay is cancelled meanwhile."""
        if self._nursery is not None:
            self._nursery.start_soon(self._end, code, reason)

    async def _end(self, code: int, reason: str) -> None:
        try:
            await self.close(code, reason)
        except ConnectionClosed as exc:
            log.info("%s", exc)

    async def close(self, code: int, reason: str) -> None:
        """Send what is enqueued, then do the closing handshake. Raises ConnectionClosed."""
        await self.connection.aclose(code, reason)

    def abort(self) -> None:
        """Close the connection immediately, without a closing handshake."""
        self.connection.abort()
