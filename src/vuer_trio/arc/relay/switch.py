"""The rules of a relay, in sync code: what a frame of an agent makes whom receive.

It owns no socket. A `Seat` is one connection of an agent, as the rules see it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any, Protocol

from ..._websocket.frames import prepare
from ..._websocket.transport import Prepared
from ..message import EVERYONE, RELAY, encode_fields
from .reading import Unreadable, is_falsy, read_json

__all__ = ["Seat", "Switch"]

#: targets of one agent's subscriptions
_MOST_SUBSCRIPTIONS = 10_000
#: copies of one message for an agent that its ``to`` names again and again
_MOST_COPIES = 2
#: connections of one agent, and how the oldest ends for one more (RFC 6455 §7.4.1)
_MOST_SEATS = 16
_TOO_MANY_SEATS = (1008, "this agent has connected again, and again")
#: characters of what can be subscribed to; no agent id is longer
_LONGEST = 64
_MISSING = "Missing required fields: to, payload"


class Seat(Protocol):
    """One connection."""

    def put(self, frame: Prepared) -> None:
        """Enqueue a frame. A connection that takes no more is not the caller's concern."""

    def end(self, code: int, reason: str) -> None:
        """Close the connection, beside what the caller does."""


class Switch:
    """Who is there, who is subscribed to whom, and what goes where.

    An agent may have several connections: what is for it goes to the newest.
    """

    def __init__(self, info: Mapping[str, Any]) -> None:
        self._info = info
        self._seats: dict[str, list[Seat]] = {}  # agent: its connections, the newest last
        self._newest: dict[str, Seat] = {}
        self._subscribers: dict[Any, dict[str, None]] = {}  # target: agents
        self._targets: dict[str, dict[Any, None]] = {}  # agent: whom it is subscribed to

    @property
    def agents(self) -> list[str]:
        """Who is connected."""
        return list(self._newest)

    @property
    def subscriptions(self) -> int:
        """Pairs of a subscriber and a target."""
        return sum(map(len, self._targets.values()))

    def join(self, agent_id: str, seat: Seat) -> None:
        """An agent has connected: welcome it."""
        seats = self._seats.setdefault(agent_id, [])
        if len(seats) >= _MOST_SEATS:
            seats.pop(0).end(*_TOO_MANY_SEATS)
        seats.append(seat)
        self._newest[agent_id] = seat
        seat.put(_from_relay(agent_id, "welcome", self._info))

    def leave(self, agent_id: str, seat: Seat) -> None:
        """A connection has ended. With the last one of an agent go the subscriptions, its own and
        those to it; before that, the newest of the others gets what is for it."""
        seats = self._seats.get(agent_id, [])
        if seat not in seats:
            return
        seats.remove(seat)
        if seats:
            self._newest[agent_id] = seats[-1]
            return
        del self._seats[agent_id], self._newest[agent_id]
        for target in self._targets.pop(agent_id, {}):
            self._drop(agent_id, target)
        for subscriber in self._subscribers.pop(agent_id, {}):
            self._targets.get(subscriber, {}).pop(agent_id, None)

    def _drop(self, subscriber: str, target: Any) -> None:
        there = self._subscribers.get(target)
        if there is not None:
            there.pop(subscriber, None)
            if not there:
                del self._subscribers[target]

    # ---- frames

    def receive(self, agent_id: str, seat: Seat, text: str) -> None:
        """An agent has sent a frame. An error of it is told to that connection alone."""
        try:
            message = read_json(text)
        except Unreadable as exc:
            self.refuse(agent_id, seat, str(exc))
            return
        if not isinstance(message, dict) or is_falsy(message.get("to")) or "payload" not in message:
            self.refuse(agent_id, seat, _MISSING)
        elif not isinstance(message["to"], list):
            self.refuse(agent_id, seat, "to field must be an array")
        elif RELAY in message["to"]:
            self._command(agent_id, message.get("type"), message["payload"])
        else:
            self._pass_on(agent_id, seat, message)

    def refuse(self, agent_id: str, seat: Seat, why: str, code: str = "invalid_message") -> None:
        """Tell a connection that its frame was no message."""
        seat.put(_from_relay(agent_id, "error", {"code": code, "message": why}))

    def _pass_on(self, agent_id: str, seat: Seat, message: Mapping[str, Any]) -> None:
        to = message["to"]
        fields = {
            "id": _new_id(),
            "from": agent_id,
            "to": to,
            "payload": message["payload"],
            "ts": _now(),
        }
        for name in ("type", "ref"):
            value = message.get(name)
            if not is_falsy(value):
                fields[name] = value
        try:
            frame = prepare(encode_fields(fields))
        except TypeError:  # EncodeError: what could be read cannot be written
            self.refuse(agent_id, seat, "Nested too deeply")
            return
        newest = self._newest
        if EVERYONE in to:
            echoes = agent_id in self._subscribers.get(agent_id, ())
            for name, other in list(newest.items()):
                if name != agent_id or echoes:
                    other.put(frame)
            return
        copies: dict[str, int] = {}
        for name in to:
            target = newest.get(name) if isinstance(name, str) else None
            if target is not None:
                copies[name] = copies.get(name, 0) + 1
                if copies[name] <= _MOST_COPIES:
                    target.put(frame)

    # ---- commands

    def _command(self, agent_id: str, kind: Any, payload: Any) -> None:
        """Replies go where all goes that is for the agent. What is not a command gets none."""
        mine = self._targets.setdefault(agent_id, {})
        if kind == "list_subscriptions":
            self._tell(agent_id, "subscriptions", {"agents": list(mine)})
            return
        agents = payload.get("agents") if isinstance(payload, dict) else None
        if not isinstance(agents, list):
            return
        known = [name for name in agents if _can_be_kept(name)]
        if kind == "subscribe":
            if len(mine.keys() | set(known)) > _MOST_SUBSCRIPTIONS:
                why = f"No more than {_MOST_SUBSCRIPTIONS} subscriptions"
                self.refuse(agent_id, self._newest[agent_id], why, "too_many_subscriptions")
                return
            for name in known:
                mine[name] = None
                self._subscribers.setdefault(name, {})[agent_id] = None
            self._tell(agent_id, "subscribed", {"agents": agents, "count": len(agents)})
        elif kind == "unsubscribe":
            count = sum(name in self._subscribers for name in known)
            for name in known:
                mine.pop(name, None)
                self._drop(agent_id, name)
            self._tell(agent_id, "unsubscribed", {"agents": agents, "count": count})

    def _tell(self, agent_id: str, kind: str, payload: Mapping[str, Any]) -> None:
        seat = self._newest.get(agent_id)
        if seat is None:
            return
        try:
            seat.put(_from_relay(agent_id, kind, payload))
        except TypeError:  # EncodeError, of what it has named itself
            self.refuse(agent_id, seat, "Nested too deeply")


def _can_be_kept(name: Any) -> bool:
    """An agent id, though any small value that can be compared is kept."""
    return isinstance(name, int | float) or (isinstance(name, str) and len(name) <= _LONGEST)


def _from_relay(agent_id: str, kind: str, payload: Mapping[str, Any]) -> Prepared:
    fields = {
        "id": _new_id(),
        "from": RELAY,
        "to": [agent_id],
        "type": kind,
        "payload": payload,
        "ts": _now(),
    }
    return prepare(encode_fields(fields))


def _new_id() -> str:
    return secrets.token_urlsafe(9)  # 12 characters


def _now() -> int:
    return time.time_ns() // 1_000_000
