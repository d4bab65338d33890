"""One HTTP request and its answer, passed on by a proxy as they arrive."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import h11

from .._connection.checkpoints import CheckpointThrottle
from .._formatting import without_bytes
from .._interrupts import protected_methods
from .._net.byte_stream import ByteStream
from .._net.http_request import LIMIT, BadRequest
from .._nursery import open_plain_nursery
from .._runtime import Runtime
from .early_bytes import EarlyBytes
from .headers import Fields, passed_on, request_fields
from .upstream import Unreachable

if TYPE_CHECKING:
    from .._async_types import CancelScope
    from .._net.http_request import HttpRequest

__all__ = ["Exchange", "Switched"]

log: logging.Logger = logging.getLogger("vuer_trio.proxy")

_SWITCHING = 101
#: seconds that the server behind may be silent before it has answered; and for a WebSocket
_SILENCE, _SILENT_OPENING = 600.0, 30.0


class Switched(NamedTuple):
    """Both sides speak WebSocket from now on. Holds what they have sent already."""

    by_client: bytes
    by_server: bytes


@protected_methods
class Exchange:
    """``down`` is the client's stream, whose request has been read, and ``early`` behind it; ``up``
    is a new one to the server behind. ``more`` are headers of the answer that it may lack.

    Neither body is kept: each piece goes on before the next one is read. ``stall_timeout`` is for
    one piece, in seconds.
    """

    def __init__(
        self,
        rt: Runtime,
        request: HttpRequest,
        down: ByteStream,
        early: EarlyBytes,
        up: ByteStream,
        *,
        peer_host: str | None,
        secure: bool,
        own: Fields,
        server: str,
        more: Fields,
        stall_timeout: float,
    ) -> None:
        self._rt = rt
        self._request = request
        self._down, self._up = down, up
        self._early = early
        self._more = more
        self._stall_timeout = stall_timeout
        self._websocket = "websocket" in request.tokens("upgrade")
        self._client = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMIT)
        self._server = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT)
        self._fields = request_fields(request, peer_host, secure=secure, own=own, server=server)
        self._silence = _SILENT_OPENING if self._websocket else _SILENCE
        # What comes may be in many small pieces, and a write need not wait.
        self._upward, self._downward = CheckpointThrottle(rt), CheckpointThrottle(rt)
        self._fault: str | None = None  # of the client's request
        #: whether the client has got the head of an answer
        self.begun: bool = False

    async def run(self) -> Switched | None:
        """Pass the request on, and the answer back; None when both are done.

        Raises Unreachable when the server behind has not answered, BadRequest when the client's
        body is not HTTP, and OSError when a stream breaks or the client leaves before its WebSocket
        is open. Cancelled: the answer is cut.
        """
        self._read_head()
        await self._send_head()
        switched = None
        async with open_plain_nursery(self._rt) as nursery:
            upward = self._early.read if self._websocket else self._send_body
            nursery.start_soon(upward, nursery.cancel_scope)
            switched = await self._answer()
            nursery.cancel_scope.cancel()
        if switched:
            return Switched(self._early.data, self._server.trailing_data[0])
        if switched is None and self._early.at_end:
            raise ConnectionAbortedError("the client has left")
        if not self.begun:
            raise BadRequest(400, self._fault or "the request is not whole")
        return None

    # ---- the request

    def _read_head(self) -> None:
        """Have the parser of the client's side where the stream is."""
        request = self._request
        lines = [f"{request.method} {request.target} HTTP/{request.version}"]
        # What else it has asked of the connection is refused, see `passed_on`.
        lines += [f"{n}: {v}" for n, v in request.headers if self._websocket or n != "upgrade"]
        self._client.receive_data("\r\n".join([*lines, "", ""]).encode("latin-1"))
        self._client.next_event()
        if self._early.data and not self._websocket:
            self._client.receive_data(self._early.data)

    async def _send_head(self) -> None:
        request = self._request
        head = h11.Request(
            method=request.method.encode("ascii"),
            target=request.target.encode("ascii"),
            headers=_encoded(self._fields),
        )
        data = self._server.send(head) or b""
        if self._websocket:
            data += self._server.send(h11.EndOfMessage()) or b""
        try:
            await self._write(self._up, data)
        except OSError as exc:
            raise Unreachable("the server has closed the stream before it answered") from exc

    async def _send_body(self, scope: CancelScope) -> None:
        try:
            while await self._pass_on():
                if perf_counter() >= self._upward.due:
                    await self._upward.turn()
        except h11.ProtocolError as exc:
            self._fault = without_bytes(exc)
            scope.cancel()
        except OSError as exc:
            # What it has answered may still be there to be read.
            log.debug("a request was not read to its end: %s", exc)

    async def _pass_on(self) -> bool:
        """One event of the client's; whether there is more."""
        event = self._client.next_event()
        if event is h11.NEED_DATA:
            self._client.receive_data(bytes(await self._down.receive()))
            return True
        if isinstance(event, h11.Data):
            await self._write(self._up, self._server.send(event) or b"")
            return True
        if isinstance(event, h11.EndOfMessage):
            # Trailers are left out: nobody has agreed to them.
            await self._write(self._up, self._server.send(h11.EndOfMessage()) or b"")
        return False

    # ---- the answer

    async def _answer(self) -> bool:
        """Whether both sides speak WebSocket from now on."""
        try:
            while (event := await self._next_event()) is not None:
                if perf_counter() >= self._downward.due:
                    await self._downward.turn()
                if isinstance(event, h11.InformationalResponse):
                    if await self._inform(event):
                        return True
                elif isinstance(event, h11.Response):
                    await self._begin(event)
                elif isinstance(event, h11.Data):
                    await self._write(self._down, self._client.send(event) or b"")
                else:
                    await self._write(self._down, self._client.send(h11.EndOfMessage()) or b"")
                    break
        except h11.ProtocolError as exc:
            if not self.begun:
                raise Unreachable("what the server answers is not HTTP, or not whole") from exc
            raise ConnectionAbortedError("the server's answer was cut off") from exc
        return False

    async def _next_event(self) -> Any:
        while (event := self._server.next_event()) is h11.NEED_DATA:
            data = None
            with self._rt.move_on_after(self._silence):
                try:
                    data = bytes(await self._up.receive())
                except OSError as exc:
                    if not self.begun:
                        raise Unreachable(f"the server has broken off: {exc}") from exc
                    raise
            if data is None:
                raise Unreachable(f"the server has been silent for {self._silence:g} s")
            if not data and not self.begun and not self._server.trailing_data[0]:
                raise Unreachable("the server has closed the stream before it answered")
            self._server.receive_data(data)
        return event

    async def _inform(self, event: h11.InformationalResponse) -> bool:
        switching = event.status_code == _SWITCHING
        if self._request.version == "1.0" and not switching:
            return False  # it would take it for the answer (RFC 9110 §15.2)
        fields = passed_on(_decoded(event))
        if switching:
            fields += _SWITCH
            while type(self._client.next_event()) is h11.EndOfMessage:
                pass
        told = h11.InformationalResponse(
            status_code=event.status_code, headers=_encoded(fields), reason=event.reason
        )
        data = self._client.send(told) or b""
        self.begun = self.begun or switching
        await self._write(self._down, data)
        return switching

    async def _begin(self, event: h11.Response) -> None:
        fields = passed_on(_decoded(event))
        names = {name for name, _ in fields}
        # What the server says itself counts.
        fields += [field for field in self._more if field[0] not in names]
        fields.append(("connection", "close"))
        head = h11.Response(
            status_code=event.status_code, headers=_encoded(fields), reason=event.reason
        )
        data = self._client.send(head) or b""
        self.begun = True
        await self._write(self._down, data)

    async def _write(self, stream: ByteStream, data: bytes) -> None:
        if not data:
            return
        with self._rt.move_on_after(self._stall_timeout):
            return await stream.send_all(data)
        raise TimeoutError(f"nothing was taken for {self._stall_timeout:g} s")


_SWITCH = (("upgrade", "websocket"), ("connection", "Upgrade"))


def _encoded(fields: Fields) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields]


def _decoded(event: h11.Response | h11.InformationalResponse) -> list[tuple[str, str]]:
    return [(name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers]
