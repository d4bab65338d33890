"""The outbox of `Latest`: what takes the place of what, and the scene that comes out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
import trio

from tests.scene_streams import FIRM, packed, random_event
from vuer_trio import Latest
from vuer_trio._client.connecting import with_key
from vuer_trio._connection.scene_effect import effect_of
from vuer_trio._handlers import kind
from vuer_trio._runtime import runtime
from vuer_trio._websocket.frames import prepare
from vuer_trio._websocket.transport import Ping, Prepared
from vuer_trio.codec import make_encoder
from vuer_trio.events import Add, ClientEvent, Remove, ServerEvent, ServerRPC, Set, Update, Upsert
from vuer_trio.scene import Scene

encode = make_encoder("double", "ServerEvent")


def outbox(rt=None, **options):
    """A session's."""
    return Latest(**options).open_outbox(rt, keeps_others=True)


def decoded(item):
    return msgpack.unpackb(item.payload if isinstance(item, Prepared) else item)


def shown(box):
    """What waits, in short."""
    return [short(item) for item in box.items]


def short(item):
    if type(item) is Ping:
        return f"ping {item.decode()}"
    event = decoded(item)
    nodes = event["data"].get("nodes") if isinstance(event["data"], dict) else None
    if nodes is None:
        return event["etype"]
    return " ".join([event["etype"].lower(), *(f"{n.get('key')}{_fields(n)}" for n in nodes)])


def _fields(node):
    return "".join(f" {name}={value}" for name, value in node.items() if name in "xyz")


def upsert(key, to=None, **fields):
    return encode(Upsert({"tag": "Box", "key": key, **fields}, to=to))


def update(key, **fields):
    return encode(Update({"key": key, **fields}))


def queued(*items, **options):
    box = outbox(**options)
    for item in items:
        assert box.offer(item)
        accounts_are_right(box)
    return box


def accounts_are_right(box):
    assert box.bytes == sum(map(len, box.items))


# ---- one event in the place of another

MERGED = {
    "newest of one": ([upsert("a", x=1), upsert("a", x=2)], ["upsert a x=2"]),
    "each in its place": (
        [upsert("a", x=1), upsert("b", x=1), upsert("b", x=2), upsert("a", x=2)],
        ["upsert a x=2", "upsert b x=2"],
    ),
    "two planes by turns": (
        [upsert(key, "bgChildren", x=n) for n in range(9) for key in "ab"],
        ["upsert a x=8", "upsert b x=8"],
    ),
    "what it lacks stays": (
        [upsert("a", x=1, y=1), upsert("a", y=2, z=2)],
        ["upsert a x=1 y=2 z=2"],
    ),
    "None is a value": ([upsert("a", x=1), upsert("a", x=None)], ["upsert a x=None"]),
    "under a node": ([upsert("a", "p", x=1), upsert("a", "p", x=2)], ["upsert a x=2"]),
    "updates": ([update("a", x=1), update("a", y=2)], ["update a x=1 y=2"]),
    "an update into an upsert": ([upsert("a", x=1), update("a", x=2)], ["upsert a x=2"]),
    "several": (
        [encode(Upsert({"key": "a", "x": 1}, {"key": "b", "x": 1}))] * 2
        + [encode(Upsert({"key": "a", "x": 2}, {"key": "b", "x": 2}))],
        ["upsert a x=2 b x=2"],
    ),
    "several, in another order": (
        [
            encode(Upsert({"key": "a", "x": 1}, {"key": "b", "x": 1})),
            encode(Upsert({"key": "b", "x": 2}, {"key": "a", "x": 2})),
        ],
        ["upsert a x=2 b x=2"],
    ),
    "one of several": (
        [
            encode(Upsert({"key": "a", "x": 1}, {"key": "b", "x": 1})),
            encode(Upsert({"key": "a", "x": 2})),
        ],
        ["upsert a x=2 b x=1"],
    ),
    "several into single ones": (
        [
            encode(Upsert({"key": "a", "x": 1})),
            encode(Upsert({"key": "b", "x": 1})),
            encode(Upsert({"key": "a", "x": 2}, {"key": "b", "x": 2})),
        ],
        ["upsert a x=2", "upsert b x=2"],
    ),
    "a group and its children": (
        [
            encode(Upsert({"key": "g", "x": n, "children": [{"key": "c", "x": n}]}))
            for n in range(3)
        ],
        ["upsert g x=2"],
    ),
    "a group beside a plane": (
        [
            item
            for n in range(3)
            for item in (
                encode(Upsert({"key": "g", "x": n, "children": [{"key": "c", "x": n}]})),
                upsert("a", "bgChildren", x=n),
            )
        ],
        ["upsert g x=2", "upsert a x=2"],
    ),
    "what has nothing to do with a scene is no hindrance": (
        [upsert("a", x=1), encode(ServerEvent(None, etype="HAPTIC")), upsert("a", x=2)],
        ["upsert a x=2", "HAPTIC"],
    ),
}


@pytest.mark.parametrize("name", MERGED)
@pytest.mark.parametrize("framed", [False, True], ids=["own", "broadcast"])
def test_the_newest_takes_the_place_of_the_older(name, framed):
    items, wanted = MERGED[name]
    box = outbox()
    for item in items:
        assert box.offer_broadcast(prepare(item)) if framed else box.offer(item)
        accounts_are_right(box)
    assert shown(box) == wanted
    assert (box.replaced, box.dropped) == (len(items) - len(wanted), 0)
    if framed:
        assert {type(item) for item in box.items} <= {Prepared, bytes}


KEPT = {
    "SET": encode(Set({"tag": "Scene"})),
    "REMOVE": encode(Remove("other")),
    "ADD of the key": encode(Add({"key": "a"})),
    "a request": encode(ServerRPC({}, etype="GRAB_RENDER")),
    "a keyless node": encode(Upsert({"x": 9})),
    "another's child of the key": encode(Upsert({"key": "g", "children": [{"key": "a"}]})),
    "children that may hold it": encode(Upsert({"key": "g", "children": []})),
    "the same key elsewhere": upsert("a", "bgChildren"),
    "keys twice": encode(Upsert({"key": "a"}, {"key": "a"})),
    "two with children": encode(Upsert({"key": "b", "children": []}, {"key": "c", "x": 1})),
    "no list of nodes": msgpack.packb({"etype": "UPSERT", "data": {"nodes": 3}}),
    "no map": msgpack.packb([1, 2]),
    "no message": b"\xc1\xc1",
    "the key that freezes the page": encode(Upsert({"key": "root"})),
    "other keys beside": encode(Upsert({"key": "a", "x": 5}, note="heed this")),
    "a ping": Ping(b"1"),
}


def test_one_can_be_taken_by_itself():
    box = queued(upsert("a"), upsert("b"), upsert("a", x=1))
    assert [decoded(box.pop())["data"]["nodes"][0]["key"] for _ in range(2)] == ["a", "b"]
    assert (box.count, box.bytes) == (0, 0)
    accounts_are_right(box)
    with pytest.raises(IndexError):
        box.pop()


@pytest.mark.parametrize("name", KEPT)
def test_what_stands_between_keeps_both(name):
    box, items = outbox(), [upsert("a", x=1), KEPT[name], upsert("a", x=2)]
    for item in items:
        box.put(item)
    assert list(box.items) == items
    assert box.replaced == 0


def test_a_parent_that_comes_in_between_keeps_both():
    """The first found nothing to hang its node under; the second does."""
    for parent in (upsert("p"), encode(Add({"key": "p"})), encode(Add({"key": "b"}, to="p"))):
        box = queued(upsert("a", "p", x=1), parent, upsert("a", "p", x=2))
        assert len(box.items) == 3
    box = queued(upsert("a", "p", x=1), upsert("b", "p", x=1), upsert("a", "p", x=2))
    assert shown(box) == ["upsert a x=2", "upsert b x=1"]


def test_an_upsert_takes_no_update_in():
    """The node may not be there; and would come before what is made in between."""
    box = queued(update("a", x=1), upsert("b"), upsert("a", x=2), update("a", x=3))
    assert shown(box) == ["update a x=1", "upsert b", "upsert a x=3"]


def test_of_an_odd_node_all_that_is_not_said_again_stays_as_it_was_sent():
    first = {
        "key": 1,
        "f": 0.1,
        "big": 2**63,
        "blob": b"x" * 70_000,
        "ext": msgpack.ExtType(0, b""),
    }
    for floats in ("double", "single"):
        pack = make_encoder(floats, "ServerEvent")
        many = {f"n{i}": i for i in range(20)}
        box = queued(pack(Upsert(first)), pack(Upsert({"key": 1.0, **many})))
        (item,) = box.items
        (got,) = decoded(item)["data"]["nodes"]
        plain = decoded(pack(Upsert(first)))["data"]["nodes"][0]
        assert got == plain | many
        assert type(got["key"]) is float, "as the page overwrites it"


# ---- of a broadcast


def test_what_is_shared_stays_shared():
    boxes = [outbox() for _ in range(3)]
    messages = [prepare(upsert("a", x=1)), prepare(upsert("a", x=2)), prepare(upsert("a", y=3))]
    for message in messages:
        for box in boxes:
            assert box.offer_broadcast(message)
            accounts_are_right(box)
        if message is messages[1]:
            assert all(next(iter(box.items)) is message for box in boxes)
    (merged,) = boxes[0].items
    assert short(merged) == "upsert a x=2 y=3"
    assert all(next(iter(box.items)) is merged for box in boxes), "made once for all"
    boxes[1].put(upsert("a", x=4))
    assert shown(boxes[1]) == ["upsert a x=4 y=3"]
    assert not isinstance(next(iter(boxes[1].items)), Prepared)
    for box in boxes:
        box.written(box.take(1))
        assert (box.count, box.bytes) == (0, 0)


def test_what_the_messages_of_a_server_take_is_counted_of_merged_ones_too():
    class Account:
        shared = 0

    account = Account()

    def framed(payload):
        message = prepare(payload)
        message.account = account
        account.shared += len(message)
        return message

    box = outbox()
    for n in range(5):
        box.offer_broadcast(framed(upsert("a", x=n)))
        box.offer_broadcast(framed(upsert("a", y=n)))
    assert account.shared == box.bytes > 0
    box.clear()
    assert (account.shared, box.bytes) == (0, 0)


# ---- room


def test_nothing_that_a_scene_needs_is_dropped_for_max_keys():
    items = [upsert(f"k{n}") for n in range(100)] + [encode(Remove("k3"))]
    box = queued(*items, max_keys=1)
    assert list(box.items) == items
    assert (box.dropped, box.replaced) == (0, 0)


def test_a_full_one_takes_what_replaces_and_refuses_the_rest(monkeypatch):
    box = outbox(max_bytes=1000)
    assert box.offer(upsert("a", blob=b"x" * 600))
    assert box.offer(upsert("b", blob=b"x" * 600))
    assert not box.has_room
    assert not box.offer(upsert("c"))
    assert box.offer(upsert("a", blob=b"y" * 700)), "in the place of another"
    assert box.offer(update("b", x=1))
    assert not box.offer(encode(Set({})))
    assert [e.split()[1] for e in shown(box)] == ["a", "b"]
    box.take(1)  # what is being written does not count
    assert box.offer(upsert("c"))
    monkeypatch.setattr("vuer_trio._connection.scene_queue._FIRM", 3)
    box = queued(*(upsert(f"{n}") for n in range(3)), max_keys=2)
    assert not box.offer(upsert("3"))
    assert box.offer(upsert("2", x=1))


@pytest.mark.trio
async def test_who_waits_for_room_is_not_overtaken(monkeypatch):
    box = outbox(runtime(), max_bytes=100)
    box.put(upsert("a", blob=b"x" * 100))
    waiter = box.put_later(prepare(upsert("a", x=1)))
    assert not box.offer(upsert("a", x=2)), "it would be older than what waits"
    assert not box.has_room
    assert not waiter.granted
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.reserve, 5)
        await trio.testing.wait_all_tasks_blocked()
        box.take(1)
    assert waiter.granted
    assert shown(box) == ["upsert a x=1"]
    box.put_reserved([upsert("a", x=2)], 5)
    assert shown(box) == ["upsert a x=2"]


def test_no_more_is_taken_than_is_written_at_once():
    """What waits behind a large one can still be replaced."""
    box = queued(*(upsert(key, blob=bytes(100_000)) for key in "abc"))
    batch = box.take(1 << 20)
    assert [short(item) for item in batch] == ["upsert a"]
    box.put(upsert("b", blob=bytes(100_000), x=1))
    box.put(upsert("a", x=1))  # its first is on its way
    box.written(batch)
    assert shown(box) == ["upsert b x=1", "upsert c", "upsert a x=1"]
    assert box.replaced == 1


# ---- pings


def test_who_gives_up_a_flush_leaves_no_hindrance():
    box = outbox()
    box.put(upsert("a", x=1))
    for n in range(3):
        box.put(Ping(b"%d" % n))
        box.offer_broadcast(prepare(upsert("a", x=2 + n)))
        box.offer_broadcast(prepare(upsert(f"b{n}")))
    assert len(box.items) == 10
    box.withdraw_ping(Ping(b"1"))
    accounts_are_right(box)
    assert shown(box) == [
        *("upsert a x=1", "ping 0", "upsert a x=3", "upsert b0", "upsert b1", "ping 2"),
        *("upsert a x=4", "upsert b2"),
    ]
    box.withdraw_ping(Ping(b"1"))
    box.withdraw_ping(Ping(b"2"))
    box.withdraw_ping(Ping(b"0"))
    accounts_are_right(box)
    assert shown(box) == ["upsert a x=4", "upsert b0", "upsert b1", "upsert b2"]
    box.put_first([Ping(b"9")])
    box.put(upsert("a", x=9))
    assert shown(box)[:2] == ["ping 9", "upsert a x=9"]
    assert box.replaced == 4


# ---- a client's


def client_items(*events):
    pack = with_key(make_encoder("double", "ClientEvent"), Latest().key_function(kind))
    return [pack(event) for event in events]


def test_a_client_keeps_the_newest_of_each_other_type_and_may_drop_it():
    box = Latest(max_keys=2).open_outbox(None)
    items = client_items(
        ClientEvent(etype="A", value={"n": 1}),
        Upsert({"key": "a", "x": 1}),
        Remove("a"),
        ClientEvent(etype="B", value={"n": 1}),
        ClientEvent(etype="A", value={"n": 2}),
        Upsert({"key": "a", "x": 2}),
        Upsert({"key": "a", "x": 3}),
        Remove("b"),
        ClientEvent(etype="C", value={"n": 1}),
    )
    for item in items:
        box.put(item)
    got = [msgpack.unpackb(item) for item in box.items]
    assert [e["etype"] for e in got] == ["UPSERT", "REMOVE", "A", "UPSERT", "REMOVE", "C"]
    assert (box.replaced, box.dropped) == (1, 2)
    assert got[2]["value"] == {"n": 2}
    box.written(box.take(10**6))
    assert (box.count, box.bytes) == (0, 0)


def test_what_need_not_be_kept_has_room_always():
    box = Latest(max_bytes=10).open_outbox(None)
    for item in client_items(Upsert({"key": "a"}), ClientEvent(etype="A"), ClientEvent(etype="B")):
        assert box.offer(item)
    assert [msgpack.unpackb(item)["etype"] for item in box.items] == ["UPSERT", "B"]
    assert not box.offer(*client_items(Remove("a")))


def test_a_key_of_the_users_decides_alone():
    policy = Latest(key=lambda event: event.etype)
    box = policy.open_outbox(None, keeps_others=True)
    pack = with_key(encode, policy.key_function(None))
    for n in range(5):
        box.put(pack(Upsert({"key": f"k{n}"})))
    assert shown(box) == ["upsert k4"]
    assert (box.dropped, box.replaced) == (4, 0)


def test_nothing_is_read_where_nothing_waits(monkeypatch):
    box = outbox()
    monkeypatch.setattr(
        "vuer_trio._connection.scene_queue.effect_of", lambda item: pytest.fail("it was read")
    )
    for n in range(5):
        box.put(upsert("a", x=n))
        box.written(box.take(10**6))
        box.put(Ping(b"%d" % n))
        box.written(box.take(10**6))


def test_a_framed_message_is_read_once():
    message = prepare(upsert("a"))
    assert effect_of(message) is effect_of(message)


# ---- against a Fifo

STREAMS = 40


class Race:
    """One stream of events through `Latest`, and as it is."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.plain = (0.8, 0.95, 1.0)[seed % 3]
        self.box = outbox(max_keys=1)
        self.fifo, self.latest = Scene(), Scene()
        self.at_ping: dict[bytes, Any] = {}
        self.firm: list[Any] = []
        self.firm_seen: list[Any] = []
        self.sent = self.seen = 0

    def events(self, count: int) -> Iterator[dict[str, Any]]:
        for _ in range(count):
            yield random_event(self.rng, plain=self.plain)

    def send(self, event: dict[str, Any]) -> None:
        self.sent += 1
        self.fifo.apply(event)
        if event["etype"] in FIRM:
            self.firm.append(event)
        item = packed(event)
        if self.rng.random() < 0.5:
            assert self.box.offer_broadcast(prepare(item))
        else:
            assert self.box.offer(item)
        accounts_are_right(self.box)

    def ping(self) -> None:
        ping = Ping(b"%d" % len(self.at_ping))
        self.at_ping[bytes(ping)] = self.fifo.to_set()
        self.box.put(ping)

    def read(self, limit: int) -> None:
        batch = self.box.take(limit)
        for item in batch:
            if type(item) is Ping:
                assert self.latest.to_set() == self.at_ping[bytes(item)], "at a flush"
                continue
            event = decoded(item)
            self.seen += 1
            self.latest.apply(event)
            if event["etype"] in FIRM:
                self.firm_seen.append(event)
        self.box.written(batch)


@pytest.mark.parametrize("seed", range(8))
def test_the_scene_is_that_of_a_fifo_at_the_end_and_at_every_flush(seed):
    replaced = 0
    for n in range(STREAMS):
        race = Race(seed * STREAMS + n)
        rng = race.rng
        for event in race.events(rng.choice((10, 30, 80))):
            race.send(event)
            match rng.random():
                case chance if chance < 0.08:
                    race.read(rng.choice((1, 100, 10**6)))
                case chance if chance < 0.14:
                    race.ping()
                case chance if chance < 0.18 and race.at_ping:
                    race.box.withdraw_ping(Ping(b"%d" % rng.randrange(len(race.at_ping))))
        while race.box.items:
            race.read(10**6)
        assert race.latest.to_set() == race.fifo.to_set()
        assert race.firm_seen == race.firm, "lost, or out of order"
        assert race.sent == race.seen + race.box.replaced + race.box.dropped
        assert race.box.dropped == 0
        assert (race.box.count, race.box.bytes) == (0, 0)
        replaced += race.box.replaced
    assert replaced > STREAMS, "or nothing was tried"
