"""A scene that several sessions share."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager
from functools import partial
from os import PathLike
from threading import RLock
from typing import Any, Final, Protocol, Self, TypeAlias

from .._client.options import check_size
from .._connection.link_changes import Connected, Disconnected
from .._errors import EncodeError
from .._failures import pass_on
from .._formatting import must_be
from .._home import Home
from .._interrupts import protected, protected_block, protected_methods
from .._received import ReceivedServerEvent
from .._reentrant import ReentrantContextManager
from .._runtime import Runtime, runtime
from .._websocket.transport import Prepared
from ..bus import Bus
from ..bus.journal import Journal
from ..bus.shared_state import Origin
from ..codec import decode, make_encoder
from ..events import ServerEvent, Set
from ..scene import Scene
from .threadsafe import ThreadsafeVerbs
from .verbs import Verbs

__all__ = ["Change", "Prepare", "SceneStore", "Subscriber", "Subscription", "ThreadsafeScene"]

_CHANGES: Final = ("SET", "UPDATE", "ADD", "UPSERT", "REMOVE")
#: of a change that other processes read, too
_MOST_VALUES = 1 << 24


#: encodes and frames an event for the sessions of one server
Prepare: TypeAlias = Callable[[ServerEvent], Prepared]


class Change(ReceivedServerEvent):
    """A change of a scene, encoded and framed once for all sessions of a server."""

    __slots__ = ("_framed",)

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self._framed: dict[Prepare, Prepared] = {}

    def framed(self, prepare: Prepare) -> Prepared:
        """The message for an outbox. Raises EncodeError."""
        message = self._framed.get(prepare)
        if message is None:
            message = self._framed[prepare] = prepare(self)
        return message


class Subscriber(Protocol):
    """What a store sends changes to: a session."""

    def send_nowait(self, event: ServerEvent, /) -> None:
        """Enqueue an event without waiting. Raises OutboxFull, ConnectionClosed."""


class ThreadsafeScene(ThreadsafeVerbs):
    """`SceneStore.threadsafe`."""

    def __init__(
        self,
        send: Callable[[ServerEvent], None],
        scene: Scene,
        lock: AbstractContextManager[object],
    ) -> None:
        super().__init__(send)
        self._scene = scene
        self._lock = lock

    @property
    def scene_data(self) -> dict[str, Any]:
        """A copy of the scene as plain data: see `Scene.to_dict`."""
        with self._lock:
            return self._scene.to_dict()

    def get(self, key: str) -> dict[str, Any] | None:
        """A copy of the node with this key, as plain data; None: there is none."""
        with self._lock:
            return self._scene.get(key)

    def __repr__(self) -> str:
        with self._lock:
            return f"<ThreadsafeScene of {self._scene!r}>"


class SceneStore(Verbs, ReentrantContextManager):
    """A scene that several sessions share, also those of several processes.

    ``store.set``, ``update``, ``add``, ``upsert`` and ``remove`` change it, like the same verbs of
    a session; ``store @ event`` takes the event itself. A change is made, and is in the outbox of
    each subscriber, when the call returns: all see all changes in one order. Each is one event, the
    same object for all, made of plain data: later changes of an element do not reach it. It is
    encoded and framed once for all sessions of a server, and so is the whole scene for all that
    join before it changes.

    A value that cannot be sent raises EncodeError in the call, and changes nothing. If a subscriber
    cannot take a change, the error is raised in its own block; see `subscribe`.

    Any task of one loop may use it; with subscribers, that is their loop, and a call in another
    thread raises RuntimeError. ``store.threadsafe`` has the verbs for any thread. Without a ``bus``
    it does not need to be closed.

    ``initial`` is the scene to begin with: a `schemas.Scene`.

    **With a bus** (``bus=RedisBus("redis://localhost")``) all stores of the same ``name`` share the
    scene, in however many processes. Use the store only inside the block ``async with store:``;
    entering it loads the scene. ``initial`` is used only if the bus has no scene yet. A verb
    returns immediately, but the change is made, here as elsewhere, when it comes back from the bus,
    which gives all changes one order: after the same change, all screens show the same. ``await
    store.flush()`` waits until `get` and the subscribers have what was changed here. While the bus
    is lost, the scene stays as it is, and changes wait: up to ``max_waiting`` of them, and
    ``max_waiting_bytes`` bytes. Beyond that, the call raises OutboxFull and changes nothing. The
    changes are sent when the bus is back, each once.

    Raises TypeError and ValueError for invalid arguments.
    """

    def __init__(
        self,
        initial: Any = None,
        *,
        bus: Bus | None = None,
        name: str = "scene",
        max_waiting: int = 10_000,
        max_waiting_bytes: int = 1 << 26,
    ) -> None:
        self._scene = Scene()
        self._encode = make_encoder()
        self._whole: Change | None = None  # the SET of the current scene, once somebody needs it
        self._subscriptions: dict[int, Subscription] = {}
        self._untold: deque[Change] = deque()
        self._telling = False
        self._home: Home | None = None  # the loop of the subscribers, and of the journal
        self._lock = RLock()  # for threads, while there are no subscribers
        self._journal: Journal | None = None
        if initial is not None:
            self.set @ initial
        #: the verbs, and ``@ event``, from any thread, and what is in the scene
        self.threadsafe: ThreadsafeScene = ThreadsafeScene(
            self._from_thread, self._scene, self._lock
        )
        if bus is None:
            return
        if not isinstance(bus, Bus):
            raise TypeError(must_be("bus", "a RedisBus, or None", bus))
        if not isinstance(name, str) or not name or not name.isprintable() or {*name} & {*"{}"}:
            raise ValueError(must_be("name", "a str without { and }", name, "use 'scene'"))
        check_size("max_waiting", max_waiting)
        check_size("max_waiting_bytes", max_waiting_bytes)
        self._journal = Journal(
            bus,
            f"scene:{name}",
            _SharedScene(self),
            most=max_waiting,
            max_bytes=max_waiting_bytes,
        )

    @protected_block
    async def _in_block(self) -> AsyncGenerator[None, None]:
        """Take part in the bus, if there is one.

        Raises ConnectionFailed if there is no connection, unless the bus retries the first attempt
        as well, and RuntimeError in a second block at a time. On leaving, the changes that wait
        have one second; what is lost then is logged.
        """
        rt, journal = runtime(), self._journal
        if journal is None:
            await rt.checkpoint()
            yield
            return
        if journal.running:
            raise RuntimeError(f"{self!r} is open already: one `async with store:` is enough")
        if self._subscriptions:
            assert self._home is not None
            self._home.check_loop()
        else:
            self._home = Home(rt, "this SceneStore")
        async with journal.block():
            yield

    @property
    def bus_connected(self) -> bool:
        """Whether this store is connected to its bus; False without a bus.

        While it is not, the scene stays as it is, and changes wait.
        """
        return self._journal is not None and self._journal.connected

    @property
    def waiting(self) -> int:
        """The number of changes made here that have not come back from the bus."""
        return 0 if self._journal is None else self._journal.waiting

    def bus_changes(self) -> AsyncIterator[Connected | Disconnected]:
        """``async for change in store.bus_changes():`` iterates over the openings and ends of the
        connection to the bus, as `Connected` and `Disconnected`, from the call on. It ends with the
        block of the store.
        """
        if self._journal is None:
            raise RuntimeError("this SceneStore has no bus: SceneStore(bus=RedisBus(...))")
        return self._journal.watch()

    async def flush(self) -> None:
        """Wait until all changes that were made here before are in the scene here.

        Without a bus they are. Cancelled: they are made nevertheless.
        """
        if self._journal is None:
            await runtime().checkpoint()
        else:
            await self._journal.flush()

    @property
    def scene(self) -> Scene:
        """The scene as it is now; to be read only."""
        return self._scene

    @property
    def scene_data(self) -> dict[str, Any]:
        """A copy of the scene as plain data: see `Scene.to_dict`."""
        return self._scene.to_dict()

    def get(self, key: str) -> dict[str, Any] | None:
        """A copy of the node with this key, as plain data; None: there is none."""
        return self._scene.get(key)

    def to_html(self, path: str | PathLike[str], *, title: str = "Vuer") -> list[str]:
        """Write one HTML file that shows the scene as it is now: see `Scene.to_html`."""
        return self._scene.to_html(path, title=title)

    def subscribe(self, session: Subscriber) -> Subscription:
        """``async with store.subscribe(session):`` shows the scene in a session, during the block.

        On entry the session gets the whole scene, as one SET that replaces what it showed; from
        then on every change. It keeps what it shows when the block ends.

        A session that cannot take a change, because its outbox is full or it has ended, would be
        out of date from then on. So it gets nothing more, its block is cancelled, and leaving it
        raises the reason: OutboxFull or ConnectionClosed. A cancellation from outside and what the
        body raises take precedence. The other sessions, the store and the caller that made the
        change are not affected. Entering again starts with the whole scene.

        Entering raises what sending the scene raises, and RuntimeError for a session that is
        subscribed already. Cancelled there: nothing was sent.
        """
        return Subscription(self, session)

    def __matmul__(self, event: ServerEvent) -> None:
        """``store @ event``: one of SET, UPDATE, ADD, UPSERT and REMOVE."""
        if not isinstance(event, ServerEvent) or event.etype not in _CHANGES:
            raise TypeError(
                f"a store takes events that change a scene ({', '.join(_CHANGES)}), got {event!r}"
            )
        self._send(event)

    def _from_thread(self, event: ServerEvent) -> None:
        home = self._home if self._is_at_home else None
        if home is None:
            self @ event
        else:
            home.call(partial(self.__matmul__, event))

    @protected
    def _send(self, event: ServerEvent) -> None:
        with self._lock:
            if self._is_at_home and self._home is not None:
                self._home.check()
            # As a peer will read it: plain, checked, and nobody else's.
            payload = self._encode(event.to_wire())
            change = Change(decode(payload, None if self._journal is None else _MOST_VALUES))
            if self._journal is None:
                self._make(change)
            else:
                self._journal.append(payload)

    @property
    def _is_at_home(self) -> bool:
        """Whether one loop alone may use it."""
        return bool(self._subscriptions) or (self._journal is not None and self._journal.running)

    @protected
    def _make(self, change: Change) -> None:
        self._whole = None
        self._scene.apply(change)
        self._untold.append(change)
        if self._telling:  # a subscriber makes changes itself: first the others get this one
            return
        self._telling = True
        try:
            while self._untold:
                change = self._untold.popleft()
                for subscription in tuple(self._subscriptions.values()):
                    subscription._tell(change)
        finally:
            self._telling = False

    def _set(self) -> Change:
        """The whole scene as one event, shared by all who subscribe before it changes."""
        if self._whole is None:
            self._whole = Change(Set(self._scene.to_set()).to_wire())
        return self._whole

    def _unsubscribe(self, subscription: Subscription) -> None:
        key = id(subscription._session)
        if self._subscriptions.get(key) is subscription:
            del self._subscriptions[key]
            if not self._subscriptions:
                self._whole = None  # and what it is framed as, for servers that may have ended

    def __repr__(self) -> str:
        return f"<SceneStore of {self._scene!r} with {len(self._subscriptions)} subscribers>"


class _SharedScene:
    """The scene of a store, as what a journal keeps the same everywhere: a `SharedState`."""

    def __init__(self, store: SceneStore) -> None:
        self._store = store

    def apply(self, payload: bytes, origin: Origin) -> None:
        change = Change(decode(payload, _MOST_VALUES))
        if change.etype not in _CHANGES:
            raise ValueError(f"it is not a change of a scene, but {change.etype!r:.60}")
        self._store._encode(change.raw)  # what cannot be sent would end all subscriptions
        self._store._make(change)

    def dump(self) -> bytes:
        store = self._store
        return store._encode({"etype": "SET", "ts": 0.0, "data": store._scene.to_set()})

    def load(self, state: bytes) -> None:
        whole = Change(decode(state, None))
        if whole.etype != "SET":
            raise ValueError("it is not a scene")
        try:
            self._store._encode(whole.raw)
        except EncodeError as exc:
            raise ValueError(f"it is not a scene that can be sent: {exc}") from None
        self._store._scene.clear()
        self._store._make(whole)

    def confirmed(self, number: int) -> None:
        """Nothing waits for a change of its own."""


@protected_methods
class Subscription:
    """The block in which a session sees a store's scene; see `SceneStore.subscribe`."""

    def __init__(self, store: SceneStore, session: Subscriber) -> None:
        self._subscriptions = store._subscriptions
        self._store = store
        self._session = session
        self._rt: Runtime | None = None  # while it is entered
        self._scope: Any = None
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        rt, store = runtime(), self._store
        await rt.checkpoint()
        with store._lock:
            self._enter(rt)
        return self

    def _enter(self, rt: Runtime) -> None:
        store = self._store
        # From here on there is no await, so no change falls between the scene and the first one.
        if id(self._session) in self._subscriptions or self._rt is not None:
            raise RuntimeError(f"{self._session!r} is already subscribed to this store")
        if not store._is_at_home:
            store._home = Home(rt, "this SceneStore, with its subscribers,")
        assert store._home is not None
        store._home.check_loop()
        self._session.send_nowait(store._set())
        self._rt, self._scope, self._error = rt, rt.CancelScope(), None
        self._scope.__enter__()
        self._subscriptions[id(self._session)] = self

    def _tell(self, change: ServerEvent) -> None:
        try:
            self._session.send_nowait(change)
        except BaseException as error:  # whatever it is: the others must not miss the change
            pass_on(error)
            self._error = error
            self._store._unsubscribe(self)
            self._scope.cancel()

    async def __aexit__(self, *exc: Any) -> None:
        rt, self._rt = self._rt, None
        assert rt is not None
        self._store._unsubscribe(self)
        swallowed = bool(self._scope.__exit__(*exc))
        error, self._error = self._error, None
        if error is not None and (swallowed or exc[0] is None):
            await rt.checkpoint()  # a cancellation from outside goes first
            error.add_note("raised by leaving the block that is subscribed to a SceneStore")
            raise error from error.__cause__
