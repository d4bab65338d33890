"""An agent's connection to a relay."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping
from ssl import SSLContext
from typing import Any, Literal, TypeVar

from .._client.options import Headers, Options, check_token
from .._connection.backoff import Backoff
from .._connection.client_base import ClientBase
from .._connection.connection import Connection
from .._connection.policies import DEFAULT_INBOX, Fifo, Latest, Policy
from .._errors import ClientClosed, ConnectionFailed
from .._formatting import must_be, shown, shown_uri
from .._interrupts import protected_methods
from .._runtime import Runtime, runtime
from .._transport_name import TransportName
from .account import Account
from .address import DEFAULT_URL, parse_register_url, parse_relay_url
from .agent import Agent
from .agent_sender import AgentSender
from .dispatcher import received
from .message import ARCMessage
from .options import AgentOptions
from .rate_limit import RateLimit
from .registration import Registrar
from .relay_session import RelaySession

__all__ = ["ARCClient", "open_arc_client"]

T = TypeVar("T")

#: larger than the limit of any relay
_MAX_SIZE = 100 << 20


@protected_methods
class ARCClient(Agent, ClientBase[Mapping[str, Any], ARCMessage]):
    """An agent at a relay.

    ``async with ARCClient(url) as client`` registers if it has no token, connects, waits for the
    relay's welcome (for at most ``welcome_timeout``: a relay may send none), and closes at the end
    of the block. `register`, `connect` and `close` do these steps one by one.

    ``relay_url`` (``ARC_RELAY_URL``, ``http://localhost:8080``) is ``http(s)://``, ``ws(s)://`` or
    a bare host. ``token`` falls back to ``ARC_TOKEN``; it is sent in a header or, if that does not
    reach the relay, in the query. ``register_url`` defaults to the relay's origin, then to the next
    port if that answers 404 or 426; ``register_secret`` is for a relay that requires one.
    ``rate_limit`` makes `send` wait, so that by default at most 100 messages leave in any 60 s;
    None disables it. ``filter``, a `Filter` or a function of a message, selects the messages to
    receive. Commands wait ``reply_timeout`` seconds for the relay's reply.

    ``reconnect``, True or a `Backoff`, reconnects whenever the connection ends without `close`,
    subscribes again, and checks after ``check_every`` seconds of silence that the relay still
    delivers. A rejected token is final, unless ``reregister`` gets a new one for the same agent id.
    All other options are those of `VuerClient`.

    Raises TypeError and ValueError for invalid options.
    """

    def __init__(
        self,
        relay_url: str | None = None,
        *,
        agent_id: str | None = None,
        token: str | None = None,
        register_url: str | None = None,
        register_secret: str | None = None,
        reconnect: bool | Backoff | None = None,
        rate_limit: RateLimit | None = RateLimit(100, per=60),
        reregister: bool = False,
        filter: Callable[[ARCMessage], object] | None = None,
        welcome_timeout: float = 2.0,
        reply_timeout: float = 5.0,
        check_every: float = 30.0,
        max_size: int = _MAX_SIZE,
        ssl_verify: bool | None = None,
        ssl_context: SSLContext | None = None,
        headers: Headers | None = None,
        proxy: str | Literal[True] | None = None,
        connect_timeout: float = 10.0,
        close_timeout: float = 1.0,
        heartbeat: float = 20.0,
        inbox: Policy = DEFAULT_INBOX,  # a Fifo(1024)
        outbox: Policy = Fifo(1024),
        checkpoints: Literal["amortised", "every"] = "amortised",
        transport: TransportName = "auto",
    ) -> None:
        given = Options.among(locals())
        address = parse_relay_url(relay_url or os.environ.get("ARC_RELAY_URL") or DEFAULT_URL)
        if isinstance(outbox, Latest):
            raise ValueError(must_be("outbox", "Fifo(...) or DropOldest(...)", outbox))
        if agent_id is not None and not isinstance(agent_id, str):
            raise TypeError(must_be("agent_id", "a str, or None for the relay's choice", agent_id))
        token = token if token is not None else os.environ.get("ARC_TOKEN") or None
        check_token(token)
        check_token(register_secret, "register_secret")
        # Not from the environment: VUER_SSL_VERIFY applies to Vuer servers.
        given["ssl_verify"] = True if ssl_verify is None else ssl_verify
        self._options = options = Options.gather({**given, "uri": address.uri})
        self._settings = AgentOptions(
            rate_limit=rate_limit,
            welcome_timeout=welcome_timeout,
            reply_timeout=reply_timeout,
            check_every=check_every,
            reregister=reregister,
            filter=filter,
        )
        self._sender = AgentSender(options.address.shown)
        super().__init__(
            self._sender,
            received,
            every=options.checkpoints == "every",
            unsafe=options.unsafe("ssl_verify=False"),
        )
        urls = [f"{address.base}/register", f"{address.next_base}/register"]
        if register_url is not None:
            urls = [parse_register_url(register_url)]
        registrar = Registrar(tuple(urls), ssl_context, options.ssl_verify, proxy, register_secret)
        self._account = Account(registrar, agent_id, token)
        self._subscriptions: dict[str, None] = {}
        self._relay_session: RelaySession | None = None
        self._coming: RelaySession | None = None

    # ---- state

    @property
    def agent_id(self) -> str | None:
        """The id of this agent; None until the relay has chosen one."""
        return self._account.agent_id

    @property
    def token(self) -> str | None:
        """The token that proves the agent id. Keep it to reconnect as the same agent."""
        return self._account.token

    @property
    def relay_info(self) -> dict[str, Any]:
        """The relay's welcome: ``capabilities``, ``version``, ...; {} if none came."""
        return self._relay_session.dispatcher.relay_info if self._relay_session else {}

    @property
    def last_error(self) -> Mapping[str, Any] | None:
        """The latest error that the relay reported: ``code`` and ``message``."""
        return self._relay_session.dispatcher.last_error if self._relay_session else None

    @property
    def filtered(self) -> int:
        """Messages of this connection that ``filter`` kept out."""
        return self._relay_session.dispatcher.filtered if self._relay_session else 0

    def __repr__(self) -> str:
        state = self._connection.state.value if self._connection else "not connected"
        who = shown(self.agent_id, 64) if self.agent_id else "without an id"
        return f"<ARCClient {who} at {self.uri} {state}>"

    # ---- connecting

    async def register(self, agent_id: str | None = None) -> dict[str, str]:
        """Register at the relay, and return ``{"agent_id": ..., "token": ...}`` for `connect`.

        Registers ``agent_id``, else the one of the options, else one of the relay's choice. Raises
        AgentIdTaken, InvalidAgentId, RegistrationError, RateLimited, ConnectionFailed. Cancelled:
        the relay may have registered the agent.
        """
        if agent_id is not None:
            if not isinstance(agent_id, str):
                raise TypeError(must_be("agent_id", "a str", agent_id))
            self._account.agent_id = agent_id
        return await self._ask_by_http(self._account.register)

    async def stats(self) -> dict[str, Any]:
        """The relay's statistics from ``/stats``, if it serves them. Raises as `register`."""
        return await self._ask_by_http(self._account.registrar.stats)

    async def _ask_by_http(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        timeout = self._options.connect_timeout
        self._warn()
        with runtime().move_on_after(timeout):
            return await ask()
        url = shown_uri(self._account.registrar.urls[0])
        raise ConnectionFailed(f"{url} has not answered within {timeout:g} s", uri=url)

    def _new_connection(self, rt: Runtime, shielded: bool, made: Callable[[], None]) -> Connection:
        self._coming = RelaySession(
            rt,
            self._options,
            self._settings,
            self._account,
            self._subscriptions,
            shielded,
            made,
        )
        self._coming.counts_from(self.generation)
        return self._coming.connection

    def _opened(self, connection: Connection) -> None:
        super()._opened(connection)
        self._relay_session, self._coming = self._coming, None
        self._sender.relay = self._relay_session

    @property
    def _there(self) -> RelaySession:
        if self._relay_session is None:
            raise ClientClosed(
                f"Not connected to {self.uri}: enter the client with `async with`, or await "
                "client.connect()"
            )
        self._relay_session.connection.home.check_loop()
        return self._relay_session


#: ``async with open_arc_client(url, ...) as client``: the client is its own context manager
open_arc_client = ARCClient
