"""A scene that several sessions share."""

from __future__ import annotations

import gc
import random
import weakref

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from vuer_trio import ConnectionClosed, EncodeError, OutboxFull, SceneStore
from vuer_trio.codec import decode, make_encoder
from vuer_trio.events import Add, ClientEvent, Noop, Remove, ServerEvent, Set, Upsert
from vuer_trio.scene import Scene
from vuer_trio.schemas import BlockElement, DefaultScene, Element
from vuer_trio.schemas import Scene as SceneElement

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request):
    return request.param


class Session:
    """Encodes what it is sent at once, as a session does, and has so much room."""

    def __init__(self, room=10**9, shown=()):
        self.events = []
        self.room = room
        self.closed = False
        self.page = Scene()
        self._encode = make_encoder()
        for event in shown:
            self.page.apply(event)

    def send_nowait(self, event):
        if self.closed:
            raise ConnectionClosed("the session has ended", code=1001)
        if len(self.events) >= self.room:
            raise OutboxFull("the outbox is full")
        wire = decode(self._encode(event.to_wire()))
        self.events.append(event)
        self.page.apply(wire)

    @property
    def etypes(self):
        return [event.etype for event in self.events]

    @property
    def keys(self):
        """Of the nodes after the first SET."""
        return [node["key"] for event in self.events[1:] for node in event.data["nodes"]]


def box(key, **props):
    return Element(tag="Box", key=key, **props)


# ---- the store by itself


def test_it_needs_no_loop_and_no_subscribers():
    store = SceneStore()
    store.set @ DefaultScene(box("a"), grid=False)
    store.upsert @ [box("a", x=1), box("b")]
    store.add(box("c"), to="bgChildren")
    store.update @ {"key": "b", "x": 2}
    store.remove @ "light-stage"
    store @ Upsert(box("d"))
    assert store.scene.get("a")["x"] == 1
    assert store.scene.get("b")["x"] == 2
    assert store.scene.to_dict()["bgChildren"][-1]["key"] == "c"
    assert "light-stage" not in store.scene
    assert "d" in store.scene
    assert "6" not in repr(store)
    assert repr(store).endswith("with 0 subscribers>")


@pytest.mark.parametrize("event", [Noop(), ClientEvent(etype="SET"), {"etype": "SET"}, box("a")])
def test_it_takes_only_events_that_change_a_scene(event):
    store = SceneStore()
    with pytest.raises(TypeError, match="SET, UPDATE, ADD, UPSERT, REMOVE"):
        store @ event


async def test_what_can_not_be_sent_changes_nothing():
    store, session = SceneStore(), Session()
    store.set @ SceneElement(box("a"))
    cyclic = BlockElement(key="c")
    cyclic.children = [cyclic]
    async with store.subscribe(session):
        for bad in (box("a", x={1, 2}), box("a", x=2**64), cyclic, box("a", x={1: 2})):
            with pytest.raises(EncodeError):
                store.upsert @ bad
    assert session.etypes == ["SET"]
    assert store.scene.get("a") == {"tag": "Box", "key": "a"}


# ---- subscribers


async def test_a_subscriber_gets_the_whole_scene_and_then_every_change():
    store, first, second = SceneStore(), Session(), Session()
    store.set @ SceneElement(box("a"), frameloop="always")
    async with store.subscribe(first):
        store.upsert @ box("b")
        async with store.subscribe(second):
            store.update(box("b", x=1), strict=True)
            assert repr(store).endswith("with 2 subscribers>")
        store.remove @ "a"
    store.upsert @ box("late")
    assert first.etypes == ["SET", "UPSERT", "UPDATE", "REMOVE"]
    assert second.etypes == ["SET", "UPDATE"]
    assert first.events[0].data["frameloop"] == "always"
    assert [node["key"] for node in second.events[0].data["children"]] == ["a", "b"]
    assert first.events[2].strict is True
    assert first.events[2] is second.events[1]  # one event for all
    assert isinstance(first.events[2], ServerEvent)
    assert list(first.page) == [{"tag": "Box", "key": "b", "x": 1}]


async def test_a_page_that_shows_something_ends_up_equal():
    shown = Set(DefaultScene(box("old"), rawChildren=[box("r")], htmlChildren=[box("h")]))
    store, session = SceneStore(), Session(shown=[shown])
    store.set @ SceneElement(box("new"))
    assert "grid" in session.page
    async with store.subscribe(session):
        assert session.page.to_dict() == store.scene.to_dict()
    assert [node["key"] for node in session.page] == ["new"]


async def test_a_store_that_was_never_set_shows_an_empty_scene():
    store, session = SceneStore(), Session(shown=[Set(DefaultScene())])
    async with store.subscribe(session):
        assert list(session.page) == []


async def test_what_was_sent_does_not_change_with_the_element():
    store, session = SceneStore(), Session()
    mine = box("a", position=[0, 0, 0])
    async with store.subscribe(session):
        store.upsert @ mine
        mine.position[0] = 9
        mine.color = "red"
        session.events[1].data["nodes"][0]["key"] = "theirs"
        store.scene.get("a")["position"][0] = 8
    assert store.scene.get("a") == {"tag": "Box", "key": "a", "position": [0, 0, 0]}
    assert session.page.get("a") == store.scene.get("a")


async def test_there_is_no_gap_and_no_reordering_under_interleaved_changes():
    store = SceneStore()
    sessions = [Session() for _ in range(8)]
    made = []
    choose = random.Random(1)

    async def change(name):
        for n in range(60):
            made.append(f"{name}{n}")
            store.add @ box(made[-1])
            for _ in range(choose.randrange(3)):
                await anyio.lowlevel.checkpoint()

    async def watch(session):
        for _ in range(choose.randrange(100)):
            await anyio.lowlevel.checkpoint()
        async with store.subscribe(session):
            begun.append(len(made))
            await done.wait()

    begun: list[int] = []
    done = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for session in sessions:
            tasks.start_soon(watch, session)
        async with anyio.create_task_group() as changers:
            for name in "xyz":
                changers.start_soon(change, name)
        while len(begun) < len(sessions):
            await anyio.lowlevel.checkpoint()
        done.set()
    assert len(made) == 180
    assert len({len(session.keys) for session in sessions}) > 1
    for session in sessions:
        whole = [node["key"] for node in session.events[0].data["children"]]
        assert whole + session.keys == made
        assert session.page.to_dict() == store.scene.to_dict()
    assert store._subscriptions == {}


async def test_a_subscriber_that_changes_the_store_reorders_nothing():
    store, other = SceneStore(), Session()

    class Echo(Session):
        def send_nowait(self, event):
            super().send_nowait(event)
            if event == "ADD" and event.data["nodes"][0]["key"] == "a":
                store.add @ box("b")

    echo = Echo()
    async with store.subscribe(echo), store.subscribe(other):
        store.add @ box("a")
        store.add @ box("c")
    assert other.keys == echo.keys == ["a", "b", "c"]
    assert [node["key"] for node in store.scene] == ["a", "b", "c"]


async def test_a_session_is_subscribed_once():
    store, session = SceneStore(), Session()
    async with store.subscribe(session) as subscription:
        with pytest.raises(RuntimeError, match="already subscribed to this store"):
            async with store.subscribe(session):
                pass
        with pytest.raises(RuntimeError, match="already"):
            await subscription.__aenter__()
        store.upsert @ box("a")
    assert session.keys == ["a"]
    async with subscription, SceneStore().subscribe(session):  # left, it may be entered again
        pass
    assert session.etypes == ["SET", "UPSERT", "SET", "SET"]


async def test_nothing_is_kept_of_who_has_left():
    store = SceneStore()
    session = Session()
    async with store.subscribe(session):
        store.upsert @ box("a")
    gone = weakref.ref(session)
    del session
    gc.collect()
    assert gone() is None


# ---- those that cannot take a change


async def test_a_full_subscriber_is_told_and_the_others_notice_nothing():
    store = SceneStore()
    full, other, later = Session(room=3), Session(), Session()
    reached = []

    async def watch():
        with pytest.raises(OutboxFull, match="the outbox is full") as caught:
            async with store.subscribe(full):
                await anyio.sleep_forever()
        reached.append(caught.value)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks, store.subscribe(other):
            tasks.start_soon(watch)
            await anyio.wait_all_tasks_blocked()
            async with store.subscribe(later):
                for n in range(6):
                    assert (store.upsert @ box(str(n))) is None
            await anyio.wait_all_tasks_blocked()
            assert len(reached) == 1
            assert "subscribed to a SceneStore" in reached[0].__notes__[0]
            assert full.keys == ["0", "1"]
            full.room = 100
            store.upsert @ box("6")
            assert full.keys == ["0", "1"]  # nothing behind the gap
            async with store.subscribe(full):  # and a new start
                assert full.page.to_dict() == store.scene.to_dict()
    assert other.keys == [str(n) for n in range(7)]
    assert later.keys == [str(n) for n in range(6)]


async def test_a_body_that_does_not_wait_is_told_when_it_leaves():
    store, session = SceneStore(), Session(room=1)
    left = []
    with pytest.raises(OutboxFull):
        async with store.subscribe(session):
            store.upsert @ box("a")  # its own change: the call does not raise
            store.upsert @ box("b")
            assert repr(store).endswith("with 0 subscribers>")
            left.append(True)
    assert left == [True]
    assert [node["key"] for node in store.scene] == ["a", "b"]
    assert session.etypes == ["SET"]


async def test_a_closed_subscriber_is_told_why():
    store, session = SceneStore(), Session()
    with pytest.raises(ConnectionClosed) as caught:
        async with store.subscribe(session):
            session.closed = True
            store.upsert @ box("a")
            await anyio.sleep_forever()
    assert caught.value.code == 1001
    with pytest.raises(ConnectionClosed):
        async with store.subscribe(session):
            raise AssertionError
    assert store._subscriptions == {}


async def test_whatever_a_subscriber_raises_is_its_own():
    class Broken(Session):
        def send_nowait(self, event):
            super().send_nowait(event)
            if event == "UPSERT":
                raise ZeroDivisionError

    store, other = SceneStore(), Session()
    with pytest.raises(ZeroDivisionError):
        async with store.subscribe(Broken()):
            async with store.subscribe(other):
                store.upsert @ box("a")
    assert other.keys == ["a"]


async def test_what_the_body_raises_goes_first():
    store, session = SceneStore(), Session(room=1)
    with pytest.raises(KeyError):
        async with store.subscribe(session):
            store.upsert @ box("a")
            raise KeyError
    assert store._subscriptions == {}


@pytest.mark.parametrize("waits", [False, True], ids=["leaves", "waits"])
@pytest.mark.parametrize("inside", [False, True], ids=["before the loss", "after the loss"])
async def test_a_cancellation_from_outside_goes_first(inside, waits):
    store, session = SceneStore(), Session(room=1)
    with anyio.CancelScope() as outside:
        async with store.subscribe(session):
            if inside:
                store.upsert @ box("a")
                outside.cancel()
            else:
                outside.cancel()
                store.upsert @ box("a")
            if waits:
                await anyio.sleep_forever()
        raise AssertionError
    assert outside.cancelled_caught
    assert store._subscriptions == {}


async def test_cancelled_on_the_way_in_nothing_was_sent():
    store, session = SceneStore(), Session()
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with store.subscribe(session):
            raise AssertionError
    assert session.events == []
    assert store._subscriptions == {}


async def test_what_sending_the_scene_raises_is_raised_on_the_way_in():
    store, session = SceneStore(), Session(room=0)
    with pytest.raises(OutboxFull):
        async with store.subscribe(session):
            raise AssertionError
    assert store._subscriptions == {}


# ---- equal at any time


KEYS = st.sampled_from(["a", "b", "c", "d"])
ELEMENTS = st.recursive(
    st.builds(lambda key, x: box(key, x=x), KEYS, st.integers(0, 2)),
    lambda inner: st.builds(
        lambda key, tag, below, slot: BlockElement(
            *(below if slot == "children" else ()),
            tag=tag,
            key=key,
            **({} if slot == "children" else {slot: below}),
        ),
        KEYS,
        st.sampled_from(["group", "Scene"]),
        st.lists(inner, max_size=2),
        st.sampled_from(["children", "bgChildren"]),
    ),
    max_leaves=4,
)
PLACES = st.sampled_from([None, "a", "b", "bgChildren", "rawChildren"])
EVENTS = st.one_of(
    st.builds(
        lambda nodes, bg: Set(SceneElement(*nodes, bgChildren=bg)),
        st.lists(ELEMENTS, max_size=3),
        st.lists(ELEMENTS, max_size=2),
    ),
    st.builds(lambda nodes, to: Add(*nodes, to=to), st.lists(ELEMENTS, max_size=2), PLACES),
    st.builds(lambda nodes, to: Upsert(*nodes, to=to), st.lists(ELEMENTS, max_size=2), PLACES),
    st.just(Upsert({"tag": "Box", "up": [0, 0, 1]})),
    st.builds(lambda keys: Remove(*keys), st.lists(KEYS, max_size=2)),
)


@given(
    st.lists(EVENTS | st.integers(0, 3), max_size=20),
    st.lists(EVENTS, max_size=3),
)
def test_a_subscribers_scene_is_the_stores(steps, shown):
    """An int subscribes a session, or ends its subscription."""
    store = SceneStore()
    sessions = [Session(shown=shown if n % 2 else ()) for n in range(4)]
    leave: dict[int, trio.Event] = {}

    async def watch(n, task_status):
        leave[n] = trio.Event()
        async with store.subscribe(sessions[n]):
            task_status.started()
            await leave[n].wait()

    async def run():
        async with trio.open_nursery() as nursery:
            for step in steps:
                if not isinstance(step, int):
                    store @ step
                elif step in leave:
                    leave.pop(step).set()
                    await trio.testing.wait_all_tasks_blocked()
                else:
                    await nursery.start(watch, step)
                for n in leave:
                    assert sessions[n].page.to_dict() == store.scene.to_dict()
            for event in leave.values():
                event.set()

    trio.run(run)
    assert store._subscriptions == {}
