"""Connecting to a host on asyncio, as Trio's `open_tcp_stream` does: Happy Eyeballs (RFC 8305).

Not every loop has it (uvloop does not), and a name may have an address that never answers: over
IPv6 without a route, or in a robot's second network.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import anyio

from .._anyio_nursery import Nursery

__all__ = ["open_tcp"]

#: seconds that an address has before the next one is tried beside it
_HEAD_START = 0.25


async def open_tcp(host: str, port: int) -> socket.socket:
    """A connected socket. Raises OSError. Cancelled: nothing is left open."""
    loop = asyncio.get_running_loop()
    try:  # an address needs no thread
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not found:
        raise OSError(f"{host} has no address")
    return await _Race(loop, host, port).run(_in_turns(found))


def _in_turns(found: list[Any]) -> list[Any]:
    """The other family comes second, so that one that leads nowhere costs one head start."""
    for place, address in enumerate(found):
        if address[0] != found[0][0]:
            return [found[0], address, *found[1:place], *found[place + 1 :]]
    return found


class _Race:
    """Attempts beside each other; the first that connects wins, and ends the others."""

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> None:
        self._loop = loop
        self._where = f"{host}:{port}"
        self._errors: list[OSError] = []
        self._won: socket.socket | None = None

    async def run(self, addresses: list[Any]) -> socket.socket:
        """Raises OSError: of the only one, or for all of them."""
        try:
            async with Nursery() as attempts:
                for address in addresses:
                    failed = asyncio.Event()
                    attempts.start_soon(self._attempt, address, failed, attempts)
                    if address is not addresses[-1]:
                        with anyio.move_on_after(_HEAD_START):
                            await failed.wait()
        except BaseException:
            if self._won is not None:
                self._won.close()
            raise
        if self._won is not None:
            return self._won
        if len(self._errors) == 1:
            raise self._errors[0]
        message = f"all attempts to connect to {self._where} failed"
        raise OSError(message) from ExceptionGroup(message, self._errors)

    async def _attempt(self, info: Any, failed: asyncio.Event, attempts: Nursery) -> None:
        family, kind, protocol, _, address = info
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as exc:  # a family that this machine has not
            self._errors.append(exc)
            failed.set()
            return
        try:
            sock.setblocking(False)
            await self._loop.sock_connect(sock, address)
        except OSError as exc:
            if exc.errno is not None:  # the loop's own words tell the address, and not the reason
                exc = OSError(exc.errno, os.strerror(exc.errno))
            self._errors.append(exc)
            failed.set()
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            if self._won is None:
                self._won = sock
                attempts.cancel_scope.cancel()
            else:
                sock.close()
