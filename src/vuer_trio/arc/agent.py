"""What agents do with a connection to their relay: send, subscribe, ask, receive."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Self

from .._errors import CallTimeout, EncodeError, ProtocolError
from .._failures import has_failed, log_failure, pass_on, verb
from .._formatting import shown
from .._interrupts import call_unprotected, protected_methods
from .._runtime import runtime
from .message import EVERYONE, RELAY, ARCMessage, check_names, encode_message
from .message_types import MessageTypes
from .questions import Ask
from .rate_limit import Window
from .relay_session import RelaySession

__all__ = ["Agent"]

log: logging.Logger = logging.getLogger("vuer_trio.arc")


@protected_methods
class Agent(MessageTypes):
    """A subclass has the connection."""

    _subscriptions: dict[str, None]

    @property
    def uri(self) -> str:
        """Where it connects to; without the token."""
        raise NotImplementedError

    @property
    def agent_id(self) -> str | None:
        """The id of this agent; None until the relay has chosen one."""
        raise NotImplementedError

    @property
    def _there(self) -> RelaySession:
        """The connection. Raises ClientClosed before the first."""
        raise NotImplementedError

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

        Waits for its turn in ``rate_limit``, then for room. ``payload`` is anything that JSON has;
        ``extra`` are further fields, which a relay may leave out. No relay confirms a message, and
        one to an agent that is not connected is lost. Raises EncodeError, TypeError and ValueError
        for what cannot be sent, ConnectionClosed, ClientClosed. Cancelled: it has not been sent,
        and will not be.
        """
        there = self._there
        names = check_names("to", to, '["*"]')
        data = encode_message(names, payload, message_type, ref, extra)
        self._check_size(len(data))
        window = None if RELAY in names else there.window
        if window is None:
            await there.sender(data)
            return
        await _admit(there, window)
        try:
            await there.sender(data)
        except BaseException:
            window.give_back()
            raise

    def _check_size(self, size: int) -> None:
        limits = self._there.intake.relay_info.get("limits")
        most = limits.get("max_message_size") if isinstance(limits, dict) else None
        if isinstance(most, int) and size > most:
            raise EncodeError(
                f"a message of {size:,} bytes: {self.uri} takes {most:,} at most", path="payload"
            )

    async def broadcast(self, payload: Any, message_type: str | None = None) -> None:
        """Send to all agents but this one. Raises as `send`."""
        await self.send([EVERYONE], payload, message_type)

    async def direct(self, target_id: str, payload: Any, message_type: str | None = None) -> None:
        """Send to one agent. Raises as `send`."""
        await self.send([target_id], payload, message_type)

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until the relay has read everything enqueued so far, by a ping.

        Raises CallTimeout after ``timeout`` seconds, and what ends the connection.
        """
        there = self._there
        with there.rt.move_on_after(_seconds(timeout)):
            return await there.connection.flush()
        raise CallTimeout(f"{self.uri} has not read everything within {timeout:g} s")

    # ---- subscriptions

    async def subscribe(self, agent_ids: Sequence[str]) -> None:
        """Subscribe to what these agents send, and wait for the relay's confirmation.

        Every later connection subscribes again. Raises CallTimeout after ``reply_timeout``,
        ConnectionClosed, ClientClosed. Cancelled: the relay may have got it.
        """
        await self._there.command("subscribe", check_names("agent_ids", agent_ids, '["agent-1"]'))

    async def unsubscribe(self, agent_ids: Sequence[str]) -> None:
        """The opposite, with the same confirmation and errors."""
        await self._there.command("unsubscribe", check_names("agent_ids", agent_ids, '["agent-1"]'))

    async def list_subscriptions(self) -> list[str]:
        """Whom the relay has this agent subscribed to. Raises as `subscribe`."""
        there = self._there
        names = await there.command("list_subscriptions", None)
        hidden = self.agent_id if there.intake.echoes else None
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
        or the id that the relay gave it, as `reply` has it. It does not reach `recv`; everything
        else does, later answers included. Any number of questions may be open at once. Raises as
        `send`. Cancelled: nothing of it is left here.
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
            there.intake.asks,
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
            names = [*names, self.agent_id]  # the echo tells the id
        data = encode_message(names, question, ask.message_type, ask.ref, extra)
        self._check_size(len(data))
        if there.window is not None:
            await _admit(there, there.window)
        before = there.echo_subscription() if EVERYONE in names else []
        try:
            await there.sender.many([*before, data])
            there.intake.echoes |= bool(before)
        except BaseException:
            if there.window is not None:
                there.window.give_back()
            raise

    # ---- receiving

    # Not `async def`: a coroutine that only awaits another one costs a tenth of a receive.
    def recv(self, timeout: float | None = None) -> Coroutine[Any, Any, ARCMessage]:
        """Wait for the next message of an agent.

        Raises RecvTimeout after ``timeout`` seconds, ConnectionClosed when everything has been
        received and the connection has ended, AuthenticationError if the token was the reason,
        ClientClosed after a local close, ProtocolError for a frame that is not a JSON object, after
        which the next call continues. Cancelled: nothing has been taken.
        """
        receiver = self._there.receiver
        return receiver.recv() if timeout is None else receiver.recv_within(timeout)

    def recv_nowait(self) -> ARCMessage:
        """The next message, if it is there. Raises InboxEmpty if not, else as `recv`."""
        return self._there.receiver.recv_nowait()

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, ARCMessage]:
        """As `recv`, but ends on a normal close: code 1000 or 1001."""
        return self._there.receiver.recv(iterating=True)

    async def listen(
        self,
        handler: Callable[[ARCMessage], object] | None = None,
        *,
        filter: Callable[[ARCMessage], object] | None = None,
    ) -> None:
        """Call ``handler(message)``, sync or async, for each message; print them without one.

        What it raises is logged, and the loop continues; so is a frame that cannot be read. With
        ``filter`` it gets only what passes; the rest, and what the filter raises for, is received
        and dropped. Returns on a normal close, raises ConnectionClosed on any other. Cancelled:
        nothing is lost except what the handler was doing.
        """
        handler = show if handler is None else handler
        rt = runtime()
        task = rt.current_task()
        while True:
            try:
                message = await anext(self)
            except StopAsyncIteration:
                return
            except ProtocolError as exc:
                log.warning("%s: %s", self.uri, exc)
                continue
            try:
                if filter is not None and not filter(message):
                    continue
                await call_unprotected(handler, message)
            except BaseException as exc:
                if has_failed(exc, rt, task):
                    log_failure(log, exc, "a handler of %s %s", self.uri, verb(exc))
                pass_on(exc, rt, task)


async def _admit(there: RelaySession, window: Window) -> None:
    there.check_open()
    if not window.try_admit():
        await window.admit()


def _seconds(timeout: float | None) -> float:
    return math.inf if timeout is None else timeout


def show(message: ARCMessage) -> None:
    """Print a message, as `ARCClient.listen` does."""
    to = ", ".join(message.to)
    # All of the payload, but nothing in it that would move the cursor.
    said = shown(message.payload, sys.maxsize)
    print(f"[{shown(message.sender, 64)}] → [{shown(to)}]: {said}", flush=True)
