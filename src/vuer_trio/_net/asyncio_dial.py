"""Opening a byte stream on asyncio."""

from __future__ import annotations

import asyncio
import ssl

from .asyncio_streams import AnyioWire, LoopWire
from .byte_stream import Wire
from .connect_options import Dialing
from .happy_eyeballs import open_tcp
from .in_memory import open_inside
from .proxy import Proxy, open_tunnel
from .tls_stream import TlsWire

__all__ = ["open_wire"]


async def open_wire(dialing: Dialing) -> Wire:
    """A stream to the server. Raises OSError, Rejected. Cancelled: nothing is left open."""
    address, context, proxy = dialing.address, dialing.context, dialing.find_proxy()
    given = dialing.stream if dialing.stream is not None else await open_inside(address.host)
    if given is not None:
        return AnyioWire(given)
    if proxy is None:
        wire: Wire = await _open_tcp(address.host, address.port)
    else:
        wire = await _open_proxy(proxy)
        try:
            await open_tunnel(wire, address, proxy)
        except BaseException:
            await wire.aclose()
            raise
    if context is None:
        return wire
    name = dialing.server_name
    return await TlsWire.open(wire, context, asyncio.Event, server_hostname=name)


async def _open_tcp(host: str, port: int) -> LoopWire:
    sock = await open_tcp(host, port)
    try:
        _, wire = await asyncio.get_running_loop().create_connection(LoopWire, sock=sock)
    except BaseException:
        sock.close()
        raise
    return wire


async def _open_proxy(proxy: Proxy) -> Wire:
    """A stream to a proxy. Raises ProxyFailed. Cancelled: nothing is left open."""
    try:
        wire = await _open_tcp(proxy.host, proxy.port)
        if not proxy.secure:
            return wire
        context = ssl.create_default_context()
        return await TlsWire.open(wire, context, asyncio.Event, server_hostname=proxy.host)
    except OSError as exc:
        raise proxy.failed(exc) from exc
