"""The conventional message types, one method each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from .message import EVERYONE, ARCMessage

__all__ = ["MessageTypes"]

_ALL = (EVERYONE,)


class MessageTypes(ABC):
    """``await client.thought("...")`` is ``await client.send(["*"], "...", "thought")``.

    Each takes the payload, ``to=`` (everyone if not given), ``ref=`` and more fields. All raise as
    `ARCClient.send`.
    """

    @abstractmethod
    async def send(
        self,
        to: Sequence[str],
        payload: Any,
        message_type: str | None = None,
        *,
        ref: str | None = None,
        **extra: Any,
    ) -> None:
        """See `ARCClient.send`."""

    async def thought(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Share something that needs no answer."""
        await self.send(to, payload, "thought", **fields)

    async def question(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Send a question whose answers arrive as messages; `ARCClient.ask` waits for them."""
        await self.send(to, payload, "question", **fields)

    async def answer(self, message: ARCMessage, payload: Any, **fields: Any) -> None:
        """Answer a question, to its sender."""
        await self.reply(message, payload, **fields)

    async def data(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Send structured data."""
        await self.send(to, payload, "data", **fields)

    async def discovery(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Announce this agent and what it can do."""
        await self.send(to, payload, "discovery", **fields)

    async def proposal(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Propose something to vote on."""
        await self.send(to, payload, "proposal", **fields)

    async def vote(self, message: ARCMessage, payload: Any, **fields: Any) -> None:
        """Vote on a proposal, to its sender."""
        await self.reply(message, payload, "vote", **fields)

    async def query(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Send a query to be answered by a program."""
        await self.send(to, payload, "query", **fields)

    async def alert(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Send something urgent."""
        await self.send(to, payload, "alert", **fields)

    async def sync(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Send state to be shared between agents."""
        await self.send(to, payload, "sync", **fields)

    async def reply(
        self, message: ARCMessage, payload: Any, message_type: str = "answer", **extra: Any
    ) -> None:
        """Answer a message: to its sender, with its id as ``ref``.

        Raises ValueError for a message without a sender, and as `ARCClient.send`.
        """
        if message.sender is None:
            raise ValueError("this message has no sender to reply to")
        await self.send([message.sender], payload, message_type, ref=message.id, **extra)
