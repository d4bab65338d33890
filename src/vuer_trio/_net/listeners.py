"""Sockets that listen."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

__all__ = ["bind", "prepared"]

_BACKLOG = 1024
#: of finding a port that is free on all addresses
_TRIES = 8
#: this machine has not got that address, or family
_ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
#: what to do, in words that suit an argument and an option of a command
_CURES = {
    errno.EADDRINUSE: "another program has that port; port 0 is any free one",
    errno.EADDRNOTAVAIL: "it is not an address of this machine; host 0.0.0.0 is all of them",
    errno.EACCES: "ports below 1024 are for root; port 8012 is not",
    socket.EAI_NONAME: "is the name of the host right?",
}

Resolve = Callable[[str | None, int], Awaitable[list[Any]]]


async def bind(host: str | None, port: int, resolve: Resolve) -> list[socket.socket]:
    """Listen on every address of ``host`` (None: of this machine), on one port.

    Raises OSError that names host and port, and says what to do; nothing is left open.
    """
    try:
        addresses = list(dict.fromkeys(await resolve(host or None, port)))
    except OSError as exc:
        raise _failure(exc, host, port) from exc
    for left in reversed(range(_TRIES)):
        try:
            return _bind_all(addresses, port)
        except OSError as exc:
            if port or exc.errno != errno.EADDRINUSE or not left:
                raise _failure(exc, host, port) from exc
    raise AssertionError("the last try raised or returned")


def prepared(listener: socket.socket) -> socket.socket:
    """A socket that somebody else has opened, to accept from; that one stays open."""
    own = listener.dup()
    own.setblocking(False)
    return own


def _failure(error: OSError, host: str | None, port: int) -> OSError:
    told = f"cannot listen on {host or 'any address'}, port {port}: {error.strerror}"
    cure = _CURES.get(error.errno or 0)
    return OSError(error.errno, told if cure is None else f"{told}: {cure}")


def _bind_all(addresses: list[Any], port: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, kind, protocol, _, address in addresses:
            try:
                listener = socket.socket(family, kind, protocol)
            except OSError as exc:
                if exc.errno not in _ABSENT:
                    raise
                absent = exc
                continue
            try:
                _listen(listener, (address[0], port, *address[2:]))
            except OSError as exc:
                listener.close()
                if exc.errno not in _ABSENT:
                    raise
                absent = exc
                continue
            listeners.append(listener)
            port = listener.getsockname()[1]
        if not listeners:
            raise absent or OSError(errno.EADDRNOTAVAIL, "no address")
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _listen(listener: socket.socket, address: Any) -> None:
    listener.setblocking(False)
    if os.name == "posix":  # elsewhere it means that two may listen on one port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        with suppress(OSError):
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind(address)
    listener.listen(_BACKLOG)
