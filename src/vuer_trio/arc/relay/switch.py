"""Message routing for a relay, in sync code and without I/O.

A `Seat` is one connection of an agent.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..._websocket.frames import prepare
from ..._websocket.transport import Prepared, Text
from ..message import EVERYONE, RELAY, encode_fields
from .reading import Unreadable, is_falsy, read_json

__all__ = ["Seat", "Switch"]

#: maximum number of subscriptions of one agent
_MOST_SUBSCRIPTIONS = 10_000
#: maximum copies of a message for an agent that ``to`` names more than once
_MOST_COPIES = 2
#: maximum connections of one agent; for one more, the oldest is closed (RFC 6455 §7.4.1)
_MOST_SEATS = 16
_TOO_MANY_SEATS = (1008, "too many connections of this agent")
#: maximum characters of a target, as of an agent id
_LONGEST = 64
_MISSING = "Missing required fields: to, payload"


class Seat(Protocol):
    """One connection of an agent."""

    def put(self, frame: Prepared) -> None:
        """Enqueue a frame. The connection decides what to do when there is no room."""

    def end(self, code: int, reason: str) -> None:
        """Close the connection in the background."""


class Switch:
    """Routes messages between the connected agents, and keeps their subscriptions.

    An agent may have several connections. Only the newest one gets messages.
    """

    def __init__(self, info: Mapping[str, Any]) -> None:
        self._info = info
        self._seats: dict[str, list[Seat]] = {}  # agent: its connections, the newest last
        self._newest: dict[str, Seat] = {}
        self._subscribers: dict[Any, dict[str, None]] = {}  # target: agents
        self._targets: dict[str, dict[Any, None]] = {}  # agent: the targets of its subscriptions

    @property
    def agents(self) -> list[str]:
        """The ids of the connected agents."""
        return list(self._newest)

    def connects(self, agent_id: str) -> bool:
        """Whether an agent has a connection here."""
        return agent_id in self._newest

    @property
    def subscriptions(self) -> int:
        """The total number of subscriptions of all agents."""
        return sum(map(len, self._targets.values()))

    def join(self, agent_id: str, seat: Seat) -> None:
        """Add a connection of an agent, and send it a welcome."""
        seats = self._seats.setdefault(agent_id, [])
        if len(seats) >= _MOST_SEATS:
            seats.pop(0).end(*_TOO_MANY_SEATS)
        seats.append(seat)
        self._newest[agent_id] = seat
        seat.put(_from_relay(agent_id, "welcome", self._info))

    def leave(self, agent_id: str, seat: Seat) -> None:
        """Remove a connection that has ended.

        If the agent has others, the newest of them gets its messages from now on. If not, its
        subscriptions and those of others to it are removed.
        """
        seats = self._seats.get(agent_id, [])
        if seat not in seats:
            return
        seats.remove(seat)
        if seats:
            self._newest[agent_id] = seats[-1]
            return
        del self._seats[agent_id], self._newest[agent_id]
        self._forget(agent_id)

    def _forget(self, agent_id: str) -> None:
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
        """Handle a frame from an agent. Errors are reported only to that connection."""
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
            self._command(agent_id, seat, message.get("type"), message["payload"])
        else:
            self._pass_on(agent_id, seat, message)

    def refuse(self, agent_id: str, seat: Seat, why: str, code: str = "invalid_message") -> None:
        """Send an error to a connection whose frame was refused."""
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
            text = encode_fields(fields)
        except TypeError:  # EncodeError: what was parsed cannot be encoded
            self.refuse(agent_id, seat, "Nested too deeply")
            return
        echoes = agent_id in self._subscribers.get(agent_id, ())
        self._route(agent_id, seat, to, echoes, text)

    def _route(self, agent_id: str, seat: Seat, to: list[Any], echoes: bool, text: Text) -> None:
        """Bring a message of an agent to its recipients."""
        self._deliver(agent_id, to, echoes, text, self._newest)

    def _deliver(
        self,
        agent_id: str,
        to: Sequence[Any],
        echoes: bool,
        text: Text,
        newest: Mapping[str, Seat],
    ) -> None:
        """To those of them that are connected here: agents, and their newest connections."""
        frame = prepare(text)
        if EVERYONE in to:
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

    def _command(self, agent_id: str, seat: Seat, kind: Any, payload: Any) -> None:
        """Run a command, and reply to the agent's newest connection. Ignore unknown commands."""
        mine = self._targets.setdefault(agent_id, {})
        if kind == "list_subscriptions":
            self._tell(agent_id, seat, "subscriptions", {"agents": list(mine)})
            return
        agents = payload.get("agents") if isinstance(payload, dict) else None
        if not isinstance(agents, list):
            return
        known = [name for name in agents if _can_be_kept(name)]
        if kind == "subscribe":
            if len(mine.keys() | set(known)) > _MOST_SUBSCRIPTIONS:
                why = f"No more than {_MOST_SUBSCRIPTIONS} subscriptions"
                seat = self._newest.get(agent_id, seat)
                self.refuse(agent_id, seat, why, "too_many_subscriptions")
                return
            for name in known:
                mine[name] = None
                self._subscribers.setdefault(name, {})[agent_id] = None
            self._tell(agent_id, seat, "subscribed", {"agents": agents, "count": len(agents)})
        elif kind == "unsubscribe":
            count = sum(name in self._subscribers for name in known)
            for name in known:
                mine.pop(name, None)
                self._drop(agent_id, name)
            self._tell(agent_id, seat, "unsubscribed", {"agents": agents, "count": count})

    def _tell(self, agent_id: str, seat: Seat, kind: str, payload: Mapping[str, Any]) -> None:
        seat = self._newest.get(agent_id, seat)
        try:
            seat.put(_from_relay(agent_id, kind, payload))
        except TypeError:  # EncodeError: the reply repeats the agent's own values
            self.refuse(agent_id, seat, "Nested too deeply")


def _can_be_kept(name: Any) -> bool:
    """Whether a value can be a subscription target: an agent id or another small hashable value."""
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
