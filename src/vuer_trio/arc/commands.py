"""Commands to the relay, and the matching of replies to them.

A reply does not say which command it answers. A relay answers in order, but not every command. So a
reply is matched with the oldest pending command of its kind that names the same agents, or with the
oldest of its kind if none does.
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

#: pending commands to keep: beyond it, those that are no longer awaited are forgotten
_MOST = 256


class Command:
    """One command. Within its ``with`` block, ``await command.call.wait()`` returns the reply."""

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
        self.internal: bool = internal  # sent by the client itself, not for a call of the user
        self.sent: bool = internal  # or at least enqueued
        self.call: PendingReply[Any] | None = None

    def __enter__(self) -> PendingReply[Any]:
        self.call = self.owner.new_call()
        return self.call

    def __exit__(self, *exc: object) -> None:
        """Stop waiting. A command that was sent stays pending, so that a late reply matches it."""
        self.call = None
        if not self.sent:
            self.owner.forget(self)


class Commands:
    """The pending commands of one connection, kept across its links."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._pending: list[Command] = []

    def __len__(self) -> int:
        """The number of commands whose reply is awaited."""
        return sum(command.call is not None for command in self._pending)

    def new_call(self) -> PendingReply[Any]:
        return PendingReply(self._rt.Event())

    def expect(
        self, reply: str, agents: list[str] | None, payload: Text, *, internal: bool = False
    ) -> Command:
        """Add a command before it is enqueued; its reply has type ``reply`` and names ``agents``.

        An ``internal`` command is sent by the client itself, and its reply is not awaited.
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
        """Match a reply with its command, complete that, and return it."""
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
        """A link has opened, which sends ``first`` and then the content of ``outbox``.

        Commands that the previous link sent are sent again if their reply is still awaited.
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
        """Fail all pending commands: the connection has ended."""
        pending, self._pending = self._pending, []
        for command in pending:
            if command.call is not None:
                command.call.settle(None, error)
