"""Questions to other agents, and their answers."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from .._errors import VuerError, renew
from .._formatting import must_be
from .._interrupts import protected_methods
from .._runtime import Runtime
from .message import ARCMessage

__all__ = ["Ask", "Questions"]


@protected_methods
class Ask:
    """One question. Its answers name it by ``ref``: by the one it was sent with, or by the id that
    the relay gave it, which its own echo tells.

    It is over with ``limit`` answers, or when each of ``awaited`` has answered; None for no such
    end. What answers it later is a message like any other, and so is what nobody has taken.
    """

    def __init__(
        self,
        owner: Questions,
        rt: Runtime,
        message_type: str,
        answer_type: str | None,
        *,
        hides_echo: bool,
        awaited: set[str] | None,
        limit: int | None,
    ) -> None:
        if limit is not None and limit < 1:
            raise ValueError(must_be("limit", "at least 1, or None", limit))
        self.ref: str = secrets.token_hex(8)
        self.message_type = message_type
        self.answer_type = answer_type
        self.hides_echo = hides_echo
        self.names: set[str] = {self.ref}
        self._owner = owner
        self._rt = rt
        self._awaited = awaited
        self._left = limit
        self._answers: deque[ARCMessage] = deque()
        self._event: Any = None
        self._error: VuerError | None = None

    def __enter__(self) -> Ask:
        self._owner.add(self)
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing of it stays."""
        self._owner.remove(self)
        if self._answers:
            self._owner.give_back(self._answers)

    @property
    def _complete(self) -> bool:
        return self._left == 0 or (self._awaited is not None and not self._awaited)

    @property
    def wants_more(self) -> bool:
        """Whether there is an answer to take, or one to wait for."""
        return bool(self._answers) or not self._complete

    async def answer(self) -> ARCMessage:
        """The next answer. Raises what ended the connection. Cancelled: none was taken."""
        while not self._answers:
            if self._error is not None:
                raise renew(self._error)
            self._event = self._rt.Event()
            await self._event.wait()
        return self._answers.popleft()

    def put(self, message: ARCMessage) -> None:
        """An answer has come."""
        self._answers.append(message)
        if self._left is not None:
            self._left -= 1
        if self._awaited is not None:
            self._awaited.discard(message.sender or "")
        if self._complete:
            self._owner.remove(self)
        if self._event is not None:
            self._event.set()

    def fail(self, error: VuerError) -> None:
        """No answer can come."""
        self._error = error
        if self._event is not None:
            self._event.set()


@protected_methods
class Questions:
    """The open questions of one connection. ``notice`` is called when there are more, or fewer;
    ``give_back`` gets the answers that nobody has taken."""

    def __init__(
        self, notice: Callable[[], None], give_back: Callable[[Iterable[ARCMessage]], None]
    ) -> None:
        self.give_back = give_back
        self._by_name: dict[str, Ask] = {}
        self._notice = notice

    def __len__(self) -> int:
        return len(set(self._by_name.values()))

    def add(self, ask: Ask) -> None:
        self._by_name[ask.ref] = ask
        self._notice()

    def remove(self, ask: Ask) -> None:
        for name in ask.names:
            self._by_name.pop(name, None)
        self._notice()

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
