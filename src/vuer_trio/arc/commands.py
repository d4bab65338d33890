"""Requests to the relay itself, matched with its replies.

A reply names no request. A relay answers in order, but not every request: so a reply belongs to
the oldest request of its kind, of those that name the same agents if there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._connection.pending_replies import PendingReply
from .._connection.queue import Queue
from .._errors import VuerError
from .._runtime import Runtime
from .._websocket.transport import Text

__all__ = ["Command", "Commands"]

#: requests that nobody waits for any more, and whose replies may still come
_MOST = 256


class Command:
    """One request. As a context manager it is awaited: ``await command.call.wait()``."""

    __slots__ = ("agents", "call", "internal", "owner", "payload", "reply", "sent")

    def __init__(
        self,
        owner: Commands,
        reply: str,
        agents: list[str] | None,
        payload: Text,
        internal: bool,
    ) -> None:
        self.owner: Commands = owner
        self.reply: str = reply
        self.agents: list[str] | None = agents
        self.payload: Text = payload
        self.internal: bool = internal  # the user has not asked for it
        self.sent: bool = internal  # enqueued, at least
        self.call: PendingReply[Any] | None = None

    def __enter__(self) -> PendingReply[Any]:
        self.call = self.owner.new_call()
        return self.call

    def __exit__(self, *exc: object) -> None:
        """Its reply may still come, and is then not taken for another's."""
        self.call = None
        if not self.sent:
            self.owner.forget(self)


class Commands:
    """The requests of one connection, from link to link."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._pending: list[Command] = []

    def __len__(self) -> int:
        """How many are awaited."""
        return sum(command.call is not None for command in self._pending)

    def new_call(self) -> PendingReply[Any]:
        return PendingReply(self._rt.Event())

    def expect(
        self, reply: str, agents: list[str] | None, payload: Text, *, internal: bool = False
    ) -> Command:
        """A request about to be enqueued, to be answered with a ``reply`` that names ``agents``.

        An ``internal`` one nobody awaits.
        """
        command = Command(self, reply, agents, payload, internal)
        self._pending.append(command)
        if len(self._pending) > _MOST:
            stale = next((old for old in self._pending if old.call is None), command)
            self.forget(stale)
        return command

    def forget(self, command: Command) -> None:
        if command in self._pending:
            self._pending.remove(command)

    def settle(self, reply: str, agents: list[str]) -> Command | None:
        """A reply has come; the request that it answers."""
        kind = [command for command in self._pending if command.reply == reply]
        found = next((command for command in kind if command.agents == agents), None)
        if found is None and kind:
            found = kind[0]
        if found is not None:
            self._pending.remove(found)
            if found.call is not None:
                found.call.settle(agents)
        return found

    def next_link(self, first: Sequence[Command], outbox: Queue[bytes]) -> None:
        """A link has opened, which sends ``first``, and then what is enqueued.

        What the last link took with it is asked again, if somebody still waits for it.
        """
        queued = {id(item) for item in outbox.items}
        kept, again = [], []
        for command in self._pending:
            if command in first:
                continue
            if not command.sent or id(command.payload) in queued:
                kept.append(command)
            elif command.call is not None:
                again.append(command)
        outbox.put_first([command.payload for command in again])
        self._pending = [*first, *again, *kept]

    def fail(self, error: VuerError) -> None:
        """No reply can come."""
        pending, self._pending = self._pending, []
        for command in pending:
            if command.call is not None:
                command.call.settle(None, error)
