"""The HTTP request at the beginning of a stream: read with a limit, parsed by h11."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import h11

from .._formatting import shown, without_bytes
from .byte_stream import ByteStream

__all__ = ["BadRequest", "HttpRequest", "read_body", "read_request"]

#: bytes of a request's head
LIMIT = 65_536


class BadRequest(Exception):
    """What was received can only be answered with ``status``."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True, repr=False)
class HttpRequest:
    """The head of a request.

    ``target`` is path and query as they were sent, in ASCII; the names of ``headers`` are
    lower-case, their values decoded as Latin-1.
    """

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    version: str = "1.1"
    _joined: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.headers:
            before = self._joined.get(name)
            self._joined[name] = value if before is None else f"{before}, {value}"

    def __repr__(self) -> str:
        return f"<HttpRequest {shown(self.method, 20)}>"  # target and headers may hold tokens

    def header(self, name: str) -> str | None:
        """The value of a header in any case; of one that came more than once, all, joined by
        ", " (RFC 9110 §5.3)."""
        return self._joined.get(name.lower())

    def tokens(self, name: str) -> set[str]:
        """The members of a header that is a list, in lower case."""
        value = self.header(name) or ""
        return {token.strip().lower() for token in value.split(",") if token.strip()}


async def read_request(stream: ByteStream) -> tuple[HttpRequest, bytes]:
    """The request, and the bytes that came behind its head.

    Raises BadRequest, and OSError when the stream ends first. Cancelled: bytes may be lost.
    """
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMIT)
    received = 0
    try:
        while (event := http.next_event()) is h11.NEED_DATA:
            data = bytes(await stream.receive())
            if not data:
                raise ConnectionResetError("the peer left before its request was whole")
            received += len(data)
            http.receive_data(data)
    except h11.RemoteProtocolError as exc:
        raise BadRequest(exc.error_status_hint, without_bytes(exc)) from None
    assert isinstance(event, h11.Request)
    early = http.trailing_data[0]
    if received - len(early) > LIMIT:
        raise BadRequest(431, f"the head is over {LIMIT:,} bytes")
    version = event.http_version.decode()
    if version not in ("1.0", "1.1"):
        raise BadRequest(505, f"HTTP {version} is not spoken here")
    headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers]
    method, target = event.method.decode("ascii"), event.target.decode("ascii")
    return HttpRequest(method, target, headers, version), early


async def read_body(stream: ByteStream, request: HttpRequest, early: bytes, limit: int) -> bytes:
    """The body of a request whose head has been read; ``early`` came with the head.

    Raises BadRequest (413 over ``limit`` bytes), and OSError when the stream ends first.
    Cancelled: bytes may be lost.
    """
    http = h11.Connection(h11.SERVER)
    lines = [f"{request.method} {request.target} HTTP/{request.version}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    body = bytearray()
    try:
        http.receive_data("\r\n".join([*lines, "", ""]).encode("latin-1"))
        http.next_event()
        if early:
            http.receive_data(early)
        while type(event := http.next_event()) is not h11.EndOfMessage:
            if type(event) is h11.Data:
                body += event.data
                if len(body) > limit:
                    raise BadRequest(413, f"the body is over {limit:,} bytes")
                continue
            if http.they_are_waiting_for_100_continue:
                status = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
                await stream.send_all(http.send(status) or b"")
            data = bytes(await stream.receive())
            if not data:
                raise ConnectionResetError("the peer left before its request was whole")
            http.receive_data(data)
    except h11.RemoteProtocolError as exc:
        raise BadRequest(exc.error_status_hint, without_bytes(exc)) from None
    return bytes(body)
