"""Who may be at a relay: agent ids and their tokens. In memory, so a restart forgets them."""

from __future__ import annotations

import re
import secrets
import string
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Refusal", "Registry"]

_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,62}[a-z0-9]")
#: who speaks with this name is the relay
_RESERVED = "relay"
_LETTERS = string.ascii_lowercase + string.digits
#: seconds
_HOUR = 3600.0


class Refusal(Exception):
    """No token. ``status`` is the HTTP status, ``code`` the protocol's word for it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class _Entry:
    token: str
    #: the network that it was registered from, if that counts
    where: str | None


class Registry:
    """At most ``most`` agents, and of one network ``per_host``.

    An id whose token is not used within ``patience`` seconds is forgotten. Until it is used it
    gives way, the oldest first, when there is no room for another.
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
        self._unused: dict[str, float] = {}  # agent id: since when; the oldest first
        self._counts: dict[str, int] = {}  # of each network

    @property
    def agents(self) -> list[str]:
        self._forget_unused()
        return list(self._ids)

    def register(self, agent_id: object, where: str | None = None) -> tuple[str, str]:
        """An agent id and its token; the id is chosen here for what is falsy. Raises Refusal.

        ``where`` is the `network` that asks, None for one that does not count.
        """
        self._forget_unused()
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
        if agent_id in self._ids:
            raise Refusal(400, "agent_id_taken", f"Agent ID '{agent_id}' is already registered")
        self._make_room(where)
        token = f"tok_{secrets.token_urlsafe(12)}"
        self._ids[agent_id] = _Entry(token, where)
        self._tokens[token] = agent_id
        self._unused[agent_id] = self._clock()
        if where is not None:
            self._counts[where] = self._counts.get(where, 0) + 1
        return agent_id, token

    def _make_room(self, where: str | None) -> None:
        if where is not None and self._counts.get(where, 0) >= self._per_host:
            oldest = next((name for name in self._unused if self._ids[name].where == where), None)
            refusal = Refusal(
                429, "too_many_agents", "This relay has as many agents of your address as it takes"
            )
        elif len(self._ids) >= self._most:
            oldest = next(iter(self._unused), None)
            refusal = Refusal(503, "relay_full", "This relay has as many agents as it takes")
        else:
            return
        if oldest is None:
            raise refusal
        self.revoke(oldest)

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
        """Whose token it is; it is used now."""
        self._forget_unused()
        agent_id = self._tokens.get(token)
        if agent_id is not None:
            self._unused.pop(agent_id, None)
        return agent_id

    def revoke(self, agent_id: str) -> bool:
        """Forget an agent; whether there was one."""
        entry = self._ids.pop(agent_id, None)
        if entry is None:
            return False
        del self._tokens[entry.token]
        self._unused.pop(agent_id, None)
        if entry.where is not None:
            self._counts[entry.where] -= 1
            if not self._counts[entry.where]:
                del self._counts[entry.where]
        return True
