"""A scene that several sessions share."""

from __future__ import annotations

from collections import deque
from functools import partial
from threading import RLock
from typing import Any, Final, Protocol, Self

from .._failures import pass_on
from .._home import Home
from .._interrupts import protected, protected_methods
from .._runtime import Runtime, runtime
from ..codec import decode, make_encoder
from ..events import ServerEvent, Set
from ..scene import Scene
from .change import Change
from .threadsafe import ThreadsafeVerbs
from .verbs import Verbs

__all__ = ["SceneStore", "Subscriber", "Subscription"]

_CHANGES: Final = ("SET", "UPDATE", "ADD", "UPSERT", "REMOVE")


class Subscriber(Protocol):
    """What a store tells of changes: a session."""

    def send_nowait(self, event: ServerEvent, /) -> None:
        """Enqueue an event now. Raises OutboxFull, ConnectionClosed."""


class SceneStore(Verbs):
    """A scene that several sessions share.

    ``store.set``, ``update``, ``add``, ``upsert`` and ``remove`` change it, like the same verbs of
    a session; ``store @ event`` takes the event itself. A change is made, and is in the outbox of
    each subscriber, when the call returns: all see all changes in one order. Each is one event, the
    same object for all, made of plain data: later changes of an element do not reach it. It is
    encoded and framed once for all sessions of a server, and so is the whole scene for all that
    join before it changes.

    What cannot be sent raises EncodeError at the call, and changes nothing. If a subscriber cannot
    take a change, that is raised in its own block, see `subscribe`.

    Any task of one loop may use it; with subscribers, that is their loop, and a call in another
    thread raises RuntimeError. ``store.threadsafe`` has the verbs for any thread. It does not need
    to be closed.
    """

    def __init__(self) -> None:
        self._scene = Scene()
        self._encode = make_encoder()
        self._whole: Change | None = None  # the SET of the scene as it is, once it is wanted
        self._subscriptions: dict[int, Subscription] = {}
        self._untold: deque[Change] = deque()
        self._telling = False
        self._home: Home | None = None  # of the subscribers
        self._lock = RLock()  # two threads, while there are none
        #: the verbs, and ``@ event``, from any thread
        self.threadsafe: ThreadsafeVerbs = ThreadsafeVerbs(self._from_thread)

    @property
    def scene(self) -> Scene:
        """The scene as it is now; to be read only."""
        return self._scene

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
        home = self._home if self._subscriptions else None
        if home is None:
            self @ event
        else:
            home.call(partial(self.__matmul__, event))

    @protected
    def _send(self, event: ServerEvent) -> None:
        with self._lock:
            if self._subscriptions and self._home is not None:
                self._home.check()
            self._make(event)

    @protected
    def _make(self, event: ServerEvent) -> None:
        # As a peer will read it: plain, checked, and nobody else's.
        change = Change(decode(self._encode(event.to_wire()), None))
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
        """The scene as one event: one for all that subscribe before it changes."""
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
        if not self._subscriptions:
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
