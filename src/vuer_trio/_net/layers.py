"""What lies over the byte streams of this process. For tests: usually nothing does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from .byte_stream import ByteStream

__all__ = ["layer_over_all", "layered"]

Layer = Callable[[ByteStream], ByteStream]

_layers: Final[list[Layer]] = []


@contextmanager
def layer_over_all(layer: Layer) -> Iterator[None]:
    """In the block, each new stream becomes what ``layer`` makes of it: below TLS, in every
    thread."""
    _layers.append(layer)
    try:
        yield
    finally:
        _layers.remove(layer)


def layered(stream: ByteStream) -> ByteStream:
    """A new stream, with what lies over it."""
    for layer in _layers:
        stream = layer(stream)
    return stream
