"""The message types that agents have agreed on, each as a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .message import EVERYONE, ARCMessage

__all__ = ["MessageTypes"]

_ALL = (EVERYONE,)


class MessageTypes:
    """``await client.thought("...")`` is ``await client.send(["*"], "...", "thought")``.

    Each takes the payload, ``to=`` (everyone if not given), ``ref=`` and more fields. All raise as
    `ARCClient.send`.
    """

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
        raise NotImplementedError

    async def thought(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Something to share, that wants no answer."""
        await self.send(to, payload, "thought", **fields)

    async def question(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """A question whose answers arrive as messages; `ARCClient.ask` waits for them."""
        await self.send(to, payload, "question", **fields)

    async def answer(self, message: ARCMessage, payload: Any, **fields: Any) -> None:
        """The answer to a question, to who asked."""
        await self.reply(message, payload, **fields)

    async def data(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Something structured."""
        await self.send(to, payload, "data", **fields)

    async def discovery(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Who this agent is, and what it can do."""
        await self.send(to, payload, "discovery", **fields)

    async def proposal(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Something to vote on."""
        await self.send(to, payload, "proposal", **fields)

    async def vote(self, message: ARCMessage, payload: Any, **fields: Any) -> None:
        """A vote on a proposal, to who made it."""
        await self.reply(message, payload, "vote", **fields)

    async def query(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """A question to a machine."""
        await self.send(to, payload, "query", **fields)

    async def alert(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """Something that cannot wait."""
        await self.send(to, payload, "alert", **fields)

    async def sync(self, payload: Any, to: Sequence[str] = _ALL, **fields: Any) -> None:
        """State that agents are to have in common."""
        await self.send(to, payload, "sync", **fields)

    async def reply(
        self, message: ARCMessage, payload: Any, message_type: str = "answer", **extra: Any
    ) -> None:
        """Answer a message: to its sender, with its id as ``ref``.

        Raises ValueError for a message that has no sender; else as `ARCClient.send`.
        """
        if message.sender is None:
            raise ValueError("this message has no sender to reply to")
        await self.send([message.sender], payload, message_type, ref=message.id, **extra)
