"""Agents of several relays that share a bus, on every backend; over a bus in memory."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from math import inf

import anyio
import pytest
from msgpack import packb

from tests.behaviour.raw_client import eventually
from vuer_trio import Backoff, ConnectionFailed, VuerError
from vuer_trio.arc import AgentIdTaken, AuthenticationError, RegistrationError
from vuer_trio.arc.relay import shared_switch
from vuer_trio.arc.relay.registry import Refusal
from vuer_trio.bus import MemoryBus
from vuer_trio.bus.entries import Snapshot, encode_changes, parse_snapshot

pytestmark = pytest.mark.anyio

SOON = Backoff(initial=0.001, maximum=0.005)


@pytest.fixture(autouse=True)
def a_plain_environment(monkeypatch):
    for name in ("ARC_TOKEN", "ARC_RELAY_URL"):
        monkeypatch.delenv(name, raising=False)


def way_to(bus):
    """Another bus with the same content, whose links can be cut by themselves."""
    way = MemoryBus(reconnect=SOON)
    for shared in ("_topics", "_news", "_locks", "_alive"):
        setattr(way, shared, getattr(bus, shared))
    return way


async def payloads(agent, count):
    with anyio.fail_after(60):
        return [(await agent.recv()).payload for _ in range(count)]


async def test_agents_of_two_relays_reach_each_other(open_relay, open_agent):
    bus = MemoryBus()
    async with (
        open_relay(bus=bus) as one,
        open_relay(bus=bus) as two,
        open_agent(one.url, agent_id="alice") as alice,
        open_agent(one.url, agent_id="carol") as carol,
        open_agent(two.url, agent_id="bob") as bob,
    ):
        for n in range(20):
            await alice.direct("bob", n)
            await alice.direct("carol", n)
        await alice.broadcast("to all")
        assert await payloads(bob, 21) == await payloads(carol, 21) == [*range(20), "to all"]
        await bob.direct("alice", {"re": "turn"})
        assert await payloads(alice, 1) == [{"re": "turn"}]
        await bob.send(["alice", "carol", "nobody"], "several")
        assert await payloads(alice, 1) == await payloads(carol, 1) == ["several"]
        assert sorted(one.stats()["relay"]["agents"]) == ["alice", "bob", "carol"]
        assert sorted(two.stats()["registry"]["agents"]) == ["alice", "bob", "carol"]
    assert one.switch.agents == []


async def test_who_registers_with_one_connects_to_the_other(open_relay, open_agent):
    bus = MemoryBus()
    async with open_relay(bus=bus) as one, open_relay(bus=bus) as two:
        first = open_agent(one.url)
        await first.register("alice")
        with pytest.raises(AgentIdTaken):
            await open_agent(two.url).register("alice")
        other = open_agent(two.url, token=first.token, agent_id="alice")
        await other.connect()
        stranger = open_agent(two.url, token="tok_of_nobody", agent_id="alice")
        with pytest.raises(AuthenticationError):
            await stranger.connect()
        assert first.token.encode() not in repr(bus._topics).encode()  # but its hash
        assert one.revoke("alice")
        assert not one.revoke("alice")
        await eventually(lambda: not other.connected)
        await other.close()
        assert not two.revoke("alice")


async def test_many_ask_for_one_name_and_one_gets_it(open_relay, open_agent):
    bus, got = MemoryBus(), []
    async with open_relay(bus=bus) as one, open_relay(bus=bus) as two:

        async def ask(relay):
            try:
                await open_agent(relay.url).register("wanted")
                got.append(relay)
            except AgentIdTaken:
                pass

        async with anyio.create_task_group() as tasks:
            for n in range(10):
                tasks.start_soon(ask, (one, two)[n % 2])
    assert len(got) == 1


async def test_an_agent_that_moves_gets_each_message_once(open_relay, open_agent):
    bus, heard = MemoryBus(), []
    async with (
        open_relay(bus=bus) as one,
        open_relay(bus=bus) as two,
        open_agent(one.url, agent_id="alice") as alice,
        open_agent(two.url, agent_id="bob") as bob,
        anyio.create_task_group() as tasks,
    ):
        mover = open_agent(one.url, agent_id="mover")
        await mover.register("mover")
        agents = [
            open_agent(relay.url, token=mover.token, agent_id="mover") for relay in (two, one)
        ]

        async def listen(agent):
            with suppress(VuerError):  # the relay answers the newest of them alone
                async for message in agent:
                    heard.append((message.sender, message.payload))

        await mover.connect()
        tasks.start_soon(listen, mover)
        for n in range(60):
            await alice.direct("mover", n)
            await bob.broadcast(n)
            if n in (20, 40):  # while messages are on their way
                await agents[n // 20 - 1].connect()
                tasks.start_soon(listen, agents[n // 20 - 1])
        await eventually(lambda: len(heard) >= 120)
        await payloads(alice, 60)
        assert sorted(heard) == sorted((who, n) for who in ("alice", "bob") for n in range(60))
        for agent in (mover, *agents):
            await agent.close()
        tasks.cancel_scope.cancel()


@pytest.mark.slow
async def test_a_relay_that_dies_loses_its_own_agents_alone(
    open_relay, open_agent, monkeypatch, caplog
):
    monkeypatch.setattr(shared_switch, "_EXPIRY", 1.0)  # a busy machine is no dead relay
    bus = MemoryBus(reconnect=SOON)
    way = way_to(bus)
    async with (
        open_relay(bus=bus) as one,
        open_relay(bus=way) as two,
        open_agent(one.url, agent_id="alice") as alice,
        open_agent(two.url, agent_id="bob") as bob,
        open_agent(one.url, agent_id="carol") as carol,
    ):
        assert sorted(one.switch.agents) == ["alice", "bob", "carol"]
        way.cut()  # as if it was dead, for the others
        await eventually(lambda: sorted(one.switch.agents) == ["alice", "carol"])
        assert "a relay has died, with 1 agents" in caplog.text
        await alice.direct("carol", "still here")
        assert await payloads(carol, 1) == ["still here"]
        way.cut(None)  # it was not
        await eventually(lambda: sorted(one.switch.agents) == ["alice", "bob", "carol"])
        await alice.direct("bob", "back")
        assert await payloads(bob, 1) == ["back"]


async def test_a_late_relay_knows_everything_and_one_that_ends_takes_its_agents_along(
    open_relay, open_agent
):
    bus = MemoryBus()
    async with open_relay(bus=bus) as one, open_agent(one.url, agent_id="alice") as alice:
        async with open_relay(bus=bus) as two:
            assert two.switch.agents == ["alice"]
            async with open_agent(two.url, agent_id="bob") as bob:
                await bob.direct("alice", "hello")
                assert await payloads(alice, 1) == ["hello"]
                assert sorted(one.switch.agents) == ["alice", "bob"]
            await eventually(lambda: one.switch.agents == ["alice"])
        async with open_relay(bus=bus) as three:
            assert sorted(three.registry.agents) == ["alice", "bob"]


async def test_while_the_bus_is_lost_messages_wait(open_relay, open_agent, monkeypatch, caplog):
    monkeypatch.setattr(shared_switch, "_MOST", 5)
    bus = MemoryBus(reconnect=SOON)
    async with (
        open_relay(bus=bus) as one,
        open_agent(one.url, agent_id="alice") as alice,
        open_agent(one.url, agent_id="bob") as bob,
    ):
        with caplog.at_level(logging.CRITICAL):
            bus.cut()
            await eventually(lambda: not one.switch.journal.connected)
            for n in range(8):
                await alice.direct("bob", n)
            with pytest.raises(RegistrationError, match="lost the other ones"):
                await open_agent(one.url).register("carol")
            await eventually(lambda: one.switch.journal.waiting == 5)
            bus.cut(None)
            assert await payloads(bob, 5) == [0, 1, 2, 3, 4]
        await alice.direct("bob", "and on")
        assert await payloads(bob, 1) == ["and on"]


async def test_strange_entries_do_not_matter(open_relay, open_agent, caplog):
    bus = MemoryBus()
    async with (
        open_relay(bus=bus) as one,
        open_agent(one.url, agent_id="alice") as alice,
        open_agent(one.url, agent_id="bob") as bob,
    ):
        link = one.switch.journal._link
        strange = [b"", b"\xc1", b"\x91\xa1z", b"\x94\xa1m\xa1a\x91\x05\xc4\x00", b"\x91\xa1j"]
        strange += [b"\x92\xa1j\xa7unknown", b"\x92\xa1g\xc4\x01x", b"\x94\xa1r\xa1X\xa1t\xc0"]
        await link.append("arc", encode_changes(b"stranger", 1, strange))
        await link.append("arc", {b"foreign": b"entry"})
        await alice.direct("bob", "fine")
        assert await payloads(bob, 1) == ["fine"]
    assert caplog.text.count("skipped a change") == 5


@pytest.mark.parametrize("with_a_command", [False, True])
async def test_a_bus_that_comes_back_older_ends_no_relay(open_relay, open_agent, with_a_command):
    bus = MemoryBus(reconnect=SOON)
    async with (
        open_relay(bus=bus) as one,
        open_agent(one.url, agent_id="alice") as alice,
        open_agent(one.url, agent_id="bob") as bob,
    ):
        journal = one.switch.journal
        await alice.direct("bob", "first")
        assert await payloads(bob, 1) == ["first"]
        await journal.flush()
        if with_a_command:
            await alice.subscribe(["bob"])
        await alice.direct("bob", "second")
        assert await payloads(bob, 1) == ["second"]
        await journal.flush()
        bus.cut()
        await eventually(lambda: not journal.connected)
        bus._topics["arc"].entries.pop()  # with its last second, as after a power failure
        bus.cut(None)
        await eventually(lambda: journal.connected)
        await alice.direct("bob", "third")
        assert await payloads(bob, 1) == ["third"]
        assert sorted(one.switch.agents) == ["alice", "bob"]


async def test_a_command_of_this_relay_that_it_never_gave_ends_nothing(open_relay, open_agent):
    bus = MemoryBus()
    async with (
        open_relay(bus=bus) as one,
        open_agent(one.url, agent_id="alice") as alice,
        open_agent(one.url, agent_id="bob") as bob,
    ):
        journal = one.switch.journal
        await journal.flush()
        hostile = encode_changes(journal.writer, journal._pending.newest + 1, [packb(["c"])])
        await journal._link.append("arc", hostile)
        await alice.direct("bob", "its number was taken")
        await alice.direct("bob", "fine")
        assert await payloads(bob, 1) == ["fine"]


async def test_a_message_that_is_read_again_is_not_delivered_again(open_relay):
    # A client would not show it: it has seen the id of the message.
    bus = MemoryBus(reconnect=SOON)
    async with open_relay(bus=bus) as one:
        journal, revoked = one.switch.journal, []
        one.switch._revoked = revoked.append
        alice, bob = Seat(), Seat()
        for name, seat in (("alice", alice), ("bob", bob)):
            await one.switch.register(name, None)
            one.switch.join(name, seat)
        one.switch.receive("alice", alice, '{"to": ["bob"], "payload": "first"}')
        one.switch.revoke("alice")
        await journal.flush()
        one.switch.receive("alice", alice, '{"to": ["bob"], "payload": "lost"}')
        await journal.flush()
        assert bob.count == 3  # a welcome, and both
        bus.cut()
        await eventually(lambda: not journal.connected)
        bus._topics["arc"].entries.pop()
        bus.cut(None)
        await eventually(lambda: journal.connected)
        one.switch.receive("alice", alice, '{"to": ["bob"], "payload": "second"}')
        await journal.flush()
        assert bob.count == 4
        assert revoked == ["alice"]


async def test_a_relay_that_was_taken_for_dead_takes_no_agent_back_that_has_moved(open_relay):
    bus = MemoryBus(reconnect=SOON)
    async with open_relay(bus=bus) as one, open_relay(bus=bus) as two:
        seats = {(relay, name): Seat() for relay in (one, two) for name in ("a", "b", "c")}

        async def join(relay, name):
            relay.switch.join(name, seats[relay, name])
            await relay.switch.journal.flush()

        async def heard(name):
            for relay in (one, two):
                seats[relay, name].count = 0
            text = f'{{"to": ["{name}"], "payload": 1}}'
            one.switch.receive("a", seats[one, "a"], text)
            await one.switch.journal.flush()
            await two.switch.journal.catch_up()
            return [relay for relay in (one, two) if seats[relay, name].count]

        await join(two, "a")
        await join(one, "a")  # it has come from there
        await join(one, "b")
        await join(one, "c")
        await join(two, "c")  # it has gone there before it is known
        mine = one.switch.journal.writer
        two.switch.journal.append(packb(["g", mine]))
        two.switch.join("b", seats[two, "b"])  # it has gone there meanwhile
        await two.switch.journal.flush()
        await one.switch.journal.flush()
        await one.switch.journal.catch_up()
        await one.switch.journal.flush()
        await two.switch.journal.catch_up()
        assert one.switch._relays == two.switch._relays
        assert all(mine in relays for relays in one.switch._relays.values())
        assert await heard("a") == [one]
        assert await heard("b") == [two]
        assert await heard("c") == [two]
        for name in "abc":  # those of the other alone are left
            one.switch.leave(name, seats[one, name])
        await one.switch.journal.flush()
        one.switch.join("a", seats[one, "a"])
        assert await heard("b") == await heard("c") == [two]


async def test_ids_of_agents_that_have_gone_make_room(open_relay, open_agent):
    for bus in (None, MemoryBus()):
        async with open_relay(bus=bus, max_agents=2) as relay:
            left = relay.registry._left
            for n in range(5):
                name = f"boot-{n}"
                async with open_agent(relay.url, agent_id=name):
                    assert name not in left
                await eventually(partial(left.__contains__, name))
                left.update(dict.fromkeys(left, -inf))  # a while ago
            assert relay.registry.agents == ["boot-3", "boot-4"]


@pytest.mark.parametrize("registered", [5, None, {}, [["arm"]]])
async def test_a_snapshot_without_registered_agents_is_an_error_at_the_start(
    open_relay, registered
):
    bus = MemoryBus()
    async with open_relay(bus=bus):
        topic = bus._topics["arc"]
        found = parse_snapshot(topic.snapshot)
        topic.snapshot = Snapshot(found.at, found.epoch, {}, packb([0, [], registered])).encode()
    with pytest.raises(ConnectionFailed, match=r"snapshot of 'arc' .* cannot be read"):
        async with open_relay(bus=bus):
            pytest.fail("started")


async def test_agents_that_come_and_go_while_the_bus_is_lost_fill_no_memory(
    open_relay, monkeypatch, caplog
):
    monkeypatch.setattr(shared_switch, "_MOST", 5)
    bus = MemoryBus(reconnect=SOON)
    async with open_relay(bus=bus) as one:
        journal = one.switch.journal
        bus.cut()
        await eventually(lambda: not journal.connected)
        seats = [Seat() for _ in range(50)]
        for seat in seats:
            one.switch.join("arm", seat)
            one.switch.leave("arm", seat)
        assert journal.waiting <= 6
        assert [seat.ended for seat in seats[:3]] == [None] * 3
        assert all(seat.ended[0] == 1013 for seat in seats[3:])
        bus.cut(None)
        await journal.flush()


class Seat:
    """A connection of an agent, which counts what it hears."""

    ended = None
    count = 0

    def put(self, frame):
        self.count += 1

    def end(self, *why):
        self.ended = why


async def test_a_registration_that_came_too_late_is_taken_back(open_relay, monkeypatch, caplog):
    monkeypatch.setattr(shared_switch, "_PATIENCE", 0.01)
    bus = MemoryBus(reconnect=SOON)
    async with open_relay(bus=bus) as one:
        bus.refuse("OOM, for a test")
        with pytest.raises(Refusal, match="lost the other ones"):
            await one.switch.register("arm", None)
        monkeypatch.setattr(shared_switch, "_PATIENCE", 60.0)
        bus.refuse(None)
        name, token = await one.switch.register("arm", None)
        assert name == "arm"
        assert one.switch.owner(token) == "arm"


async def test_a_relay_without_its_bus_does_not_start(open_relay):
    bus = MemoryBus()
    bus.cut("nobody is there")
    with pytest.raises(ConnectionFailed, match="nobody is there"):
        async with open_relay(bus=bus):
            pytest.fail("started")
    with pytest.raises(TypeError, match="bus must be a RedisBus, or None, got 5"):
        async with open_relay(bus=5):
            pytest.fail("started")
