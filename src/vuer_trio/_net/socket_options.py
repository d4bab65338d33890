"""What a connected TCP socket of ours is set to, on both runtimes and below TLS."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

__all__ = ["long_write", "prepare_socket"]

#: bytes that the system takes beyond what is on its way: what waits longer is to wait in an outbox,
#: where it can still be replaced. On 20 Mbit/s it is 7 ms; more makes a local line no faster.
_NOT_SENT: Final = 16_384
_UNBOUNDED: Final = 0x7FFF_FFFF
#: bytes of the send buffer where the system cannot tell the two apart
_BUFFER: Final = 262_144
_LOWAT: Final[int | None] = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # Linux, macOS


def prepare_socket(sock: Any) -> None:
    """Small messages go at once, and little lies in the system's buffer. Not TCP: nothing."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if _LOWAT is not None:
        _bound(sock, _NOT_SENT)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)


@contextmanager
def long_write(sock: Any) -> Iterator[None]:
    """Let the system take more during the block, in which all but the last of long messages is
    written: the bound would cost a third of the rate on a local line, and gain nothing."""
    tcp = sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6)
    if tcp:
        _bound(sock, _UNBOUNDED)
    try:
        yield
    finally:
        if tcp:
            _bound(sock, _NOT_SENT)


def _bound(sock: Any, size: int) -> None:
    if _LOWAT is not None:
        with suppress(OSError):  # a kernel that does not know it, or a socket that is closed
            sock.setsockopt(socket.IPPROTO_TCP, _LOWAT, size)
