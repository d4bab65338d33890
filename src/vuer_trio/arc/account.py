"""Who a client is at its relay."""

from __future__ import annotations

from .._formatting import must_be
from .registration import Registrar

__all__ = ["Account", "check_token"]


class Account:
    """The agent id and the token, and how to get them. It outlives the connections."""

    def __init__(self, registrar: Registrar, agent_id: str | None, token: str | None) -> None:
        self.registrar = registrar
        #: as the relay last called this agent, or what it is to be called
        self.agent_id = agent_id
        self.token = token
        #: whether the relay itself has said who this agent is
        self.confirmed: bool = False
        #: whether this relay wants the token in the query, because the header does not get there
        self.in_query = False

    def is_called(self, agent_id: str) -> None:
        """The relay has addressed this agent so."""
        self.agent_id, self.confirmed = agent_id, True

    async def register(self) -> dict[str, str]:
        """Get a token for the agent id, or for one that the relay chooses. Raises as `Registrar`
        does. Cancelled: the relay may have registered the agent."""
        registration = await self.registrar.register(self.agent_id)
        self.agent_id, self.token = registration["agent_id"], registration["token"]
        self.confirmed = True
        return registration


def check_token(token: object, name: str = "token") -> None:
    """Of something that fits into a header. Raises TypeError, ValueError; neither shows it."""
    if token is None:
        return
    if not isinstance(token, str):
        raise TypeError(must_be(name, "a str", token, secret=True))
    if not token or not token.isascii() or any(c <= " " or c == "\x7f" for c in token):
        raise ValueError(f"{name} must be printable ASCII without spaces")
