"""The registered agents of a relay: ids and tokens, in memory, so that a restart forgets them."""

from __future__ import annotations

import re
import secrets
import string
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from operator import itemgetter
from typing import Any

from ..._hosting.places import network
from ..._runtime import Runtime
from ..rate_limit import RateLimit, Window

__all__ = ["Refusal", "RegistrationLimit", "Registry", "new_token"]

_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,62}[a-z0-9]")
#: the id of the relay itself
_RESERVED = "relay"
_LETTERS = string.ascii_lowercase + string.digits
#: addresses that a `RegistrationLimit` remembers; beyond it, the least recent is forgotten
_MOST_ADDRESSES = 4096
#: in seconds
_HOUR = 3600.0


def new_token() -> str:
    """A secret that nobody can guess."""
    return f"tok_{secrets.token_urlsafe(12)}"


class Refusal(Exception):
    """A registration was refused, with an HTTP ``status`` and the protocol's error ``code``."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class _Entry:
    token: str
    #: the network that registered it; None if it is not counted
    where: str | None


class Registry:
    """At most ``most`` agents, and at most ``per_host`` of them from one network.

    An id whose token is not used within ``patience`` seconds is forgotten. When there is no room,
    one that is not used yet is evicted, the oldest first, or else one whose last connection has
    ended before that time.
    """

    def __init__(
        self,
        most: int,
        per_host: int | None = None,
        patience: float = _HOUR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._per_host = most if per_host is None else per_host
        self._patience = patience
        self._clock = clock
        self._tokens: dict[str, str] = {}  # token: agent id
        self._ids: dict[str, _Entry] = {}
        self._unused: dict[str, float] = {}  # agent id: when it was registered; the oldest first
        self._left: dict[str, float] = {}  # agent id: when its last connection ended; as above
        self._counts: dict[str, int] = {}  # network: its number of agents

    @property
    def agents(self) -> list[str]:
        self._forget_unused()
        return list(self._ids)

    def register(
        self, agent_id: object, where: str | None = None, token: str | None = None
    ) -> tuple[str, str]:
        """Register an agent, and return its id and token. For a falsy ``agent_id``, choose one.

        ``where`` is the requesting `network`, or None if it is not counted. ``token`` is what
        stands for the token here, if it is not to be made. Raises Refusal.
        """
        self._forget_unused()
        agent_id = self.checked_id(agent_id)
        if agent_id in self._ids:
            raise Refusal(400, "agent_id_taken", f"Agent ID '{agent_id}' is already registered")
        self._make_room(where)
        if token is None:
            token = new_token()
        self._ids[agent_id] = _Entry(token, where)
        self._tokens[token] = agent_id
        self._unused[agent_id] = self._clock()
        if where is not None:
            self._counts[where] = self._counts.get(where, 0) + 1
        return agent_id, token

    def checked_id(self, agent_id: object) -> str:
        """The id itself, or for a falsy one a free one. Raises Refusal for an invalid one."""
        if agent_id in (None, "", 0, False):
            agent_id = self._free_id()
        if not isinstance(agent_id, str) or not _ID.fullmatch(agent_id):
            raise Refusal(
                400,
                "invalid_agent_id",
                "Agent ID must be 3-64 chars, lowercase alphanumeric + hyphens, "
                "no leading/trailing hyphens",
            )
        if agent_id == _RESERVED:
            raise Refusal(400, "invalid_agent_id", f"Agent ID '{agent_id}' is reserved")
        return agent_id

    def _make_room(self, where: str | None) -> None:
        if where is not None and self._counts.get(where, 0) >= self._per_host:
            oldest = next((name for name in self._spare if self._ids[name].where == where), None)
            refusal = Refusal(
                429, "too_many_agents", "This relay accepts no more agents from your address"
            )
        elif len(self._ids) >= self._most:
            oldest = next(self._spare, None)
            refusal = Refusal(503, "relay_full", "This relay accepts no more agents")
        else:
            return
        if oldest is None:
            raise refusal
        self.revoke(oldest)

    @property
    def _spare(self) -> Iterator[str]:
        """Who can be evicted, the first first."""
        yield from self._unused
        due = self._clock() - self._patience
        yield from takewhile(lambda name: self._left[name] <= due, self._left)

    def _forget_unused(self) -> None:
        due = self._clock() - self._patience
        while self._unused:
            agent_id, since = next(iter(self._unused.items()))
            if since > due:
                break
            self.revoke(agent_id)

    def _free_id(self) -> str:
        while True:
            agent_id = "agent-" + "".join(secrets.choice(_LETTERS) for _ in range(8))
            if agent_id not in self._ids:
                return agent_id

    def owner(self, token: str) -> str | None:
        """Return the agent that owns a token, and mark it as used; None for an unknown token."""
        agent_id = self.find(token)
        if agent_id is not None:
            self.use(agent_id)
        return agent_id

    def find(self, token: str) -> str | None:
        """Return the agent that owns a token; None for an unknown token."""
        self._forget_unused()
        return self._tokens.get(token)

    def use(self, agent_id: str) -> None:
        """Mark the token of an agent as used: it has a connection."""
        self._forget_unused()
        self._unused.pop(agent_id, None)
        self._left.pop(agent_id, None)

    def leave(self, agent_id: str) -> None:
        """Mark that an agent has no connection any more."""
        if agent_id in self._ids:
            self.use(agent_id)
            self._left[agent_id] = self._clock()

    def dump(self) -> list[Any]:
        """Everything, as plain data."""
        unused, left = self._unused, self._left
        return [
            [name, entry.token, entry.where, unused.get(name), left.get(name)]
            for name, entry in self._ids.items()
        ]

    def load(self, entries: list[Any]) -> None:
        """Replace everything. Raises ValueError, and changes nothing, for what is malformed."""
        if not isinstance(entries, list):
            raise ValueError("it holds no registered agents")
        for entry in entries:
            match entry:
                case [str(), str(), str() | None, float() | None, float() | None]:
                    continue
            raise ValueError("it holds no registered agents")
        self._ids = {name: _Entry(token, where) for name, token, where, *_ in entries}
        self._tokens = {token: name for name, token, *_ in entries}
        self._unused = _oldest_first((name, since) for name, _, _, since, _ in entries)
        self._left = _oldest_first((name, since) for name, _, _, _, since in entries)
        self._counts = dict(Counter(where for _, _, where, *_ in entries if where is not None))

    def revoke(self, agent_id: str) -> bool:
        """Forget an agent. Returns whether it was registered."""
        entry = self._ids.pop(agent_id, None)
        if entry is None:
            return False
        del self._tokens[entry.token]
        self._unused.pop(agent_id, None)
        self._left.pop(agent_id, None)
        if entry.where is not None:
            self._counts[entry.where] -= 1
            if not self._counts[entry.where]:
                del self._counts[entry.where]
        return True


def _oldest_first(times: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    known = [(name, since) for name, since in times if since is not None]
    return dict(sorted(known, key=itemgetter(1)))


class RegistrationLimit:
    """A rate limit per address, so that one address cannot exhaust it for the others.

    All addresses of this machine count as one.
    """

    def __init__(self, rt: Runtime, limit: RateLimit) -> None:
        self._rt = rt
        self._limit = limit
        self._windows: dict[str | None, Window] = {}  # the most recent address last

    def window(self, host: str | None) -> Window:
        """The rate limit window of an address."""
        where = network(host)
        window = self._windows.pop(where, None)
        if window is None:
            window = Window(self._rt, self._limit)
            if len(self._windows) >= _MOST_ADDRESSES:
                del self._windows[next(iter(self._windows))]
        self._windows[where] = window
        return window
