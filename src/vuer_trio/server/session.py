"""A session: one client of a server, and the nursery of all that runs for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from threading import get_ident
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from uuid import UUID, uuid4

from .._connection.close_info import check_close
from .._connection.connection import Connection
from .._connection.duplex import Duplex
from .._connection.freshness import Lease
from .._connection.observers import Observer, add_observer, call_observer
from .._connection.policies import Policy
from .._connection.sender import Sender
from .._connection.statistics import Statistics
from .._errors import CallTimeout, ClientClosed, VuerError, renew
from .._formatting import must_be
from .._handlers import Handlers
from .._hosting.request import Request, request_of
from .._interrupts import protected_methods
from .._runtime import Runtime
from ..codec import make_encoder
from ..events import ClientEvent, GetWebXRMesh, GrabRender, ServerEvent, ServerRPC
from .audience import Listener
from .dispatcher import Dispatcher, taken
from .session_sender import SessionSender
from .session_task import SessionTask
from .store import Change, Prepare
from .tasks import NotStarted, check_function, guarded
from .threadsafe import ThreadsafeSession
from .verbs import Verbs
from .waiting_events import WaitingEvents

if TYPE_CHECKING:
    from .._async_types import CancelScope, Nursery
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["VuerSession"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

T = TypeVar("T")


@protected_methods
class VuerSession(Verbs, WaitingEvents, Duplex[ServerEvent, ClientEvent]):
    """One connected client, as handlers and the functions of `Vuer.spawn` and `Vuer.bind` get it.

    The verbs ``set``, ``update``, ``add``, ``upsert`` and ``remove`` change the client's scene, and
    ``session @ event`` sends any other event. They never wait: the event is in the outbox when the
    call returns, or the call raises OutboxFull, EncodeError or ConnectionClosed. Events arrive in
    the order of the calls, requests included.

    ``async for event in session`` receives, and stops when the session is closed normally. Until
    something is received for the first time, by whatever call, the newest 1,024 events are kept, or
    what the ``inbox`` of the server has room for, and older ones are dropped. Handlers get every
    event as well. A session is a nursery, too: the tasks that it has started are cancelled when it
    ends.
    """

    _connection: Connection  # from its beginning on

    def __init__(
        self,
        rt: Runtime,
        connection: Connection,
        handlers: Handlers,
        policy: Policy,
        encode: Callable[[Any], bytes],
        prepare: Prepare,
        incoming: IncomingRequest,
    ) -> None:
        self._rt = rt
        self._connection = connection
        self._dispatcher = Dispatcher(connection, handlers, policy, self)
        self._nursery: Nursery | None = None
        self._prepare = prepare
        #: the `Vuer` that it is a session of, whose type would be an import in a circle
        self.vuer: Any = None
        self._over = False  # its nursery is
        self._gone = rt.Event()
        self._incoming = incoming
        #: the path and query of the client's request, usually "/"
        self.path: str = incoming.request.target
        #: the client's address, for logs: ``"127.0.0.1:51234"``
        self.peer: str = incoming.peer
        #: how broadcasts reach it
        self._listener = Listener(connection.outbox, incoming.peer)
        #: ``await send(event)`` waits for room, ``send @ event`` does not, nor does ``send(event)``
        #: without ``await``; ``await send`` waits for room, and returns a permit that owns it
        self.send: Sender[ServerEvent] = SessionSender(encode, connection.uri)
        super().__init__(self.send, taken)
        self._join(connection)

    def __repr__(self) -> str:
        return f"<VuerSession {self.peer} {self._connection.state.value}>"

    # ---- state

    @cached_property
    def CURRENT_WS_ID(self) -> UUID:  # noqa: N802 - the reference's name
        """What `Vuer.ws` knows it by."""
        return uuid4()

    @cached_property
    def request(self) -> Request:
        """The request that opened the session, with its query, headers and cookies."""
        return request_of(self._incoming)

    @property
    def client_info(self) -> Mapping[str, Any]:
        """What the client said about itself in INIT: empty until then, or if that is not a map."""
        init = self._dispatcher.init
        value = init.value if init is not None else None
        return value if isinstance(value, dict) else {}

    @property
    def cancel_scope(self) -> CancelScope:
        """The scope around all of the session's tasks. Cancelling it closes the session with 1000.

        Raises RuntimeError before the session has begun.
        """
        if self._nursery is None:
            raise RuntimeError(f"{self!r} has not begun")
        return self._nursery.cancel_scope

    def statistics(self) -> Statistics:
        """A snapshot of the session's counters, queues and times."""
        return replace(super().statistics(), skipped=self._listener.skipped)

    async def wait_closed(self) -> None:
        """Wait until nothing of the session is left, whoever ended it.

        It is for code that watches a session from outside: tasks of the session are cancelled with
        it, and so is this call in them. Safe to cancel.
        """
        self._connection.home.check_loop()
        await self._gone.wait()

    @property
    def _tasks(self) -> Nursery:
        if self._nursery is None:
            raise RuntimeError(f"{self!r} has not begun")
        self._connection.home.check()
        if self._over:
            raise self._gone_error()
        return self._nursery

    def _gone_error(self) -> VuerError:
        """The error that says how the session ended, to be raised."""
        return renew(self._connection.inbox.closed or ClientClosed(f"{self.peer} has gone"))

    # ---- sending

    def _send(self, event: ServerEvent) -> None:
        self.send @ event

    def send_nowait(self, event: ServerEvent) -> None:
        """Enqueue an event without waiting; the same as ``session @ event``.

        Raises OutboxFull if there is no room, EncodeError, ConnectionClosed.
        """
        if not isinstance(event, Change):
            self._send(event)
        elif self._connection.outbox.owner != get_ident():
            raise self._connection.outbox.refusal()
        elif not self._connection.outbox.offer_broadcast(event.framed(self._prepare)):
            raise self.send.full()

    def __matmul__(self, event: ServerEvent) -> None:
        """``session @ event``: enqueue an event without waiting.

        Raises OutboxFull if there is no room, EncodeError, ConnectionClosed.
        """
        self._send(event)

    @property
    def threadsafe(self) -> ThreadsafeSession:
        """The same verbs, ``@ event`` and ``send @ event``, to be called from any thread."""
        return ThreadsafeSession(self.send)

    # ---- receiving

    async def till(self, etype: str, timeout: float | None = None) -> ClientEvent:
        """Wait for this client's next event of type ``etype``.

        ``till("INIT")`` returns the INIT that opened the session, even if it has been read before.
        Handlers and `recv` get the event as well. Raises CallTimeout after ``timeout`` seconds, and
        ConnectionClosed if the session ends first. Safe to cancel.
        """
        if not isinstance(etype, str):
            raise TypeError(must_be("etype", "a str, 'CAMERA_MOVE'", etype))
        if etype == "INIT" and self._dispatcher.init is not None:
            # Not a full checkpoint: a function that begins with this is still in its first step.
            await self._rt.checkpoint_if_cancelled()
            return self._dispatcher.init
        self._check_open()
        with self._dispatcher.waiting.till(etype) as call:
            if timeout is None:
                return await call.wait()
            with self._rt.move_on_after(timeout):
                return await call.wait()
        raise CallTimeout(f"no {etype} from {self.peer} within {timeout:g} s")

    def latest(self, etype: str, *, max_age: float | None = None) -> ClientEvent:
        """The newest event of a type from this client, whoever has received or handled it.

        Raises Stale if there is none, or if it was read more than ``max_age`` seconds ago.

        The first call of `latest` or `lease` looks back over what was read last: up to 16 reads or
        16 KiB. From then on the newest of each of the last 256 types is kept.
        """
        self._connection.home.check()
        freshness = self._dispatcher.freshness
        self._dispatcher.watch(freshness)
        return freshness.latest(etype, max_age)

    def lease(self, etype: str | Sequence[str], *, max_age: float) -> Lease:
        """``with session.lease("HAND_MOVE", max_age=0.2):`` runs while events keep coming.

        The block is a cancel scope, ``lease.scope``. Its deadline is ``max_age`` seconds after the
        newest event of the type, or after the entry if that one is older or there is none; each
        one that is read moves it on. ``etype`` may be several types: an event of any of them keeps
        the lease. At the deadline the block is cancelled, and leaving it raises Stale.
        """
        self._connection.home.check()
        freshness = self._dispatcher.freshness
        self._dispatcher.watch(freshness)
        return Lease(freshness, etype, max_age)

    def observe(self, fn: Observer) -> Callable[[], None]:
        """Call ``fn(direction, messages)`` with every message that is received or sent.

        ``direction`` is ``"received"`` for messages that have just been read, and ``"sent"`` for
        messages that are about to be written; ``messages`` is a sequence of payloads, in order, as
        bytes, or as a bytearray or a memoryview if they are large. If the INIT that opened the
        session has been read already, ``fn`` is called with it at once; before the first await of a
        `Vuer.spawn` function, also with what followed it.

        ``fn`` is sync. It must neither block nor keep the sequence, which is reused. If it raises,
        the exception is logged. Returns a function that removes ``fn``; calling it twice is
        harmless.
        """
        init, early = self._dispatcher.init, self._dispatcher.early
        if init is not None:
            call_observer(fn, "received", early or (make_encoder()(init.to_wire()),))
        return add_observer(self._connection.observers, fn)

    # ---- requests

    async def rpc(self, event: ServerRPC, ttl: float | None = 2.0) -> ClientEvent:
        """Send a request, and return this client's reply: the event of type ``event.rtype``.

        The reply is not delivered to handlers or to `recv`. Raises CallTimeout if there is none
        within ``ttl`` seconds (None waits for ever), EncodeError, and ConnectionClosed if the
        session ends first. If cancelled, the request may have been sent; a late reply is received
        like any other event.
        """
        rtype = getattr(event, "rtype", None)
        if not isinstance(rtype, str):
            what = "a request: a ServerRPC, which has an rtype"
            raise TypeError(must_be("event", what, event, secret=True))
        if "{uuid}" in rtype:  # a plain ServerRPC: the class has only the form
            rtype = event.rtype = rtype.format(uuid=event.uuid)
        self._check_open()
        with self._dispatcher.waiting.reply(rtype) as call:
            if ttl is None:
                await self._request(event)
                return await call.wait()
            with self._rt.move_on_after(ttl):
                await self._request(event)
                return await call.wait()
        raise CallTimeout(f"{self.peer} has not answered {event.etype} within {ttl:g} s")

    async def _request(self, event: ServerRPC) -> None:
        """Enqueue a request before other tasks run, if there is room: calls keep their order."""
        await self._rt.checkpoint_if_cancelled()
        if self._has_room:
            self.send @ event
        else:
            await self.send(event)

    async def grab_render(
        self, ttl: float | None = 2.0, *, key: str = "DEFAULT", **options: Any
    ) -> ClientEvent:
        """Ask a browser for an image of its canvas: ``.value["frame"]`` holds a JPEG (bytes).

        The scene must contain a ``GrabRender(key=...)`` element with the same key, or there is no
        reply. ``options`` are the browser's: ``quality`` (0 to 1) and ``downsample``. Raises what
        `rpc` raises.
        """
        return await self.rpc(GrabRender(key=key, **options), ttl)

    async def get_webxr_mesh(
        self, key: str = "webxr-mesh", ttl: float | None = 2.0, **options: Any
    ) -> ClientEvent:
        """Ask an AR headset for the meshes that it has detected: ``.value["meshes"]``.

        The scene must contain a ``WebXRMesh`` element, or there is no reply. Raises what `rpc`
        raises.
        """
        return await self.rpc(GetWebXRMesh(key=key, **options), ttl)

    def _check_open(self) -> None:
        """Raise what ended the session, before anybody waits for a reply that cannot come."""
        self._connection.home.check_loop()
        if self._connection.outbox.closed is not None:
            raise renew(self._connection.outbox.closed)

    # ---- tasks

    def start_soon(self, fn: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Run ``await fn(*args)`` in a task of the session.

        If it raises, the exception is logged and the session is closed with 1011. Raises
        ConnectionClosed or ClientClosed if the session has ended.
        """
        check_function("start_soon", fn)
        self._tasks.start_soon(guarded, self, self._rt, fn, *args)

    async def start(self, fn: Callable[..., Awaitable[object]], *args: Any) -> Any:
        """Run ``await fn(*args, task_status=...)``, and wait for ``task_status.started(value)``.

        Returns ``value``. What ``fn`` raises before that call is raised here; what it raises later
        is logged, and closes the session with 1011. Raises ConnectionClosed or ClientClosed if the
        session has ended. If cancelled before ``fn`` has started, ``fn`` is cancelled too.
        """
        check_function("start", fn)
        value = await self._tasks.start(guarded, self, self._rt, fn, *args)
        if isinstance(value, NotStarted):
            value.throw()
        return value

    def spawn_task(
        self,
        fn: Callable[..., Awaitable[T]] | Coroutine[Any, Any, T],
        *args: Any,
        name: str | None = None,
    ) -> SessionTask[T]:
        """Run ``await fn(*args)``, or a coroutine, in a task that can be cancelled by itself.

        ``name`` is what logs call the task, by default the name of the function. Returns a
        `SessionTask`: ``await task`` gives the result, and ``task.cancel()`` cancels it. If the
        task raises while nobody awaits it, the exception is logged; the session goes on. Raises
        ConnectionClosed or ClientClosed if the session has ended.
        """
        self._connection.home.check()
        task: SessionTask[T] = _kind_of_task(self._rt)(self, self._rt, fn, args, name)
        try:
            self._tasks.start_soon(task._run)
        except VuerError:
            task._give_up()
            task._drop()
            raise
        return task

    async def forever(self) -> NoReturn:
        """Wait until the session ends, which cancels the caller.

        Raises ConnectionClosed or ClientClosed after its end.
        """
        await self._gone.wait()
        raise self._gone_error()

    # ---- its life, as the server sees it

    def _begin(self, nursery: Nursery, *, hold: bool, hold_at_init: bool) -> None:
        """Run the session's tasks in ``nursery`` from now on.

        With ``hold``, handlers wait for `_release_handlers`; with ``hold_at_init``, from INIT on.
        """
        self._nursery = nursery
        self._dispatcher.start(nursery)
        self._dispatcher.holds_at_init = hold_at_init
        if hold:
            self._dispatcher.hold()

    def _release_handlers(self) -> None:
        """The function of `Vuer.spawn` or `Vuer.bind`, if any, takes its first step now."""
        self._dispatcher.release()

    def _on_init(self, fn: Callable[[], None]) -> None:
        """Call ``fn()`` when INIT has been read."""
        self._dispatcher.on_init = fn

    def _lost(self, error: VuerError) -> None:
        """The connection has ended with ``error``: no reply can come any more."""
        self._dispatcher.waiting.fail(error)

    @property
    def _busy(self) -> bool:
        """Whether handlers have not seen every event that was read."""
        return self._dispatcher.busy

    async def _finish(self) -> None:
        """Wait until handlers have seen every event that was read."""
        await self._dispatcher.finish()

    def _stop(self) -> None:
        """The tasks have ended, and no more may start."""
        self._over = True

    def _end(self) -> None:
        """Nothing of the session is left."""
        self._dispatcher.end()
        self._gone.set()

    def _abort(self) -> None:
        """End it at once. What is enqueued is offered to the operating system, without waiting."""
        self._connection.abort()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    @property
    def _has_room(self) -> bool:
        """Whether an event can be enqueued without waiting."""
        return self._connection.outbox.has_room

    @property
    def _kept(self) -> int:
        """Bytes that it holds in addition to the messages in its queues."""
        return self._dispatcher.kept + self._dispatcher.freshness.bytes

    # ---- closing

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close the session: send what is enqueued, then a close frame, and wait for the answer.

        All tasks of the session are cancelled. It may be called from one of them, a handler for
        example: the close frame goes out before the caller is cancelled.

        Raises ConnectionClosed if messages could not be sent; its text says how many. Raises
        TypeError or ValueError for an invalid code or reason, and leaves the session open. If
        cancelled, the connection is dropped at once.
        """
        check_close(code, reason)
        try:
            await self._connection.aclose(code, reason)
        finally:
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()
        await self._rt.checkpoint()

    close = aclose


def _kind_of_task(rt: Runtime) -> type[SessionTask[Any]]:
    if rt.name == "trio":
        return SessionTask
    from .asyncio_task import FutureTask

    return FutureTask
