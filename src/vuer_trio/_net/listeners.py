"""Sockets that listen."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

__all__ = ["bind"]

_BACKLOG = 1024
#: of finding a port that is free on all addresses
_TRIES = 8
#: this machine has not got that address, or family
_ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

Resolve = Callable[[str | None, int], Awaitable[list[Any]]]


async def bind(host: str | None, port: int, resolve: Resolve) -> list[socket.socket]:
    """Listen on every address of ``host`` (None: of this machine), on one port.

    Raises OSError that names host and port; nothing is left open.
    """
    try:
        addresses = list(dict.fromkeys(await resolve(host or None, port)))
    except OSError as exc:
        raise OSError(exc.errno, f"cannot listen on {host}:{port}: {exc.strerror}") from exc
    for left in reversed(range(_TRIES)):
        try:
            return _bind_all(addresses, port)
        except OSError as exc:
            if port or exc.errno != errno.EADDRINUSE or not left:
                shown = host or "any address"
                raise OSError(
                    exc.errno,
                    f"cannot listen on {shown}, port {port}: {os.strerror(exc.errno or 0)}",
                ) from exc
    raise AssertionError("the last try raised or returned")


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
