"""Handles every frame from a relay as it is read, in sync code, and selects those for the user."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._connection.connection import Connection
from .._connection.log_limit import LogLimit
from .._connection.received_item import ReceivedItem
from .._errors import ProtocolError, VuerError, renew
from .._failures import contain
from .account import Account
from .commands import Commands
from .control import REPLIES, Control, control_in
from .message import EVERYONE, ARCMessage, parse_message
from .questions import Questions

__all__ = ["Dispatcher", "Filter", "received"]

log: logging.Logger = logging.getLogger("vuer_trio.arc")

#: how many message ids are remembered to drop duplicates, and how long each may be (12 is usual)
_REMEMBERED, _LONGEST = 4096, 256


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects messages by ``sender``, ``type`` and ``predicate``; all of them must match.

    ``sender`` and ``type`` are a string or several; None matches every message.
    """

    sender: str | Sequence[str] | None = None
    type: str | Sequence[str] | None = None
    predicate: Callable[[ARCMessage], object] | None = None

    def __call__(self, message: ARCMessage) -> bool:
        return (
            _among(message.sender, self.sender)
            and _among(message.type, self.type)
            and (self.predicate is None or bool(self.predicate(message)))
        )


def _among(value: str | None, wanted: str | Sequence[str] | None) -> bool:
    if wanted is None:
        return True
    return value == wanted if isinstance(wanted, str) else value in wanted


def _item(message: ARCMessage, size: int) -> ReceivedItem[ARCMessage]:
    item = ReceivedItem(message, size)
    item.key = (message.sender, message.type)
    return item


def received(item: ReceivedItem[ARCMessage | ProtocolError]) -> ARCMessage:
    """The message in an inbox item. Raises the ProtocolError of a frame that was invalid."""
    if isinstance(item.event, ProtocolError):
        raise renew(item.event)
    return item.event


class Dispatcher:
    """The dispatcher of one connection, kept across its links."""

    def __init__(
        self,
        connection: Connection,
        account: Account,
        subscriptions: dict[str, None],
        wanted: Callable[[ARCMessage], object] | None,
    ) -> None:
        self.commands: Commands = Commands(connection.rt)
        self.asks: Questions = Questions(self.ignore_count, self._give_back)
        #: the payload of the latest ``welcome``
        self.relay_info: dict[str, Any] = {}
        #: the latest error from the relay: code and message
        self.last_error: Mapping[str, Any] | None = None
        #: the agents subscribed to, in order
        self.subscriptions = subscriptions
        #: whether this agent is subscribed to itself, to learn the ids of its questions
        self.echoes: bool = False
        #: whether the relay has ever answered a command
        self.answers: bool = False
        #: when the relay last delivered a message or a reply
        self.delivered_at: float = connection.rt.current_time()
        #: how many messages the filter rejected
        self.filtered: int = 0
        self._connection = connection
        self._account = account
        self._wanted = wanted
        self._seen: dict[str, None] = {}
        self._reported = LogLimit(log, "errors of the relay")

    def ignore_count(self) -> None:
        """While a reply or an answer is awaited, read past a full inbox, up to its byte limit."""
        self._connection.inbox.ignore_count(bool(self.asks) or bool(self.commands))

    def _give_back(self, messages: Iterable[ARCMessage]) -> None:
        """Put answers that no question took into the inbox."""
        inbox = self._connection.inbox
        if inbox.closed is None:
            inbox.extend([_item(message, 0) for message in messages])

    def messages_received(self, messages: Sequence[Any], at: float) -> list[ReceivedItem[Any]]:
        """Process frames read at time ``at``; return the items for the inbox."""
        arrived: list[ReceivedItem[Any]] = []
        for data in messages:
            try:
                message = parse_message(data)
            except ProtocolError as exc:
                arrived.append(ReceivedItem(exc, len(data)))
                continue
            own_id = self._account.agent_id if self._account.confirmed else None
            control = control_in(message, own_id)
            if control is not None:
                self._heed(control, at)
                continue
            self.delivered_at = at
            if self._is_for_the_user(message):
                arrived.append(_item(message, len(data)))
        return arrived

    def _is_for_the_user(self, message: ARCMessage) -> bool:
        known = self._seen
        if message.id is not None and len(message.id) <= _LONGEST:
            if message.id in known:
                return False
            known[message.id] = None
            if len(known) > _REMEMBERED:
                del known[next(iter(known))]
        own_id = self._account.agent_id
        if message.ref is not None and self.asks.sees(message, own_id):
            return False
        if (
            message.sender == own_id
            and own_id is not None
            and EVERYONE in message.to
            and own_id not in self.subscriptions
        ):
            return False  # subscribed only to learn the ids of questions
        if self._wanted is not None:
            try:
                wanted = self._wanted(message)
            except BaseException as exc:
                message_in_log = "the filter of %s failed; the message is let through"
                contain(exc, log, message_in_log, self._connection.uri)
                return True
            if not wanted:
                self.filtered += 1
                return False
        return True

    def _heed(self, control: Control, at: float) -> None:
        kind, payload = control.type, control.payload
        if kind in REPLIES:
            self.answers = True
            self.delivered_at = at
            self._confirm(kind, payload.get("agents"))
        elif kind == "welcome":
            self.relay_info = dict(payload)
        elif kind == "error":
            self.last_error = dict(payload)
            if self._reported.admits():
                code = _word(payload.get("code"))
                log.warning("%s reports an error: %s", self._connection.uri, code)
        elif kind != "pong":
            log.debug("%s sent an unknown control message, %s", self._connection.uri, _word(kind))
        if len(control.to) == 1:
            self._account.is_called(control.to[0])

    def _confirm(self, kind: str, agents: Any) -> None:
        names = [name for name in agents if type(name) is str] if isinstance(agents, list) else []
        command = self.commands.settle(kind, names)
        if kind == "subscribed" and not (command is not None and command.internal):
            self.subscriptions.update(dict.fromkeys(names))
        elif kind == "unsubscribed":
            for name in names:
                self.subscriptions.pop(name, None)
                if name == self._account.agent_id:
                    self.echoes = False

    def lost(self, error: VuerError) -> None:
        """The connection has ended: fail pending commands and questions."""
        self.commands.fail(error)
        self.asks.fail(error)


def _word(value: Any) -> str:
    """A relay's error code or type if it looks like one: logs show nothing else of a message."""
    plain = isinstance(value, str) and len(value) <= 64 and value.replace("_", "").isalnum()
    return str(value) if plain else "(not shown)"
