"""Who may be at a relay: agent ids and their tokens. In memory, so a restart forgets them."""

from __future__ import annotations

import re
import secrets
import string

__all__ = ["Refusal", "Registry"]

_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,62}[a-z0-9]")
#: who speaks with this name is the relay
_RESERVED = "relay"
_LETTERS = string.ascii_lowercase + string.digits


class Refusal(Exception):
    """No token. ``status`` is the HTTP status, ``code`` the protocol's word for it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Registry:
    """At most ``most`` agents."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tokens: dict[str, str] = {}  # token: agent id
        self._ids: dict[str, str] = {}  # agent id: token

    @property
    def agents(self) -> list[str]:
        return list(self._ids)

    def register(self, agent_id: object) -> tuple[str, str]:
        """An agent id and its token; the id is chosen here for what is falsy. Raises Refusal."""
        if len(self._ids) >= self._most:
            raise Refusal(503, "relay_full", "This relay has as many agents as it takes")
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
        token = f"tok_{secrets.token_urlsafe(12)}"
        self._ids[agent_id] = token
        self._tokens[token] = agent_id
        return agent_id, token

    def _free_id(self) -> str:
        while True:
            agent_id = "agent-" + "".join(secrets.choice(_LETTERS) for _ in range(8))
            if agent_id not in self._ids:
                return agent_id

    def owner(self, token: str) -> str | None:
        """Whose token it is."""
        return self._tokens.get(token)

    def revoke(self, agent_id: str) -> bool:
        """Forget an agent; whether there was one."""
        token = self._ids.pop(agent_id, None)
        if token is not None:
            del self._tokens[token]
        return token is not None
