"""The protocol of the ``trio-websocket`` package, which every install has on Trio.

The package does its own I/O, from tasks of its own. Here it reads from and writes to a stream in
memory, so the transport drives it as it drives a sans-I/O library; but it takes its time, and is
`busy` until all that it got has been dealt with. Cancelling a write of its own would cut a frame;
here nothing that it writes can be cut.

What the package leaves to its users, and is seen to here: its reader raises into the nursery when
something fails, it tells nobody of a pong but who called its ``ping()``, where a lost connection
leaves that waiting, it reports a protocol error by the peer as a close frame from the peer, it
counts a text by its characters, and it can offer no extension.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import suppress
from enum import Flag, auto
from typing import TYPE_CHECKING, Any, NoReturn

import trio
import trio_websocket as package
from wsproto import WSConnection
from wsproto.connection import Connection, ConnectionType
from wsproto.events import Event

from .._failures import first_leaf
from .._interrupts import protected_methods
from .._net.rejection import Rejected
from .frames import CLIENT, CLOSE, PING, PONG, SERVER, Role, apply_mask, close_payload, whole_size
from .protocol import Request
from .transport import CloseInfo, Message, Sink, Text
from .wsproto_protocol import WsprotoServerProtocol

if TYPE_CHECKING:
    from .._async_types import Nursery

__all__ = ["TrioWebSocketClientProtocol", "TrioWebSocketServerProtocol"]


class _Close(Flag):
    """What of the end has come."""

    NOTHING = 0
    OURS = auto()  # the package closes because `close` was called, and waits for an answer
    FRAME = auto()  # a close frame has been written: nothing may follow it


#: fragments of a message that are joined before it is whole
_PARTS = 1024


def _is_of_others(record: logging.LogRecord) -> bool:
    """Whether a line of the package's log is of a connection that is not ours: of ours it would
    show what a peer gave as its reason, as it is, and the payloads of pings."""
    args = record.args
    socket = args[0] if isinstance(args, tuple) and args else None
    return not isinstance(getattr(socket, "_stream", None), _MemoryStream)


logging.getLogger("trio-websocket").addFilter(_is_of_others)


@protected_methods
class _MemoryStream(trio.abc.Stream):
    """What the package takes for its connection. ``write`` gets what it writes, frame by frame."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._data = b""  # for the package to read
        self._given = trio.Event()
        #: the package has dealt with all that it was given, or never will
        self.idle = trio.Event()
        self.closed = False

    def give(self, data: bytes) -> None:
        """More for the package to read."""
        if not self.closed:
            self._data += data
            if self.idle.is_set():
                self.idle = trio.Event()
            self._given.set()

    def close(self) -> None:
        self.closed = True
        self.idle.set()
        self._given.set()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if not self._data:
            await trio.lowlevel.checkpoint()  # whom the package has woken runs before it is idle
        while not (self._data or self.closed):
            self._given = trio.Event()
            self.idle.set()
            await self._given.wait()
        if self.closed:
            raise trio.ClosedResourceError
        data, self._data = self._data, b""
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.closed:
            raise trio.ClosedResourceError
        self._write(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        self.close()


@protected_methods
class TrioWebSocketProtocol(ABC):
    """See `WebSocketProtocol`. ``nursery`` carries the package's tasks, and nothing is raised into
    it."""

    name = "trio-websocket"
    compressed = False
    _role: Role = CLIENT

    def __init__(self, nursery: Nursery, sink: Sink, max_size: int) -> None:
        self.messages: list[Message] = []
        self.pongs: list[bytes] = []
        self.out: list[bytes] = []
        self.close_info: CloseInfo | None = None
        self.busy = False
        self._nursery = nursery
        self._sink = sink
        self._max_size = max_size
        self._stream = _MemoryStream(self._written)
        self._scope = trio.CancelScope()
        self._socket: Any = None  # the package's WebSocketConnection, once it is open
        self._settled = trio.Event()  # the handshake came to something
        self._begun = False
        self._owed = 0  # bytes of a frame that the package has the beginning of
        self._failure: BaseException | None = None
        self._close_state = _Close.NOTHING
        self._said: CloseInfo | None = None  # what `close` was called with
        self._reason: Any = None  # the package's, of a close that we did not ask for
        self._parts: list[Any] = []  # of a message in fragments, the package's
        self._joined = 0  # of these: they are `_PARTS` fragments each

    # ---- the package's tasks

    def _begin(self) -> None:
        """Start them, once."""
        if not self._begun:
            self._begun = True
            self._nursery.start_soon(self._host)

    @abstractmethod
    async def _handshake(self, tasks: trio.Nursery) -> Any:
        """The package's connection, open."""

    async def _host(self) -> None:
        """Carry the package's tasks, and turn what they raise into state."""
        try:
            with self._scope:
                async with trio.open_nursery() as tasks:
                    self._socket = await self._handshake(tasks)
                    self._settled.set()
                    with suppress(package.ConnectionClosed):
                        while True:
                            self._received(await self._socket.get_message())
        except* Exception as group:
            self._failure = first_leaf(group)
        finally:
            self._stream.close()
            self._settled.set()

    async def _refuse(self) -> NoReturn:
        self._scope.cancel()
        await self._settled.wait()
        exc = self._failure
        raise Rejected(f"the handshake failed: {exc or 'cancelled'}", cause=exc)

    # ---- reading

    @property
    def buffered(self) -> int:
        size: int = getattr(self._socket, "_message_size", 0)  # the package tells nobody
        return size

    def receive(self, data: bytes) -> bool:
        self._begin()
        first = 0 if self._owed else data[0]
        self._owed = max(0, (self._owed or whole_size(data)) - len(data))
        if first == PING and _Close.OURS in self._close_state:
            return True  # it would fail at one that comes before the answer to our close frame
        if first == PONG:
            self._hear_pong(data)
        self._join_parts()
        self._stream.give(data)
        self.busy = True
        return True

    def _hear_pong(self, data: bytes) -> None:
        masked, size = divmod(data[1], 0x80)
        if masked == self._role.is_server and size < 126:
            self.pongs.append(apply_mask(data[6:], data[2:6]) if masked else data[2:])

    async def settle(self) -> None:
        if not self._stream.idle.is_set():
            await self._stream.idle.wait()
        if self._socket is None:
            await self._refuse()
        self.busy = False
        if self.close_info is None:
            self._find_end()

    def _received(self, message: str | bytes) -> None:
        payload = Text(message.encode()) if isinstance(message, str) else message
        if len(payload) > self._max_size:
            self.fail(1009, self._limit)
        elif self.close_info is None:
            self.messages.append(payload)

    @property
    def _limit(self) -> str:
        return f"a message is over max_size, {self._max_size:,} bytes"

    def _join_parts(self) -> None:
        """The package keeps each fragment of a message by itself, and empty ones forever: a list
        of the smallest is a hundred times as large as they are."""
        parts: list[Any] | None = getattr(self._socket, "_message_parts", None)
        if parts is None or len(parts) < _PARTS:
            return
        if parts is not self._parts:
            self._parts, self._joined = parts, 0
        if len(parts) - self._joined >= _PARTS:
            rest = parts[self._joined :]
            parts[self._joined :] = [rest[0][:0].join(rest)]  # of text or of bytes
            self._joined += 1

    # ---- writing

    def _written(self, data: bytes) -> None:
        """Whole frames: the package writes each at once."""
        if _Close.FRAME in self._close_state:
            return
        self.out.append(data)
        if data[0] == CLOSE:
            self._close_state |= _Close.FRAME
            if self._socket is not None and _Close.OURS not in self._close_state:
                self._reason = self._socket.closed  # it reads on, and may find another
            self._sink.wake_writer()

    def encode(self, payload: bytes) -> bytes:
        # A transport asks for this only where `compressed` is true, and here it never is.
        raise NotImplementedError("nothing is compressed here")

    # ---- the end

    def _find_end(self) -> None:
        """Whether the package has come to an end, and to which."""
        closed, state = self._reason or self._socket.closed, self._close_state
        code, reason = (1006, "") if closed is None else (int(closed.code), closed.reason or "")
        if self._failure is not None and self._reason is None:
            # At something too large that comes before the answer to our close frame, for one.
            lost = CloseInfo("loss", 1006, str(self._failure), self._failure)
            self.close_info = self._said or lost
        elif closed is None or (_Close.OURS in state and not self._stream.closed):
            return  # a local close shows at once, and closes the stream when it is answered
        elif code == 1009 and reason == f"Exceeded maximum message size: {self._max_size} bytes":
            self.close_info = CloseInfo("us", code, self._limit)
        elif _Close.FRAME not in state:
            # A protocol error by the peer: the package shows it as a close, and sends nothing.
            self.fail(code, reason)
        else:
            self.close_info = CloseInfo("peer", code, reason)

    def close(self, code: int, reason: str) -> None:
        if self._said is None and not self._stream.closed:
            self._said = CloseInfo("us", code, reason)
            self._begin()
            self._nursery.start_soon(self._close, code, reason)

    async def _close(self, code: int, reason: str) -> None:
        while not self._stream.idle.is_set():  # it would fail at a ping in its hands
            await self._stream.idle.wait()
        if self._socket.closed is None and _Close.FRAME not in self._close_state:
            self._close_state |= _Close.OURS
            await self._socket.aclose(code, reason or None)

    def fail(self, code: int, reason: str) -> None:
        if self.close_info is None:
            self.close_info = CloseInfo("us", code, reason)
            self._written(self._role.frame(close_payload(code, reason), CLOSE))


@protected_methods
class TrioWebSocketClientProtocol(TrioWebSocketProtocol):
    """See `ClientProtocol`. `start` it first."""

    def __init__(self, nursery: Nursery, sink: Sink, request: Request) -> None:
        super().__init__(nursery, sink, request.max_size)
        self._request = request
        self._host_header, self._fields = request.fields()

    async def start(self) -> None:
        """Bring the package to where it waits for the peer. Raises Rejected."""
        self._begin()
        await self._stream.idle.wait()
        if self._stream.closed:
            await self._refuse()

    def stop(self) -> None:
        """End the package's tasks."""
        self._scope.cancel()

    async def _handshake(self, tasks: trio.Nursery) -> Any:
        return await package.wrap_client_stream(
            tasks,
            # Annotated as one of two classes of Trio's, of which it calls what any stream has.
            self._stream,  # type: ignore[arg-type]
            self._host_header,
            self._request.address.resource,
            subprotocols=self._request.subprotocols,
            extra_headers=self._fields,
            message_queue_size=0,
            max_message_size=self._max_size,
        )

    @property
    def subprotocol(self) -> str | None:
        name: str | None = self._socket.subprotocol
        return name

    def request(self) -> bytes:
        out, self.out = self.out, []
        return b"".join(out)

    def receive_head(self, head: bytes) -> None:
        self._stream.give(head)


class _OpenConnection(WSConnection):
    """Of a server that has done the handshake. One without that: the package's own would be parsed
    by h11 for nothing, and kept."""

    def __init__(self) -> None:
        self.client = False
        self.connection: Connection = Connection(ConnectionType.SERVER)

    def events(self) -> Generator[Event, None, None]:
        return self.connection.events()


@protected_methods
class TrioWebSocketServerProtocol(TrioWebSocketProtocol):
    """The server's; open from the beginning.

    Most connections have only whole binary messages and control frames: the package gets to work
    with the first frame of another kind.
    """

    _role = SERVER
    subprotocol: str | None = None

    async def _handshake(self, tasks: trio.Nursery) -> Any:
        socket = package.WebSocketConnection(
            self._stream,
            _OpenConnection(),
            message_queue_size=0,
            max_message_size=self._max_size,
        )
        tasks.start_soon(socket._reader_task)  # what `wrap_server_stream` does
        return socket

    def receive(self, data: bytes) -> bool:
        if self._begun or data[0] not in (PING, PONG, CLOSE) or whole_size(data) != len(data):
            return super().receive(data)
        # By wsproto, to which the package leaves it as well, but without its tasks: they are a
        # fifth of what a connection costs that has little to say, and a third of its memory.
        control = WsprotoServerProtocol(self._max_size)
        control.receive(data)
        for reply in control.out:
            self._written(reply)
        self.pongs += control.pongs
        if control.close_info is None:
            return True
        self.close_info = self.close_info or control.close_info
        self._stream.close()
        return False
