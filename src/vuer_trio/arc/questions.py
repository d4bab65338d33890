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

#: ended questions whose echo is still known when it comes
_LATE_ECHOES = 1000


@protected_methods
class Ask:
    """One question. The ``ref`` of an answer is the question's own ``ref`` or the id that the relay
    gave the question, which is learned from its echo.

    It is complete after ``limit`` answers, or when every agent in ``awaited`` has answered; None
    means no such condition. Later answers, and those that `answer` did not return, are received
    like any other message.
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
        #: whether its echo has come
        self.echoed: bool = False
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
        """Close the question; answers that were not taken go to the inbox."""
        self._owner.remove(self)
        if self._answers:
            self._owner.give_back(self._answers)

    @property
    def _complete(self) -> bool:
        return self._left == 0 or (self._awaited is not None and not self._awaited)

    @property
    def wants_more(self) -> bool:
        """Whether there is an answer to take or to wait for."""
        return bool(self._answers) or not self._complete

    async def answer(self) -> ARCMessage:
        """Wait for the next answer. Raises the connection's error. Cancelled: no answer is lost."""
        while not self._answers:
            if self._error is not None:
                raise renew(self._error)
            self._event = self._rt.Event()
            await self._event.wait()
        return self._answers.popleft()

    def put(self, message: ARCMessage) -> None:
        """Add an answer."""
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
        """The connection has ended: `answer` raises ``error`` once no answer is left."""
        self._error = error
        if self._event is not None:
            self._event.set()


@protected_methods
class Questions:
    """The open questions of one connection.

    ``notice`` is called when a question is added or removed; ``give_back`` gets the answers that a
    question did not take.
    """

    def __init__(
        self, notice: Callable[[], None], give_back: Callable[[Iterable[ARCMessage]], None]
    ) -> None:
        self.give_back = give_back
        self._by_name: dict[str, Ask] = {}
        # Of those that have ended before their echo came, which nobody has asked for: ref, type.
        self._late_echoes: dict[str, str] = {}
        self._notice = notice

    def __len__(self) -> int:
        return len(set(self._by_name.values()))

    def add(self, ask: Ask) -> None:
        self._by_name[ask.ref] = ask
        self._notice()

    def remove(self, ask: Ask) -> None:
        for name in ask.names:
            self._by_name.pop(name, None)
        if ask.hides_echo and not ask.echoed:
            self._late_echoes[ask.ref] = ask.message_type
            if len(self._late_echoes) > _LATE_ECHOES:
                del self._late_echoes[next(iter(self._late_echoes))]
        self._notice()

    def sees(self, message: ARCMessage, own_id: str | None) -> bool:
        """Handle a message that belongs to a question; return whether it is hidden from the user.

        That is the case for answers, and for the echo of a question sent to learn its id.
        """
        ask = self._by_name.get(message.ref) if message.ref is not None else None
        if ask is None:
            return self._is_late_echo(message, own_id)
        if (
            message.sender == own_id
            and own_id is not None
            and message.ref == ask.ref
            and message.type == ask.message_type
        ):
            ask.echoed = True
            if message.id is not None:
                ask.names.add(message.id)
                self._by_name[message.id] = ask
            return ask.hides_echo
        if ask.answer_type is not None and message.type != ask.answer_type:
            return False
        ask.put(message)
        return True

    def _is_late_echo(self, message: ARCMessage, own_id: str | None) -> bool:
        """Whether it is the echo of a question that has ended: nobody is to see it."""
        late = self._late_echoes.get(message.ref or "")
        if late is None or message.sender != own_id or message.type != late:
            return False
        del self._late_echoes[message.ref or ""]
        return True

    def fail(self, error: VuerError) -> None:
        """The connection has ended: fail all open questions."""
        for ask in set(self._by_name.values()):
            ask.fail(error)
