"""Opening a byte stream on asyncio."""

from __future__ import annotations

import ssl

from .asyncio_wire import AnyioWire, LoopWire
from .dialing import Dialing
from .inside import open_inside
from .proxy import Proxy, open_tunnel
from .wire import Wire

__all__ = ["open_wire"]


async def open_wire(dialing: Dialing) -> Wire:
    """A stream to the server. Raises OSError, Rejected. Cancelled: nothing is left open."""
    address, context, proxy = dialing.address, dialing.context, dialing.find_proxy()
    given = dialing.stream if dialing.stream is not None else await open_inside(address.host)
    if given is not None:
        return AnyioWire(given)
    name = dialing.server_hostname or address.host
    if proxy is None:
        hostname = None if context is None else name
        return await LoopWire.connect(
            address.host, address.port, ssl=context, server_hostname=hostname
        )
    wire = await _open_proxy(proxy)
    try:
        await open_tunnel(wire, address, proxy)
        if context is not None:
            await wire.start_tls(context, name)
    except BaseException:
        await wire.aclose()
        raise
    return wire


async def _open_proxy(proxy: Proxy) -> LoopWire:
    """A stream to a proxy. Raises ProxyFailed. Cancelled: nothing is left open."""
    tls = ssl.create_default_context() if proxy.secure else None
    try:
        return await LoopWire.connect(proxy.host, proxy.port, ssl=tls)
    except OSError as exc:
        raise proxy.failed(exc) from exc
