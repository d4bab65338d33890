"""An agent at its relay, from the opening of a connection to its end, link after link."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal

from .._client.options import Options
from .._connection.checkpoints import CheckpointThrottle
from .._connection.connection import Connection
from .._connection.handler import ConnectionHandler
from .._connection.policies import open_inbox
from .._connection.receiver import Receiver
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
from .dispatcher import Intake, received
from .message import RELAY, ARCMessage, encode_message
from .rate_limit import Window
from .settings import Settings

__all__ = ["RelaySession"]

log: logging.Logger = logging.getLogger("vuer_trio.arc")

#: command: its reply
_REPLIES = {
    "subscribe": "subscribed",
    "unsubscribe": "unsubscribed",
    "list_subscriptions": "subscriptions",
}


@protected_methods
class RelaySession(ConnectionHandler):
    """``sender`` takes encoded messages, ``receiver`` gives agents' messages.

    With a backoff it watches what the relay delivers: one that has answered before, and is silent
    for ``check_every`` seconds, is asked, and if it answers no more the link is closed and dialled
    again. (A relay may forget a connection when an older one of the same agent ends.)
    """

    connection: Connection

    def __init__(
        self,
        rt: Runtime,
        uri: str,
        options: Options,
        settings: Settings,
        account: Account,
        subscriptions: dict[str, None],
        shielded: bool,
        made: Callable[[], None],
    ) -> None:
        self.rt = rt
        self._made: Callable[[], None] | None = made
        self._settings = settings
        self._account = account
        self._reconnects = options.backoff is not None
        self._dialler = Dialler(options, account, settings.welcome_timeout, settings.reregister)
        self.connection = connection = Connection(
            rt,
            uri,
            self,
            open_inbox(rt, options.inbox),
            options.outbox.open(rt),
            heartbeat=options.heartbeat,
            close_timeout=options.close_timeout,
            backoff=options.backoff,
            shielded=shielded,
        )
        self.intake: Intake = Intake(connection, account, subscriptions, settings.filter)
        throttle = CheckpointThrottle(
            rt, every=options.checkpoints == "every", home=connection.home
        )
        self.sender: Sender[Text] = Sender(connection.outbox, _same, throttle, uri)
        self.receiver: Receiver[ARCMessage] = Receiver(
            connection.inbox, connection.outbox, received, throttle, uri
        )
        self.receiver.connect(rt, connection.inbox, connection.outbox, throttle)
        limit = settings.rate_limit
        self.window: Window | None = None if limit is None else Window(rt, limit, self.check_open)
        self._first: Sequence[Command] = ()
        self._look = rt.Event()  # to be checked now

    def check_open(self) -> None:
        """Raises what any sending would."""
        if self.connection.outbox.closed is not None:
            raise renew(self.connection.outbox.closed)

    # ---- the connection's view (ConnectionHandler)

    async def dial(self, link: Any, nursery: Any) -> Transport:
        return await self._dialler.dial(link, nursery)

    def wrap_error(self, uri: str, exc: Exception) -> Exception:
        return failed(uri, exc)

    def preamble(self) -> list[Text]:
        """The subscriptions."""
        names = list(self.intake.subscriptions)
        own_id = self._account.agent_id
        if self.intake.echoes and own_id is not None and own_id not in names:
            names.append(own_id)
        if not names:
            self._first = ()
            return []
        command = self._internal_subscription(names)
        self._first = (command,)
        return [command.payload]

    def _internal_subscription(self, names: list[str]) -> Command:
        payload = encode_message([RELAY], {"agents": names}, "subscribe")
        return self.intake.commands.expect("subscribed", names, payload, internal=True)

    def connection_made(self) -> None:
        made, self._made = self._made, None
        assert made is not None
        made()

    def messages_received(self, messages: Sequence[Any], at: float) -> Sequence[Any]:
        return self.intake.messages_received(messages, at)

    def link_opened(self) -> None:
        connection = self.connection
        self.intake.commands.next_link(self._first, connection.outbox)
        assert self._dialler.gate is not None
        self._dialler.gate.release()
        self.intake.delivered_at = self.rt.current_time()
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
        """So many connections of this client were before."""
        self._generation_of_the_first = generation + 1

    def classify_error(self, how: CloseInfo | Exception) -> VuerError | Literal["late"] | None:
        if self.window is not None and isinstance(how, CloseInfo):
            self.window.lost()
        uri, reregister = self.connection.uri, self._settings.reregister
        return verdict(uri, how, self._account, self._reconnects, reregister)

    def connection_lost(self, error: VuerError) -> None:
        self.intake.lost(error)
        if self.window is not None:
            self.window.wake()

    # ---- commands

    async def command(self, kind: str, names: list[str] | None) -> list[str]:
        """Ask the relay, and return the agents of its reply.

        Raises CallTimeout after ``reply_timeout``, and what ends the connection. Cancelled: the
        relay may have got it.
        """
        payload = encode_message([RELAY], None if names is None else {"agents": names}, kind)
        commands, timeout = self.intake.commands, self._settings.reply_timeout
        self.check_open()
        try:
            command = commands.expect(_REPLIES[kind], names, payload)
            with command as call, self.rt.move_on_after(timeout):
                self.intake.ignore_count()
                await self.sender(payload)
                command.sent = True
                return await call.wait()  # type: ignore[no-any-return]
        finally:
            self.intake.ignore_count()
        told = self.intake.last_error
        code = f"; its latest error was {shown(told.get('code'), 64)!r}" if told else ""
        raise CallTimeout(
            f"{self.connection.uri} has not answered {kind} within {timeout:g} s{code}"
        )

    def echo_subscription(self) -> list[Text]:
        """What is to be sent before a question to all, so that the relay tells its id.

        ``intake.echoes`` is for the caller to set, once that is enqueued.
        """
        own_id, intake = self._account.agent_id, self.intake
        if own_id is None or not self._account.confirmed:
            return []
        if intake.echoes or own_id in intake.subscriptions:
            return []
        return [self._internal_subscription([own_id]).payload]

    # ---- whether anything is delivered

    async def _watch(self) -> None:
        every, connection = self._settings.check_every, self.connection
        with suppress(VuerError):  # of a connection that is closed
            while True:
                wait = self.intake.delivered_at + every - self.rt.current_time()
                if wait > 0:
                    with self.rt.move_on_after(wait):
                        await self._look.wait()
                if self._look.is_set():
                    self._look = self.rt.Event()
                elif self.intake.delivered_at + every > self.rt.current_time():
                    continue
                if connection.state is State.OPEN:
                    await self._check()
                self.intake.delivered_at = self.rt.current_time()

    async def _check(self) -> None:
        connection, intake = self.connection, self.intake
        generation, asked_at = connection.generation, self.rt.current_time()
        try:
            there = await self.command("list_subscriptions", None)
        except CallTimeout:
            heard = intake.delivered_at > asked_at or connection.stopped
            if intake.answers and connection.generation == generation and not heard:
                await self._abandon()
            return
        gone = [name for name in intake.subscriptions if name not in there]
        if gone and connection.generation == generation:  # those agents had left
            await self.sender(self._internal_subscription(gone).payload)

    async def _abandon(self) -> None:
        """In order, so that the relay knows before the next dial that this link is gone."""
        connection, generation = self.connection, self.connection.generation
        reason = "the relay delivers nothing to this connection any more"
        log.warning("%s: %s", connection.uri, reason)
        connection.fail(1001, reason)
        with self.rt.move_on_after(connection.close_timeout):
            while connection.state is State.OPEN and connection.generation == generation:
                await self.rt.sleep(connection.close_timeout / 16)
        if connection.generation == generation:
            connection.lose(reason)


def _same(payload: Text) -> Text:
    return payload
