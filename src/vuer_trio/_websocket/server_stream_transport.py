"""A WebSocket server's connection on a sans-I/O protocol, over any byte stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .._interrupts import protected_methods
from .frames import BINARY, FIRST, SERVER, server_header
from .stream_transport import LAST, LONG, StreamTransport
from .transport import LARGE, Outgoing, Prepared

__all__ = ["ServerStreamTransport"]

_PREPARED = frozenset({Prepared})


@protected_methods
class ServerStreamTransport(StreamTransport):
    """Of a stream on which the opening handshake is done. Nothing is compressed."""

    _role = SERVER

    def _framed(
        self, out: list[bytes], batch: Sequence[Outgoing], total: int
    ) -> Iterator[bytes | memoryview]:
        if total < LARGE and _PREPARED.issuperset(map(type, batch)):
            out += batch  # as after broadcasts, in one step
            yield b"".join(out)
            return
        for payload in batch:
            kind = type(payload)
            if kind is not Prepared:
                out.append(server_header(FIRST.get(kind, BINARY), len(payload)))
            if len(payload) < LARGE:
                out.append(payload)
            else:  # not joined
                yield b"".join(out)
                out.clear()
                last: bytes | memoryview = payload
                if len(payload) > LONG:
                    view = memoryview(payload)
                    yield view[:-LAST]
                    last = view[-LAST:]
                yield last
        yield b"".join(out)
