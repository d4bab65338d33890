"""From an address to an open byte stream: TCP, a proxy's tunnel, TLS."""

from __future__ import annotations

import ssl

from .backend import NetBackend
from .byte_stream import ByteStream
from .connect_options import ConnectOptions
from .in_memory import open_inside
from .proxy import Proxy, open_tunnel
from .tls_stream import TLSStream

__all__ = ["open_stream"]


async def open_stream(backend: NetBackend, options: ConnectOptions) -> ByteStream:
    """A stream to the server. Raises OSError, Rejected. Cancelled: nothing is left open."""
    address, context, proxy = options.address, options.context, options.find_proxy()
    given = options.stream if options.stream is not None else await open_inside(address.host)
    if given is not None:
        return backend.wrap(given)
    if proxy is None:
        stream = await backend.open_tcp(address.host, address.port)
    else:
        stream = await _open_proxy(backend, proxy)
        try:
            await open_tunnel(stream, address, proxy)
        except BaseException:
            await stream.aclose()
            raise
    if context is None:
        return stream
    name = options.server_name
    return await TLSStream.open(stream, context, backend.Event, server_hostname=name)


async def _open_proxy(backend: NetBackend, proxy: Proxy) -> ByteStream:
    """A stream to a proxy. Raises ProxyFailed. Cancelled: nothing is left open."""
    try:
        stream = await backend.open_tcp(proxy.host, proxy.port)
        if not proxy.secure:
            return stream
        context = ssl.create_default_context()
        return await TLSStream.open(stream, context, backend.Event, server_hostname=proxy.host)
    except OSError as exc:
        raise proxy.failed(exc) from exc
