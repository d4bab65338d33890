"""An agent's identity at its relay: its id and token."""

from __future__ import annotations

from .registration import Registrar

__all__ = ["Account"]


class Account:
    """The agent id and token, kept across connections, and the `Registrar` for them."""

    def __init__(self, registrar: Registrar, agent_id: str | None, token: str | None) -> None:
        self.registrar = registrar
        #: the id that the relay last used for this agent, or the one to register
        self.agent_id = agent_id
        self.token = token
        #: whether the relay has confirmed the id
        self.confirmed: bool = False
        #: whether to send the token in the query, because the header does not reach the relay
        self.in_query = False

    def is_called(self, agent_id: str) -> None:
        """Record that the relay addressed this agent as ``agent_id``."""
        self.agent_id, self.confirmed = agent_id, True

    async def register(self) -> dict[str, str]:
        """Get a token for the agent id, or for an id of the relay's choice.

        Raises as `Registrar.register`. Cancelled: the relay may have registered the agent.
        """
        registration = await self.registrar.register(self.agent_id)
        self.agent_id, self.token = registration["agent_id"], registration["token"]
        self.confirmed = True
        return registration
