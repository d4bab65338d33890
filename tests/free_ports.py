"""Ports for programs that cannot take any free one, or that are to come back at the same."""

from __future__ import annotations

import socket

__all__ = ["free_port"]

#: bound, and not listening: a program that is given the port takes it all the same, as servers
#: reuse addresses, and the system gives it to nobody who asks for any
_KEPT: list[socket.socket] = []


def free_port(host: str = "127.0.0.1") -> int:
    """A port at which nobody listens. No other test and no connection gets it, as long as this
    process runs, and connections to it are refused."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind((host, 0))
    _KEPT.append(kept)
    return int(kept.getsockname()[1])
