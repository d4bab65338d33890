"""Opening a byte stream on asyncio."""

from __future__ import annotations

import ssl

from .asyncio_wire import AnyioWire, LoopWire
from .dialing import Dialing
from .inside import open_inside
from .proxy import open_tunnel, parse_proxy
from .wire import Wire

__all__ = ["open_wire"]


async def open_wire(dialing: Dialing) -> Wire:
    """A stream to the server. Raises OSError, Rejected. Cancelled: nothing is left open."""
    address, context, proxy = dialing.address, dialing.context, dialing.proxy_url
    given = dialing.stream if dialing.stream is not None else await open_inside(address.host)
    if given is not None:
        return AnyioWire(given)
    name = dialing.server_name
    if proxy is None:
        hostname = None if context is None else name
        return await LoopWire.connect(
            address.host, address.port, ssl=context, server_hostname=hostname
        )
    to_proxy_tls, host, port, authorization = parse_proxy(proxy)
    tls = ssl.create_default_context() if to_proxy_tls else None
    wire = await LoopWire.connect(host, port, ssl=tls)
    try:
        await open_tunnel(wire, address, authorization)
        if context is not None:
            await wire.start_tls(context, name)
    except BaseException:
        await wire.aclose()
        raise
    return wire
