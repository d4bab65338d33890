"""A session: one client of a server, and the nursery of everything that happens for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from threading import get_ident
from typing import TYPE_CHECKING, Any, NoReturn, Self

from .._connection.checkpoints import CheckpointThrottle
from .._connection.close_info import check_close
from .._connection.connection import Connection
from .._connection.observers import Observer, add_observer, call_observer
from .._connection.policies import Policy
from .._connection.receiver import Receiver
from .._connection.sender import Sender
from .._connection.state import State
from .._connection.statistics import Statistics, measure
from .._errors import CallTimeout, ClientClosed, VuerError, renew
from .._formatting import must_be
from .._handlers import Handlers
from .._interrupts import protected_methods
from .._runtime import Runtime
from ..codec import make_encoder
from ..events import ClientEvent, GetWebXRMesh, GrabRender, ServerEvent, ServerRPC
from .audience import Listener
from .change import Change, Prepare
from .dispatcher import Dispatcher, taken
from .tasks import NotStarted, SessionTask, check_function, guarded
from .threadsafe import ThreadsafeSession
from .verbs import Verbs

if TYPE_CHECKING:
    from .._async_types import CancelScope, Nursery
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["VuerSession"]

log: logging.Logger = logging.getLogger("vuer_trio.server")


@protected_methods
class VuerSession(Verbs):
    """One client. It is passed to handlers and to the functions of `Vuer.spawn` and `Vuer.bind`.

    ``session.set | update | add | upsert | remove`` change the client's scene, ``session @ event``
    sends any event; both enqueue now, and raise OutboxFull when there is no room, EncodeError,
    ConnectionClosed. What is sent arrives in the order of the calls, requests included. ``async for
    event in session`` receives; it ends on a normal close. Everything that a session has started
    ends when the session does.
    """

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
        throttle = CheckpointThrottle(rt, home=connection.home)
        self._rt = rt
        self._connection = connection
        self._dispatcher = Dispatcher(connection, handlers, policy, self)
        self._nursery: Nursery | None = None
        self._prepare = prepare
        self._over = False  # its nursery is
        self._gone = rt.Event()
        #: path and query that the client asked for, "/" as a rule
        self.path: str = incoming.request.target
        #: the address of the client, for logs
        self.peer: str = incoming.peer
        #: as a broadcast sees it
        self._listener = Listener(connection.outbox, incoming.peer)
        #: ``send @ e``, ``await send(e)``; ``await send`` returns a permit
        self.send: Sender[ServerEvent] = Sender(connection.outbox, encode, throttle, connection.uri)
        self._receiver: Receiver[ClientEvent] = Receiver(
            connection.inbox,
            connection.outbox,
            taken,
            throttle,
            connection.uri,
        )
        self._receiver.connect(rt, connection.inbox, connection.outbox, throttle)

    def __repr__(self) -> str:
        return f"<VuerSession {self.peer} {self._connection.state.value}>"

    # ---- state

    @property
    def connected(self) -> bool:
        """Whether it is open, in both directions."""
        return self._connection.state is State.OPEN and not self._connection.home.forked

    @property
    def client_info(self) -> Mapping[str, Any]:
        """What the client reported in INIT; empty before that, or if it was not a map."""
        init = self._dispatcher.init
        value = init.value if init is not None else None
        return value if isinstance(value, dict) else {}

    @property
    def cancel_scope(self) -> CancelScope:
        """The scope of everything in the session. Cancelling it ends the session with 1000."""
        if self._nursery is None:
            raise RuntimeError(f"{self!r} has not begun")
        return self._nursery.cancel_scope

    @property
    def close_code(self) -> int | None:
        """How the connection ended (RFC 6455 §7.4.1), None while it is open."""
        return self._connection.close_info.code if self._connection.close_info else None

    def statistics(self) -> Statistics:
        """Counts, depths and times, as they are now."""
        connection = self._connection
        return measure(
            connection.counters,
            connection.outbox,
            connection.inbox,
            connection.boxes,
            silence=self._rt.current_time() - connection.heard_at,
            skipped=self._listener.skipped,
        )

    @property
    def _tasks(self) -> Nursery:
        if self._nursery is None:
            raise RuntimeError(f"{self!r} has not begun")
        self._connection.home.check()
        if self._over:
            raise self._gone_error()
        return self._nursery

    def _gone_error(self) -> VuerError:
        """How it ended, to be raised."""
        return renew(self._connection.inbox.closed or ClientClosed(f"{self.peer} has gone"))

    # ---- sending

    def _send(self, event: ServerEvent) -> None:
        self.send @ event

    def send_nowait(self, event: ServerEvent) -> None:
        """Enqueue an event now; the same as ``session @ event``."""
        if not isinstance(event, Change):
            self._send(event)
        elif self._connection.outbox.owner != get_ident():
            raise self._connection.outbox.refusal()
        elif not self._connection.outbox.offer_shared(event.framed(self._prepare)):
            raise self.send.full()

    def __matmul__(self, event: ServerEvent) -> None:
        """``session @ event``: enqueue it now.

        Raises OutboxFull when there is no room, EncodeError, ConnectionClosed.
        """
        self._send(event)

    @property
    def threadsafe(self) -> ThreadsafeSession:
        """The verbs, ``@ event`` and ``send @ event`` of this session, from any thread."""
        return ThreadsafeSession(self.send)

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until the client has read everything enqueued so far.

        The client answers a WebSocket ping that is sent after it. Raises CallTimeout after
        ``timeout`` seconds, ConnectionClosed. Cancelled: nothing is undone.
        """
        if timeout is None:
            return await self._connection.flush()
        with self._rt.move_on_after(timeout):
            return await self._connection.flush()
        raise CallTimeout(f"{self.peer} has not read everything within {timeout:g} s")

    # ---- receiving

    async def recv(self, timeout: float | None = None) -> ClientEvent:
        """Wait for the next event; handlers see it as well.

        Until the first call, the newest 1,024 events are kept and older ones are dropped. Raises
        RecvTimeout after ``timeout`` seconds, ConnectionClosed at the end. Cancelled: nothing has
        been taken.
        """
        if timeout is None:
            return await self._receiver.recv()
        return await self._receiver.recv_within(timeout)

    def recv_nowait(self) -> ClientEvent:
        """The next event, if it is there. Raises InboxEmpty if not, else as `recv`."""
        return self._receiver.recv_nowait()

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, ClientEvent]:
        """As `recv`, but ends on a normal close: code 1000 or 1001."""
        return self._receiver.recv(iterating=True)

    async def till(self, etype: str, timeout: float | None = None) -> ClientEvent:
        """The next event of a type from this client; ``till("INIT")`` is that of its opening.

        Raises CallTimeout after ``timeout`` seconds, ConnectionClosed at the end. Cancelled:
        nothing stays behind.
        """
        if not isinstance(etype, str):
            raise TypeError(must_be("etype", "a str, 'CAMERA_MOVE'", etype))
        if etype == "INIT" and self._dispatcher.init is not None:
            # Not a full checkpoint: a program that begins with this is still in its first step.
            await self._rt.checkpoint_if_cancelled()
            return self._dispatcher.init
        self._check_open()
        with self._dispatcher.waiting.till(etype) as call:
            if timeout is None:
                return await call.wait()
            with self._rt.move_on_after(timeout):
                return await call.wait()
        raise CallTimeout(f"no {etype} from {self.peer} within {timeout:g} s")

    def observe(self, fn: Observer) -> Callable[[], None]:
        """Call ``fn(direction, messages)`` for all that is on the wire: payloads, in order.

        ``direction`` is "received", when they are read, or "sent", just before they are written.
        The INIT that opened the session comes first, now, if it has been read; in the first step of
        a `Vuer.spawn` function, so does what was read after it. ``fn`` is sync, and must neither
        wait nor keep the sequence. What it raises is logged. Returns a function that removes
        ``fn``; calling it twice is harmless.
        """
        init, early = self._dispatcher.init, self._dispatcher.early
        if init is not None:
            call_observer(fn, "received", early or (make_encoder()(init.to_wire()),))
        return add_observer(self._connection.observers, fn)

    # ---- requests

    async def rpc(self, event: ServerRPC, ttl: float | None = 2.0) -> ClientEvent:
        """Send a request, and wait for this client's reply: the event of type ``event.rtype``.

        Raises CallTimeout after ``ttl`` seconds (None: never), EncodeError, ConnectionClosed.
        Cancelled: nothing stays behind; the request may have been sent.
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
        """Enqueue it before anything else runs, if there is room: in the order of the calls."""
        await self._rt.checkpoint_if_cancelled()
        if self._has_room:
            self.send @ event
        else:
            await self.send(event)

    async def grab_render(
        self, ttl: float | None = 2.0, *, key: str = "DEFAULT", **options: Any
    ) -> ClientEvent:
        """An image of the client's canvas: ``.value["frame"]`` is a JPEG's bytes.

        The scene must contain a ``GrabRender(key=...)`` element, or there is no answer. ``quality``
        (0 to 1) and ``downsample`` are the client's options. Raises as `rpc`.
        """
        return await self.rpc(GrabRender(key=key, **options), ttl)

    async def get_webxr_mesh(
        self, key: str = "webxr-mesh", ttl: float | None = 2.0, **options: Any
    ) -> ClientEvent:
        """What an AR headset has detected: ``.value["meshes"]``. Raises as `rpc`.

        The scene must contain a ``WebXRMesh`` element.
        """
        return await self.rpc(GetWebXRMesh(key=key, **options), ttl)

    def _check_open(self) -> None:
        """What the box says, before anybody waits for a reply that cannot come."""
        self._connection.home.check_loop()
        if self._connection.outbox.closed is not None:
            raise renew(self._connection.outbox.closed)

    # ---- tasks

    def start_soon(self, fn: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Run ``await fn(*args)`` in the session. What it raises ends the session with 1011.

        Raises ConnectionClosed, or ClientClosed, when the session has ended.
        """
        check_function("start_soon", fn)
        self._tasks.start_soon(guarded, self, self._rt, fn, *args)

    async def start(self, fn: Callable[..., Awaitable[object]], *args: Any) -> Any:
        """As `start_soon`, and wait until ``fn`` calls ``task_status.started(value)``.

        What it raises before that is raised here; after it, it ends the session with 1011.
        Raises ConnectionClosed, or ClientClosed, when the session has ended.
        """
        check_function("start", fn)
        value = await self._tasks.start(guarded, self, self._rt, fn, *args)
        if isinstance(value, NotStarted):
            value.throw()
        return value

    def spawn_task(
        self, fn: Callable[..., Awaitable[object]] | Coroutine[Any, Any, object], *args: Any
    ) -> SessionTask:
        """Run ``await fn(*args)``, or a coroutine, in a task of the session that can be cancelled.

        What it raises is logged, and ends only the task. Raises ConnectionClosed, or ClientClosed,
        when the session has ended.
        """
        self._connection.home.check()
        task = SessionTask(self, self._rt, fn, args)
        try:
            self._tasks.start_soon(task.run)
        except VuerError:
            task.drop()
            raise
        return task

    async def forever(self) -> NoReturn:
        """Wait until cancelled with the session; ConnectionClosed after its end."""
        await self._gone.wait()
        raise self._gone_error()

    # ---- its life, as the server sees it

    def _begin(self, nursery: Nursery, *, hold: bool, hold_at_init: bool) -> None:
        """Everything of the session is to run in ``nursery``.

        Handlers wait for `program_begins` from now on, or from INIT on.
        """
        self._nursery = nursery
        self._dispatcher.start(nursery)
        self._dispatcher.holds_at_init = hold_at_init
        if hold:
            self._dispatcher.hold()

    def _program_begins(self) -> None:
        """Its first step is this one, up to its first wait; or there is no program."""
        self._dispatcher.release()

    def _on_init(self, fn: Callable[[], None]) -> None:
        """``fn()`` is to be called when its INIT has been read."""
        self._dispatcher.on_init = fn

    def _lost(self, error: VuerError) -> None:
        """The connection has ended with ``error``: no reply can come."""
        self._dispatcher.waiting.fail(error)

    async def _finish(self) -> None:
        """Wait until every event that was read has been handled."""
        await self._dispatcher.finish()

    def _stop(self) -> None:
        """Its tasks have ended, and no more may start."""
        self._over = True

    def _end(self) -> None:
        """Nothing of it is left."""
        self._gone.set()

    def _abort(self) -> None:
        """End it at once. What is enqueued is offered to the system, without waiting."""
        self._connection.abort()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    @property
    def _has_room(self) -> bool:
        """Whether an event can be enqueued without waiting."""
        return self._connection.outbox.has_room

    @property
    def _kept(self) -> int:
        """Bytes that it keeps beside the messages in its boxes."""
        return self._dispatcher.kept

    # ---- closing

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Send what is enqueued, close, wait for the client's answer, and end the session.

        It may be called inside the session: the close is sent before the caller is cancelled.
        Raises ConnectionClosed with the number of messages that could not be sent. Cancelled:
        leaves at once. Raises ValueError and TypeError for an invalid code or reason, and stays
        open.
        """
        check_close(code, reason)
        try:
            await self._connection.aclose(code, reason)
        finally:
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()
        await self._rt.checkpoint()

    close = aclose
