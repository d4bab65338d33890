"""The operations of an agent: send, subscribe, ask and receive."""

from __future__ import annotations

import logging
import math
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from .._connection.duplex import Duplex
from .._errors import ProtocolError
from .._failures import has_failed, log_failure, pass_on, verb
from .._formatting import shown
from .._interrupts import call_unprotected, protected_methods
from .._runtime import runtime
from .._websocket.transport import Text
from .agent_sender import AgentSender
from .message import EVERYONE, ARCMessage, check_names, encode_message
from .message_types import MessageTypes
from .questions import Ask
from .relay_session import RelaySession

__all__ = ["Agent"]

log: logging.Logger = logging.getLogger("vuer_trio.arc")


@protected_methods
class Agent(MessageTypes, Duplex[Mapping[str, Any], ARCMessage]):
    """The operations of an agent; a subclass provides the connection."""

    _sender: AgentSender
    _subscriptions: dict[str, None]

    @property
    @abstractmethod
    def agent_id(self) -> str | None:
        """The id of this agent; None until the relay has chosen one."""

    @property
    @abstractmethod
    def _there(self) -> RelaySession:
        """The current connection. Raises ClientClosed before the first one."""

    # ---- sending

    async def send(
        self,
        to: Sequence[str],
        payload: Any,
        message_type: str | None = None,
        *,
        ref: str | None = None,
        **extra: Any,
    ) -> None:
        """Send a message to the agents in ``to``, ``["*"]`` for all.

        Waits for its turn in ``rate_limit``, then for room. ``payload`` is any JSON value;
        ``extra`` are additional fields, which a relay may drop. Relays do not confirm messages, and
        a message to an agent that is not connected is lost. Raises EncodeError, TypeError and
        ValueError for what cannot be sent, ConnectionClosed, ClientClosed. Cancelled: it has not
        been sent, and will not be.
        """
        await self._sender.send(*_encoded(to, payload, message_type, ref, extra))

    def send_nowait(
        self,
        to: Sequence[str],
        payload: Any,
        message_type: str | None = None,
        *,
        ref: str | None = None,
        **extra: Any,
    ) -> None:
        """Like `send`, but raises OutboxFull instead of waiting for its turn or for room.

        It never overtakes a waiting `send`.
        """
        self._sender.send_nowait(*_encoded(to, payload, message_type, ref, extra))

    async def send_many(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """Wait until ``rate_limit`` admits all messages, then for room; enqueue them in one step.

        A message is a mapping of its fields: ``{"to": ["*"], "payload": "Hello"}``, optionally with
        "type", "ref" and additional fields. Raises as `send`, and ValueError for more messages than
        ``rate_limit`` can admit at once. Cancelled: none of them has been sent, and none will be.
        """
        await super().send_many(messages)

    async def broadcast(self, payload: Any, message_type: str | None = None) -> None:
        """Send to all agents but this one. Raises as `send`."""
        await self.send([EVERYONE], payload, message_type)

    async def direct(self, target_id: str, payload: Any, message_type: str | None = None) -> None:
        """Send to one agent. Raises as `send`."""
        await self.send([target_id], payload, message_type)

    # ---- subscriptions

    async def subscribe(self, agent_ids: Sequence[str]) -> None:
        """Subscribe to what these agents send, and wait for the relay's confirmation.

        Every later connection subscribes again. Raises CallTimeout after ``reply_timeout``,
        ConnectionClosed, ClientClosed. Cancelled: the relay may have received the request.
        """
        await self._there.command("subscribe", check_names("agent_ids", agent_ids, '["agent-1"]'))

    async def unsubscribe(self, agent_ids: Sequence[str]) -> None:
        """Undo `subscribe`, with the same confirmation and errors."""
        await self._there.command("unsubscribe", check_names("agent_ids", agent_ids, '["agent-1"]'))

    async def list_subscriptions(self) -> list[str]:
        """The agents that the relay has this agent subscribed to. Raises as `subscribe`."""
        there = self._there
        names = await there.command("list_subscriptions", None)
        hidden = self.agent_id if there.dispatcher.echoes else None
        return [name for name in names if name != hidden or name in self._subscriptions]

    # ---- questions

    async def ask(
        self,
        question: Any,
        to: Sequence[str] = (EVERYONE,),
        timeout: float | None = 30.0,
        *,
        message_type: str = "question",
        answer_type: str | None = "answer",
        **extra: Any,
    ) -> Any:
        """Ask, and return the payload of the first answer; None after ``timeout`` seconds.

        An answer is a message of ``answer_type`` (None: of any) whose ``ref`` is the question's own
        or the id that the relay gave it, as `reply` sets it. It does not reach `recv`; everything
        else does, later answers included. Any number of questions may be open at once. Raises as
        `send`. Cancelled: the question is forgotten here, but may have been sent.
        """
        ask = self._new_ask(to, message_type, answer_type, limit=1)
        with self._there.rt.move_on_after(_seconds(timeout)), ask:
            await self._send_question(ask, to, question, extra)
            return (await ask.answer()).payload
        return None

    async def ask_all(
        self,
        question: Any,
        to: Sequence[str] = (EVERYONE,),
        timeout: float = 30.0,
        *,
        limit: int | None = None,
        message_type: str = "question",
        answer_type: str | None = "answer",
        **extra: Any,
    ) -> list[ARCMessage]:
        """Ask, and return all answers, in order, that arrive within ``timeout`` seconds.

        Returns earlier with ``limit`` answers, or when every agent of a ``to`` without "*" has
        answered. Raises and is cancelled as `ask`.
        """
        answers: list[ARCMessage] = []
        ask = self._new_ask(to, message_type, answer_type, limit)
        with self._there.rt.move_on_after(_seconds(timeout)), ask:
            await self._send_question(ask, to, question, extra)
            while ask.wants_more:
                answers.append(await ask.answer())
        return answers

    def _new_ask(
        self, to: Sequence[str], message_type: str, answer_type: str | None, limit: int | None
    ) -> Ask:
        there = self._there
        names = check_names("to", to, '["*"]')
        return Ask(
            there.dispatcher.asks,
            there.rt,
            message_type,
            answer_type,
            hides_echo=self.agent_id not in names,
            awaited=None if EVERYONE in names else set(names),
            limit=limit,
        )

    async def _send_question(
        self, ask: Ask, to: Sequence[str], question: Any, extra: Mapping[str, Any]
    ) -> None:
        there = self._there
        names = check_names("to", to, '["*"]')
        if EVERYONE not in names and self.agent_id is not None and self.agent_id not in names:
            names = [*names, self.agent_id]  # its echo tells the relay's id of the question
        data = encode_message(names, question, ask.message_type, ask.ref, extra)
        self._sender.check_size(data)
        await self._sender.in_turn(1, partial(there.send_question, data, to_all=EVERYONE in names))

    # ---- receiving

    async def listen(
        self,
        handler: Callable[[ARCMessage], object] | None = None,
        *,
        filter: Callable[[ARCMessage], object] | None = None,
    ) -> None:
        """Call ``handler(message)``, sync or async, for each message; print them without one.

        Exceptions of the handler and frames that cannot be parsed are logged, and the loop
        continues. With ``filter``, the handler gets only messages that pass it; the others, and
        those for which it raises, are received and dropped. Returns on a normal close, raises
        ConnectionClosed on any other. Cancelled: no message is lost except the one being handled.
        """
        handler = show if handler is None else handler
        rt, uri = runtime(), self._sender.uri
        task = rt.current_task()
        while True:
            try:
                message = await anext(self)
            except StopAsyncIteration:
                return
            except ProtocolError as exc:
                log.warning("%s: %s", uri, exc)
                continue
            try:
                if filter is not None and not filter(message):
                    continue
                await call_unprotected(handler, message)
            except BaseException as exc:
                if has_failed(exc, rt, task):
                    log_failure(log, exc, "a handler of %s %s", uri, verb(exc))
                pass_on(exc, rt, task)


def _encoded(
    to: Sequence[str],
    payload: Any,
    message_type: str | None,
    ref: str | None,
    extra: Mapping[str, Any],
) -> tuple[list[str], Text]:
    names = check_names("to", to, '["*"]')
    return names, encode_message(names, payload, message_type, ref, extra)


def _seconds(timeout: float | None) -> float:
    return math.inf if timeout is None else timeout


def show(message: ARCMessage) -> None:
    """Print a message, as `ARCClient.listen` does."""
    to = ", ".join(message.to)
    # Show the whole payload, with control characters escaped.
    said = shown(message.payload, sys.maxsize)
    print(f"[{shown(message.sender, 64)}] → [{shown(to)}]: {said}", flush=True)
