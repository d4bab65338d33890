"""The reply to a request for a WebSocket, or for a tunnel: read, bounded, checked.

It is read here and not by a protocol library, so that every transport behaves in the same way: the
status line alone decides whether a reply is final; interim replies are skipped; lines may end with
LF alone and be folded (RFC 9112 §2.2, §5.2). A library then gets a reply with only what it has to
check.
"""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import suppress
from hashlib import sha1
from http import HTTPStatus

from .._runtime import runtime
from .byte_stream import ByteStream
from .rejection import GUID, Rejected

__all__ = ["Reply", "ReplyParser", "plain_switching", "read_reply"]

#: bytes of all heads together
_HEAD = 65_536
#: interim replies before the one that counts
_INTERIM = 16
#: bytes, and seconds, of a refusal's body that are waited for: it is only shown
_BODY = 4_096
_PATIENCE = 0.25
#: characters of a body that are shown
_SHOWN = 200

_STATUS = re.compile(rb"HTTP/(\d)\.(\d) ([1-9]\d\d)(?: ([^\r]*))?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SWITCHING = 101


class Reply:
    """What is known about a reply so far.

    ``status`` None: its status line has not arrived yet. ``fields`` have lower-case names, and
    values as Latin-1. ``fault`` is what is wrong with its head; ``rest`` is what came behind it.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.phrase = ""
        self.version = "1.1"
        self.fields: list[tuple[str, str]] = []
        self.fault: str | None = None
        self.whole = False  # the head is
        self.rest = bytearray()

    @property
    def interim(self) -> bool:
        """Whether another reply follows it."""
        return self.status is not None and self.status < 200 and self.status != _SWITCHING

    @property
    def redirects(self) -> bool:
        """Whether it may name another place to ask."""
        return self.status is not None and self.status // 100 == 3

    @property
    def line(self) -> str:
        """Status and phrase, as they are shown."""
        phrase = self.phrase
        if not phrase:
            with suppress(ValueError):
                phrase = HTTPStatus(self.status or 0).phrase
        return f"HTTP {self.status} {phrase}".rstrip()

    def values(self, name: str) -> list[str]:
        """The values of all fields of that name."""
        return [value for other, value in self.fields if other == name]

    def tokens(self, name: str) -> set[str]:
        """The members of a field that is a list, in lower case."""
        members = ",".join(self.values(name)).split(",")
        return {member.strip().lower() for member in members} - {""}


class ReplyParser:
    """Bytes in, a `Reply` out. Sync, and owns no socket. ``who`` answers, in errors."""

    def __init__(self, who: str = "the server") -> None:
        self.reply = Reply()
        self._who = who
        self._line = bytearray()  # the beginning of one
        self._size = 0  # of all heads
        self._interim = 0

    def feed(self, data: bytes) -> None:
        """Some bytes. Raises Rejected for anything but a reply, as long as there is no status."""
        position = 0
        while not self.reply.whole and position < len(data):
            end = data.find(b"\n", position)
            stop = len(data) if end < 0 else end + 1
            self._line += data[position:stop]
            self._size += stop - position
            position = stop
            if self._size > _HEAD:
                return self._too_large()
            if end >= 0:
                line = bytes(self._line[:-1].removesuffix(b"\r"))
                self._line.clear()
                self._take(line)
            elif self.reply.status is None and self._line[:5] != b"HTTP/"[: len(self._line)]:
                raise self._no_http(bytes(self._line))
        self.reply.rest += data[position:]
        return None

    def _take(self, line: bytes) -> None:
        reply = self.reply
        if reply.status is None:
            self._begin(line)
        elif not line:
            if not reply.interim:
                reply.whole = True
                return
            self._interim += 1
            if self._interim > _INTERIM:
                raise Rejected(f"{self._who} sent more than {_INTERIM} interim replies")
            self.reply = Reply()
        elif line[:1] in (b" ", b"\t") and reply.fields:  # the line before it goes on
            last, before = reply.fields[-1]
            reply.fields[-1] = (last, f"{before} {_text(line)}".strip())
        else:
            name, colon, value = line.partition(b":")
            if not colon or not _NAME.fullmatch(name) or b"\r" in value or b"\0" in value:
                # Not shown: it may hold a cookie.
                reply.fault = f"line {len(reply.fields) + 2} of its head is not a header"
            else:
                reply.fields.append((name.decode("ascii").lower(), _text(value)))

    def _begin(self, line: bytes) -> None:
        found = _STATUS.fullmatch(line)
        if found is None:
            raise self._no_http(line)
        major, minor, status, phrase = found.groups()
        self.reply.version = f"{int(major)}.{int(minor)}"
        self.reply.status = int(status)
        self.reply.phrase = _text(phrase or b"")

    def _no_http(self, line: bytes) -> Rejected:
        shown = repr(bytes(line[:40]).decode("latin-1"))
        return Rejected(f"{self._who}'s answer is not HTTP: it begins with {shown}")

    def _too_large(self) -> None:
        if self.reply.status is None or self.reply.interim or self.reply.status == _SWITCHING:
            raise Rejected(f"{self._who}'s answer is not HTTP: its head is over {_HEAD:,} bytes")
        self.reply.fault = f"its head is over {_HEAD:,} bytes"
        self.reply.whole = True

    @property
    def body_ended(self) -> bool:
        """Whether nothing more of the body is to be read: it is here, or it is enough of it."""
        reply = self.reply
        if not reply.whole:
            return False
        if reply.status in (204, 304) or len(reply.rest) >= _BODY:
            return True
        if "transfer-encoding" in dict(reply.fields):
            return reply.rest.endswith(b"0\r\n\r\n")
        sizes = reply.values("content-length")
        return bool(sizes) and sizes[0].isdecimal() and len(reply.rest) >= int(sizes[0][:9])

    @property
    def body(self) -> str:
        """The beginning of the body, if it is text, as it is shown."""
        reply = self.reply
        data = bytes(reply.rest[:_BODY])
        if "content-encoding" in dict(reply.fields):
            return ""
        if "chunked" in reply.tokens("transfer-encoding"):
            data = _joined(data)
        elif sizes := reply.values("content-length"):
            data = data[: int(sizes[0][:9])] if sizes[0].isdecimal() else data
        return data[:_SHOWN].decode(errors="replace").strip()


def _text(value: bytes) -> str:
    return value.strip(b" \t").decode("latin-1")


def _joined(data: bytes) -> bytes:
    """The chunks that are here of a body (RFC 9112 §7.1)."""
    parts = []
    while data:
        size, _, data = data.partition(b"\n")
        try:
            length = int(size.partition(b";")[0], 16)
        except ValueError:
            break
        if length <= 0:
            break
        parts.append(data[:length])
        data = data[length:].lstrip(b"\r\n")
    return b"".join(parts)


async def read_reply(stream: ByteStream, who: str = "the server", *, tunnel: bool = False) -> Reply:
    """The reply that opens a WebSocket (101), or a ``tunnel`` (any 2xx).

    Raises Rejected, with the status as soon as there is one: the body of a refusal is awaited
    briefly, only to be shown, and well before the caller's deadline. Raises OSError when the stream
    breaks before that. Cancelled: bytes may be lost.
    """
    parser = ReplyParser(who)
    while True:
        data = bytes(await stream.receive())
        if not data:
            raise _ended(parser.reply, who)
        parser.feed(data)
        reply = parser.reply
        if reply.status is None or reply.interim:
            continue
        good = reply.status // 100 == 2 if tunnel else reply.status == _SWITCHING
        if not (good or reply.redirects):
            await _read_on(stream, parser)
            raise _refused(reply, who, parser.body)
        if reply.whole:
            if good:
                return reply
            # A proxy's is nobody's to follow.
            raise _refused(reply, who, location=None if tunnel else _location(reply))


async def _read_on(stream: ByteStream, parser: ReplyParser) -> None:
    """What of a refusal comes soon."""
    if parser.body_ended:
        return
    rt = runtime()
    # Past the deadline of the whole nobody would learn the status.
    left = rt.effective_deadline() - rt.current_time()
    with rt.move_on_after(max(0, min(_PATIENCE, left / 2))), suppress(OSError):
        while not parser.body_ended:
            data = bytes(await stream.receive())
            if not data:
                break
            parser.feed(data)


def _ended(reply: Reply, who: str) -> Rejected:
    if reply.status is None:
        return Rejected(f"{who} closed the stream before it answered")
    # Without its status: what was cut off may be whole next time.
    return Rejected(f"{who} closed the stream within its answer, {reply.line}")


def _location(reply: Reply) -> str:
    """Where it leads; nowhere, if it does not name one place."""
    locations = set(reply.values("location"))
    return locations.pop() if len(locations) == 1 else ""


def _refused(reply: Reply, who: str, body: str = "", location: str | None = None) -> Rejected:
    message = f"{who} answered {reply.line}" + (f": {body}" if body else "")
    return Rejected(message, status=reply.status, location=location)


def plain_switching(request: bytes, reply: Reply) -> bytes:
    """A reply with status 101, without what a library would reject, or ignore.

    Raises Rejected for one that does not answer ``request``.
    """

    def failed(what: str) -> Rejected:
        return Rejected(f"the handshake failed: {what}")

    if reply.version != "1.1":
        raise failed(f"the server answered in HTTP/{reply.version}, not in HTTP/1.1")
    if reply.fault is not None:
        raise failed(f"the server's answer is not HTTP: {reply.fault}")
    if "websocket" not in reply.tokens("upgrade"):
        raise failed("the server's answer has no Upgrade: websocket")
    if "upgrade" not in reply.tokens("connection"):
        raise failed("the server's answer has no Connection: Upgrade")
    accept = b64encode(sha1(_field(request, b"sec-websocket-key") + GUID).digest()).decode()
    told = reply.values("sec-websocket-accept")
    if not told:
        raise failed("the server's answer has no Sec-WebSocket-Accept; is it a WebSocket server?")
    if told != [accept]:
        raise failed(
            "the server's Sec-WebSocket-Accept does not match the key that was sent: the answer is "
            "to another request, perhaps out of a cache"
        )
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines.append(f"Sec-WebSocket-Accept: {accept}")
    chosen = reply.values("sec-websocket-protocol")
    offered = _field(request, b"sec-websocket-protocol").decode("latin-1").split(",")
    if len(chosen) > 1 or not set(chosen) <= {name.strip() for name in offered} - {""}:
        raise failed(f"the server chose the subprotocol {', '.join(chosen)!r}: it was not offered")
    lines += [f"Sec-WebSocket-Protocol: {name}" for name in chosen]
    extensions = ", ".join(filter(None, reply.values("sec-websocket-extensions")))
    if extensions:
        if not _field(request, b"sec-websocket-extensions"):
            raise failed(f"the server chose the extension {extensions!r}: none was offered")
        lines.append(f"Sec-WebSocket-Extensions: {extensions}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _field(request: bytes, name: bytes) -> bytes:
    """A field of a request of ours."""
    found = re.search(rb"\r\n" + re.escape(name) + rb":[ \t]*([^\r\n]*)", request, re.IGNORECASE)
    return found[1].rstrip() if found else b""
