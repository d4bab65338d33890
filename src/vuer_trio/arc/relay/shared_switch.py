"""Message routing for several relays that share a bus.

Who is connected where, who is registered, and every message go through one journal, in one order.
So each message has, where it stands in that order, exactly one relay that delivers it: the one
where its recipient has connected last.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from msgpack import packb, unpackb

from ..._errors import OutboxFull
from ..._interrupts import protected_methods
from ..._runtime import Runtime
from ..._websocket.transport import Text
from ...bus import Bus
from ...bus.journal import Journal
from ...bus.link import BusLink
from ...bus.shared_state import Origin
from ..message import EVERYONE
from .registry import Refusal, Registry, new_token
from .switch import Seat, Switch

if TYPE_CHECKING:
    from ..._async_types import AsyncEvent

__all__ = ["SharedSwitch"]

log: logging.Logger = logging.getLogger("vuer_trio.arc.relay")

#: kinds of changes
_MESSAGE, _JOIN, _LEAVE, _GONE, _REGISTER, _REVOKE = "m", "j", "l", "g", "r", "x"
#: a connection that was taken for lost, and is there, with its place among those of its agent
_BACK = "b"
#: nothing but a place in the order: that of a command, which is its own relay's business
_COMMAND = "c"
#: take a registration back, for which nobody has waited
_UNREGISTER = "u"
#: seconds of silence, after which a relay is taken for dead; and how often it says that it is not
_EXPIRY, _BEATS = 15.0, 4
#: seconds that a registration waits for the bus
_PATIENCE = 10.0
#: closes a connection for which the bus has no room
_NO_ROOM = (1013, "this relay has lost the other ones")
#: messages, and bytes of them, that wait for the bus
_MOST, _MOST_BYTES = 100_000, 1 << 28
#: seconds that messages are kept for a relay that lags, or has lost its connection for a moment
_KEEP = 120.0


class _Joining(NamedTuple):
    """A connection whose join has not come back yet."""

    number: int
    agent_id: str
    seat: Seat


class _Registering:
    """A registration that has not come back yet."""

    def __init__(self, done: AsyncEvent, token: str) -> None:
        self.done, self.token = done, token
        self.refusal: Refusal | None = None


def _hashed(token: str) -> str:
    """What the bus gets to see of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@protected_methods
class SharedSwitch(Switch):
    """The `Switch` of one of several relays; a `SharedState`.

    ``revoked(agent_id)`` is called when an agent is to be disconnected.
    """

    def __init__(
        self,
        rt: Runtime,
        info: Mapping[str, Any],
        bus: Bus,
        registry: Callable[[Callable[[], float]], Registry],
        revoked: Callable[[str], None],
    ) -> None:
        super().__init__(info)
        self._rt = rt
        self._revoked = revoked
        self._expiry = _EXPIRY
        self._now = 0.0  # the time of the entry that is applied
        self.registry: Registry = registry(lambda: self._now)
        self.journal: Journal = Journal(
            bus,
            "arc",
            self,
            most=_MOST,
            max_bytes=_MOST_BYTES,
            greet=self._say_alive,
            beside=self._watch_others,
            keep=_KEEP,
        )
        # agent: where it is connected, the newest last, and the numbers of these joins
        self._relays: dict[str, dict[bytes, int]] = {}
        self._joins = 0
        self._back = 0  # the number of the newest change that says so
        self._joining: deque[_Joining] = deque()
        self._registering: dict[int, _Registering] = {}
        self._revoking: set[str] = set()  # by a change that has not come back
        self._commands: dict[int, tuple[str, Seat, Any, Any]] = {}  # that have not come back
        self._loaded = False

    @property
    def agents(self) -> list[str]:
        """The ids of the connected agents, of all relays."""
        return list(self._relays)

    # ---- registering

    async def register(self, agent_id: object, where: str | None) -> tuple[str, str]:
        """Register an agent with all relays, and return its id and token. Raises Refusal.

        Cancelled: it may be registered nevertheless, with a token that nobody knows; such an id is
        forgotten after a while, as each that is not used.
        """
        name, token = self.registry.checked_id(agent_id), new_token()
        if not self.journal.connected:
            raise Refusal(503, "bus_lost", "This relay has lost the other ones; try again later")
        asked = _Registering(self._rt.Event(), token)
        number = self.journal.append(_packed(_REGISTER, name, _hashed(token), where), always=True)
        self._registering[number] = asked
        try:
            with self._rt.move_on_after(_PATIENCE):
                await asked.done.wait()
        finally:
            self._registering.pop(number, None)
            if not asked.done.is_set():
                self.journal.append(_packed(_UNREGISTER, _hashed(token)), always=True)
        if not asked.done.is_set():
            raise Refusal(503, "bus_lost", "This relay has lost the other ones; try again later")
        if asked.refusal is not None:
            raise asked.refusal
        return name, token

    def owner(self, token: str) -> str | None:
        """The agent that owns a token; None for an unknown one."""
        return self.registry.find(_hashed(token))

    async def look_up(self, token: str) -> None:
        """If a token is not known here, hear first of all that have been registered elsewhere."""
        if self.owner(token) is None:
            with self._rt.move_on_after(_PATIENCE):
                await self.journal.catch_up()

    def revoke(self, agent_id: str) -> bool:
        """Forget an agent everywhere. Returns whether it was registered."""
        known = agent_id in self.registry.agents and agent_id not in self._revoking
        if known:
            self._revoking.add(agent_id)
            self.journal.append(_packed(_REVOKE, agent_id), always=True)
        return known

    # ---- connections of this relay

    def join(self, agent_id: str, seat: Seat) -> None:
        """Add a connection; it is welcomed once all messages to the agent come here."""
        if not self.journal.has_room:
            seat.end(*_NO_ROOM)
            return
        number = self.journal.append(_packed(_JOIN, agent_id), always=True)
        self._joining.append(_Joining(number, agent_id, seat))

    def leave(self, agent_id: str, seat: Seat) -> None:
        """Remove a connection that has ended."""
        left = next((one for one in self._joining if one.seat is seat), None)
        if left is not None:
            self._joining.remove(left)
        elif seat not in self._seats.get(agent_id, ()):
            return
        else:
            super().leave(agent_id, seat)
        if agent_id in self._seats or any(one.agent_id == agent_id for one in self._joining):
            return
        self._forget(agent_id)
        self.journal.append(_packed(_LEAVE, agent_id), always=True)

    def _route(self, agent_id: str, seat: Seat, to: list[Any], echoes: bool, text: Text) -> None:
        names = [name for name in to if isinstance(name, str)]
        self._append(agent_id, seat, _packed(_MESSAGE, agent_id, names, bytes(text)))

    def _command(self, agent_id: str, seat: Seat, kind: Any, payload: Any) -> None:
        """Run a command when the messages that were sent before it have been delivered."""
        number = self._append(agent_id, seat, _packed(_COMMAND))
        if number is not None:
            self._commands[number] = (agent_id, seat, kind, payload)

    def _append(self, agent_id: str, seat: Seat, change: bytes) -> int | None:
        try:
            return self.journal.append(change)
        except OutboxFull as exc:
            log.warning("a message of %s was refused: %s", agent_id, exc)
            self.refuse(agent_id, seat, "The relay has no room for more messages", "relay_full")
            return None

    # ---- the state of all relays (SharedState)

    def apply(self, payload: bytes, origin: Origin) -> None:
        try:
            change = unpackb(payload, strict_map_key=False)
        except Exception as exc:  # msgpack has many
            raise ValueError(f"it is not msgpack ({type(exc).__name__})") from None
        self._now = origin.ms / 1000
        match change:
            case ["m", str(sender), list(names), bytes(text)] if all(
                type(name) is str for name in names
            ):
                if not origin.again:
                    self._take_message(sender, names, Text(text))
            case ["c"]:
                if origin.own:
                    self._run_command(origin.number)
            case ["j", str(agent_id)]:
                self._take_join(agent_id, origin)
            case ["b", str(agent_id), int(place)]:
                self._take_back(agent_id, origin.writer, place)
            case ["l", str(agent_id)]:
                self._take_away(agent_id, origin.writer)
            case ["g", bytes(relay)]:
                self._take_end(relay, origin)
            case ["r", str(agent_id), str(token), str() | None as where]:
                self._take_registration(agent_id, token, where, origin)
            case ["x", str(agent_id)]:
                self._revoking.discard(agent_id)
                self.registry.revoke(agent_id)
                if not origin.again:
                    self._revoked(agent_id)
            case ["u", str(token)]:
                registered = self.registry.find(token)
                if registered is not None:
                    self.registry.revoke(registered)
            case _:
                raise ValueError("it is nothing that a relay of this version writes")

    def _run_command(self, number: int) -> None:
        command = self._commands.pop(number, None)  # None: it has run, and is read again
        if command is None:
            return
        agent_id, seat, kind, payload = command
        if seat in self._seats.get(agent_id, ()):  # it may have left meanwhile
            super()._command(agent_id, seat, kind, payload)

    def _take_message(self, sender: str, names: list[str], text: Text) -> None:
        mine = self.journal.writer
        wanted = self._newest if EVERYONE in names else [*filter(self._newest.__contains__, names)]
        here = {
            name: self._newest[name]
            for name in wanted
            if (relays := self._relays.get(name)) and next(reversed(relays)) == mine
        }
        if here:
            echoes = sender in self._subscribers.get(sender, ())
            self._deliver(sender, names, echoes, text, here)

    def _take_join(self, agent_id: str, origin: Origin) -> None:
        relays = self._relays.setdefault(agent_id, {})
        relays.pop(origin.writer, None)
        self._joins += 1
        relays[origin.writer] = self._joins
        self.registry.use(agent_id)
        if origin.own:
            joining = next((one for one in self._joining if one.number == origin.number), None)
            if joining is not None:
                self._joining.remove(joining)
                super().join(agent_id, joining.seat)

    def _take_back(self, agent_id: str, relay: bytes, place: int) -> None:
        relays = self._relays.get(agent_id, {})
        if relay not in relays:  # else it has joined again
            found = {**relays, relay: min(max(place, 0), self._joins)}
            self._relays[agent_id] = dict(sorted(found.items(), key=itemgetter(1)))
            self.registry.use(agent_id)

    def _take_away(self, agent_id: str, relay: bytes) -> None:
        relays = self._relays.get(agent_id, {})
        relays.pop(relay, None)
        if not relays and self._relays.pop(agent_id, None) is not None:
            self.registry.leave(agent_id)

    def _take_end(self, relay: bytes, origin: Origin) -> None:
        lost = {name: relays[relay] for name, relays in self._relays.items() if relay in relays}
        for name in lost:
            self._take_away(name, relay)
        if relay == self.journal.writer:  # others have not heard of it, but it is there
            if not origin.again:
                self._say_back(lost)
        elif lost:
            log.warning("a relay has died, with %d agents", len(lost))

    def _say_back(self, places: Mapping[str, int]) -> None:
        for agent_id, place in places.items():
            if agent_id in self._seats:
                change = _packed(_BACK, agent_id, place)
                self._back = self.journal.append(change, always=True)

    def _take_registration(
        self, agent_id: str, token: str, where: str | None, origin: Origin
    ) -> None:
        asked = self._registering.get(origin.number) if origin.own else None
        try:
            self.registry.register(agent_id, where, token)
        except Refusal as exc:
            if asked is not None:
                asked.refusal = exc
        if asked is not None:
            asked.done.set()

    def dump(self) -> bytes:
        relays = [[name, [*where.items()]] for name, where in self._relays.items()]
        packed: bytes = packb([self._joins, relays, self.registry.dump()])
        return packed

    def load(self, state: bytes) -> None:
        try:
            joins, relays, registered = unpackb(state)
            found = {
                str(name): {bytes(one): int(place) for one, place in where}
                for name, where in relays
            }
            joins = int(joins)
        except Exception as exc:  # whatever it is
            raise ValueError(f"it is not a state of relays ({type(exc).__name__})") from None
        self.registry.load(registered)
        self._relays, self._joins = found, joins
        if self._loaded:
            log.error("this relay was away for too long: its agents have missed messages")
        self._loaded = True

    def confirmed(self, number: int) -> None:
        """What came with a whole state, and not one by one."""
        while self._joining and self._joining[0].number <= number:
            joined = self._joining.popleft()
            super().join(joined.agent_id, joined.seat)
        for command in [one for one in self._commands if one <= number]:
            self._run_command(command)
        for asked_at, asked in self._registering.items():
            if asked_at <= number and not asked.done.is_set():
                if self.owner(asked.token) is None:
                    asked.refusal = Refusal(
                        400, "agent_id_taken", "This agent ID was registered meanwhile"
                    )
                asked.done.set()

    # ---- who is alive

    async def _say_alive(self, link: BusLink) -> None:
        await link.beat("arc", self.journal.writer, self._expiry)

    async def _watch_others(self, link: BusLink) -> None:
        """Say that this relay is alive, and what others are not any more."""
        # A bus that has stood still has forgotten who is alive: first all have a chance to say so.
        since = self._rt.current_time() + self._expiry
        while True:
            await self._rt.sleep(self._expiry / _BEATS)
            await self._say_alive(link)
            mine = self.journal.writer
            if self.journal.confirmed >= self._back:
                # A bus that has lost what it held does not know them.
                unknown = [one for one in self._seats if mine not in self._relays.get(one, ())]
                self._say_back(dict.fromkeys(unknown, 0))
            if self._rt.current_time() < since:
                continue
            others = {relay for relays in self._relays.values() for relay in relays}
            for relay in await link.silent("arc", others - {self.journal.writer}):
                self.journal.append(_packed(_GONE, relay), always=True)


def _packed(*change: Any) -> bytes:
    packed: bytes = packb(list(change))
    return packed
