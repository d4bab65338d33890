"""Opening a byte stream on asyncio."""

from __future__ import annotations

import asyncio
import ssl

from .asyncio_streams import AnyioStream, LoopStream
from .byte_stream import ByteStream
from .connect_options import ConnectOptions
from .happy_eyeballs import open_tcp
from .in_memory import open_inside
from .proxy import Proxy, open_tunnel
from .tls_stream import TLSStream

__all__ = ["open_stream"]


async def open_stream(dialing: ConnectOptions) -> ByteStream:
    """A stream to the server. Raises OSError, Rejected. Cancelled: nothing is left open."""
    address, context, proxy = dialing.address, dialing.context, dialing.find_proxy()
    given = dialing.stream if dialing.stream is not None else await open_inside(address.host)
    if given is not None:
        return AnyioStream(given)
    if proxy is None:
        wire: ByteStream = await _open_tcp(address.host, address.port)
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
    return await TLSStream.open(wire, context, asyncio.Event, server_hostname=name)


async def _open_tcp(host: str, port: int) -> LoopStream:
    sock = await open_tcp(host, port)
    try:
        _, wire = await asyncio.get_running_loop().create_connection(LoopStream, sock=sock)
    except BaseException:
        sock.close()
        raise
    return wire


async def _open_proxy(proxy: Proxy) -> ByteStream:
    """A stream to a proxy. Raises ProxyFailed. Cancelled: nothing is left open."""
    try:
        wire = await _open_tcp(proxy.host, proxy.port)
        if not proxy.secure:
            return wire
        context = ssl.create_default_context()
        return await TLSStream.open(wire, context, asyncio.Event, server_hostname=proxy.host)
    except OSError as exc:
        raise proxy.failed(exc) from exc
