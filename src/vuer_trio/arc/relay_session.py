"""One connection of an agent to its relay, across reconnects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal

from .._client.connecting import new_connection
from .._client.options import Options
from .._connection.checkpoints import CheckpointThrottle
from .._connection.connection import Connection
from .._connection.handler import ConnectionHandler
from .._connection.sender import Sender
from .._connection.state import State
from .._errors import CallTimeout, VuerError, renew
from .._formatting import shown
from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.transport import CloseInfo, Text, Transport
from .account import Account
from .commands import Command
from .dialing import Dialler, failed, verdict
from .dispatcher import Dispatcher
from .message import RELAY, encode_message
from .options import AgentOptions
from .rate_limit import Window

__all__ = ["RelaySession"]

log: logging.Logger = logging.getLogger("vuer_trio.arc")

#: the reply to each command
_REPLIES = {
    "subscribe": "subscribed",
    "unsubscribe": "unsubscribed",
    "list_subscriptions": "subscriptions",
}


@protected_methods
class RelaySession(ConnectionHandler):
    """The connection of an agent, and its handler.

    With a backoff, it checks that the relay still delivers: after ``check_every`` seconds of
    silence it sends a command. If a relay that has answered commands before does not reply, the
    link is closed and dialled again. (A relay may forget a connection when an older one of the same
    agent ends.)
    """

    connection: Connection

    def __init__(
        self,
        rt: Runtime,
        options: Options,
        settings: AgentOptions,
        account: Account,
        subscriptions: dict[str, None],
        shielded: bool,
        made: Callable[[], None],
    ) -> None:
        super().__init__(made)
        self.rt = rt
        self._settings = settings
        self._account = account
        self._reconnects = options.backoff is not None
        self._dialler = Dialler(options, account, settings.welcome_timeout, settings.reregister)
        self.connection = connection = new_connection(
            rt, options, self, options.outbox.open(rt), shielded=shielded
        )
        self.dispatcher: Dispatcher = Dispatcher(
            connection, account, subscriptions, settings.filter
        )
        throttle = CheckpointThrottle(
            rt, every=options.checkpoints == "every", home=connection.home
        )
        #: sends encoded messages, without the rate limit
        self.sender: Sender[Text] = Sender(_same, connection.uri)
        self.sender.connect(connection.outbox, throttle)
        limit = settings.rate_limit
        self.window: Window | None = None if limit is None else Window(rt, limit, self.check_open)
        self._first: Sequence[Command] = ()
        self._look = rt.Event()  # set to check now

    def check_open(self) -> None:
        """Raise the error that sending would raise, if any."""
        if self.connection.outbox.closed is not None:
            raise renew(self.connection.outbox.closed)

    # ---- the connection's view (ConnectionHandler)

    async def dial(self, link: Any, nursery: Any) -> Transport:
        return await self._dialler.dial(link, nursery)

    def wrap_error(self, uri: str, exc: Exception) -> Exception:
        return failed(uri, exc)

    def preamble(self) -> list[Text]:
        """The command that subscribes again, sent before everything else."""
        names = list(self.dispatcher.subscriptions)
        own_id = self._account.agent_id
        if self.dispatcher.echoes and own_id is not None and own_id not in names:
            names.append(own_id)
        if not names:
            self._first = ()
            return []
        command = self._internal_subscription(names)
        self._first = (command,)
        return [command.payload]

    def _internal_subscription(self, names: list[str]) -> Command:
        payload = encode_message([RELAY], {"agents": names}, "subscribe")
        return self.dispatcher.commands.expect("subscribed", names, payload, internal=True)

    def messages_received(self, messages: Sequence[Any], at: float) -> Sequence[Any]:
        return self.dispatcher.messages_received(messages, at)

    def link_opened(self) -> None:
        connection = self.connection
        self.dispatcher.commands.next_link(self._first, connection.outbox)
        assert self._dialler.buffer is not None
        self._dialler.buffer.release()
        self.dispatcher.delivered_at = self.rt.current_time()
        if self.window is not None:
            self.window.opened()
        if not self._reconnects:
            return
        if connection.generation == self._generation_of_the_first:
            connection.nursery.start_soon(self._watch)
        else:
            self._look.set()

    _generation_of_the_first = 1

    def counts_from(self, generation: int) -> None:
        """Set the generation of the connection before the first one of this session."""
        self._generation_of_the_first = generation + 1

    def classify_error(self, how: CloseInfo | Exception) -> VuerError | Literal["late"] | None:
        if self.window is not None and isinstance(how, CloseInfo):
            self.window.lost()
        uri, reregister = self.connection.uri, self._settings.reregister
        return verdict(uri, how, self._account, self._reconnects, reregister)

    def connection_lost(self, error: VuerError) -> None:
        self.dispatcher.lost(error)
        if self.window is not None:
            self.window.wake()

    # ---- commands

    async def command(self, kind: str, names: list[str] | None) -> list[str]:
        """Send a command, and return the agents in the reply.

        Raises CallTimeout after ``reply_timeout``, and the connection's error. Cancelled: the relay
        may have received the command.
        """
        payload = encode_message([RELAY], None if names is None else {"agents": names}, kind)
        commands, timeout = self.dispatcher.commands, self._settings.reply_timeout
        self.check_open()
        try:
            command = commands.expect(_REPLIES[kind], names, payload)
            with command as call, self.rt.move_on_after(timeout):
                self.dispatcher.ignore_count()
                await self.sender(payload)
                command.sent = True
                return await call.wait()  # type: ignore[no-any-return]
        finally:
            self.dispatcher.ignore_count()
        told = self.dispatcher.last_error
        code = f"; its latest error was {shown(told.get('code'), 64)!r}" if told else ""
        raise CallTimeout(
            f"{self.connection.uri} has not answered {kind} within {timeout:g} s{code}"
        )

    async def send_question(self, question: Text, *, to_all: bool) -> None:
        """Wait for room, and enqueue a question.

        The first question to all agents is preceded by a subscription to this agent itself, so that
        the relay echoes questions, and with them their ids. Cancelled: neither has been sent.
        """
        own_id, dispatcher = self._account.agent_id, self.dispatcher
        hears_itself = dispatcher.echoes or own_id in dispatcher.subscriptions
        if not to_all or hears_itself or own_id is None or not self._account.confirmed:
            return await self.sender(question)
        subscription = encode_message([RELAY], {"agents": [own_id]}, "subscribe")
        await self.sender.many([subscription, question])
        dispatcher.commands.expect("subscribed", [own_id], subscription, internal=True)
        dispatcher.echoes = True

    # ---- checking that the relay delivers

    async def _watch(self) -> None:
        every, connection = self._settings.check_every, self.connection
        with suppress(VuerError):  # the connection is closed
            while True:
                wait = self.dispatcher.delivered_at + every - self.rt.current_time()
                if wait > 0:
                    with self.rt.move_on_after(wait):
                        await self._look.wait()
                if self._look.is_set():
                    self._look = self.rt.Event()
                elif self.dispatcher.delivered_at + every > self.rt.current_time():
                    continue
                if connection.state is State.OPEN:
                    await self._check()
                self.dispatcher.delivered_at = self.rt.current_time()

    async def _check(self) -> None:
        connection, dispatcher = self.connection, self.dispatcher
        generation, asked_at = connection.generation, self.rt.current_time()
        try:
            there = await self.command("list_subscriptions", None)
        except CallTimeout:
            heard = dispatcher.delivered_at > asked_at or connection.stopped
            if dispatcher.answers and connection.generation == generation and not heard:
                await self._abandon()
            return
        gone = [name for name in dispatcher.subscriptions if name not in there]
        if gone and connection.generation == generation:  # dropped when those agents left
            await self.sender(self._internal_subscription(gone).payload)

    async def _abandon(self) -> None:
        """Close the link properly, so that the relay removes it before the next dial."""
        connection, generation = self.connection, self.connection.generation
        reason = "the relay no longer delivers to this connection"
        log.warning("%s: %s", connection.uri, reason)
        connection.fail(1001, reason)
        with self.rt.move_on_after(connection.close_timeout):
            while connection.state is State.OPEN and connection.generation == generation:
                await self.rt.sleep(connection.close_timeout / 16)
        if connection.generation == generation:
            connection.lose(reason)


def _same(payload: Text) -> Text:
    return payload
