"""Questions to other agents, and their answers."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from typing import Any

from .._errors import VuerError, renew
from .._runtime import Runtime
from .message import ARCMessage

__all__ = ["Ask", "Asks"]


class Ask:
    """One question. Its answers name it by ``ref``: by the one it was sent with, or by the id that
    the relay gave it, which its own echo tells."""

    def __init__(
        self, owner: Asks, rt: Runtime, message_type: str, answer_type: str | None, hides_echo: bool
    ) -> None:
        self.ref = secrets.token_hex(8)
        self.message_type = message_type
        self.answer_type = answer_type
        self.hides_echo = hides_echo
        self.names = {self.ref}
        self._owner = owner
        self._rt = rt
        self._answers: deque[ARCMessage] = deque()
        self._event: Any = None
        self._error: VuerError | None = None

    def __enter__(self) -> Ask:
        self._owner.add(self)
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing of it stays: an answer that comes later is a message like any other."""
        self._owner.remove(self)

    async def answer(self) -> ARCMessage:
        """The next answer. Raises what ended the connection. Cancelled: none was taken."""
        while not self._answers:
            if self._error is not None:
                raise renew(self._error)
            self._event = self._rt.Event()
            await self._event.wait()
        return self._answers.popleft()

    def put(self, message: ARCMessage) -> None:
        self._answers.append(message)
        if self._event is not None:
            self._event.set()

    def fail(self, error: VuerError) -> None:
        self._error = error
        if self._event is not None:
            self._event.set()


class Asks:
    """The open questions of one connection. ``notice(True)`` is called when there is the first
    one, ``notice(False)`` when there is none."""

    def __init__(self, notice: Callable[[bool], None]) -> None:
        self._by_name: dict[str, Ask] = {}
        self._notice = notice

    def __len__(self) -> int:
        return len(set(self._by_name.values()))

    def add(self, ask: Ask) -> None:
        self._by_name[ask.ref] = ask
        self._notice(True)

    def remove(self, ask: Ask) -> None:
        for name in ask.names:
            self._by_name.pop(name, None)
        if not self._by_name:
            self._notice(False)

    def sees(self, message: ARCMessage, own_id: str | None) -> bool:
        """Whether a message is part of a question: its echo, or an answer to it."""
        ask = self._by_name.get(message.ref) if message.ref is not None else None
        if ask is None:
            return False
        if (
            message.sender == own_id
            and own_id is not None
            and message.ref == ask.ref
            and message.type == ask.message_type
        ):
            if message.id is not None:
                ask.names.add(message.id)
                self._by_name[message.id] = ask
            return ask.hides_echo
        if ask.answer_type is not None and message.type != ask.answer_type:
            return False
        ask.put(message)
        return True

    def fail(self, error: VuerError) -> None:
        """No answer can come."""
        for ask in set(self._by_name.values()):
            ask.fail(error)
