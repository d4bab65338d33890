"""From an address to an open byte stream: TCP, a proxy's tunnel, TLS."""

from __future__ import annotations

import ssl

from .backend import NetBackend
from .byte_stream import ByteStream
from .client_tls import made_context, make_context
from .connect_options import ConnectOptions
from .in_memory import open_inside
from .proxy import Proxy, open_tunnel
from .tls_stream import TLSStream

__all__ = ["open_stream"]


async def open_stream(backend: NetBackend, options: ConnectOptions) -> ByteStream:
    """A stream to the server. Raises OSError, Rejected. Cancelled: nothing is left open."""
    address, context, proxy = options.address, options.tls, options.find_proxy()
    if options.secure and context is None:
        context = await _default_context(backend, options.verify)
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
    if not options.secure or context is None:
        return stream
    return await TLSStream.open(
        stream,
        context,
        backend.Event,
        server_hostname=options.server_name,
        sessions=options.sessions,
        server=(address.host, address.port, proxy, options.server_name),
    )


async def _default_context(backend: NetBackend, verify: bool) -> ssl.SSLContext:
    return made_context(verify) or await backend.run_in_thread(make_context, verify)


async def _open_proxy(backend: NetBackend, proxy: Proxy) -> ByteStream:
    """A stream to a proxy. Raises ProxyFailed. Cancelled: nothing is left open."""
    try:
        stream = await backend.open_tcp(proxy.host, proxy.port)
        if not proxy.secure:
            return stream
        context = await _default_context(backend, True)
        return await TLSStream.open(stream, context, backend.Event, server_hostname=proxy.host)
    except OSError as exc:
        raise proxy.failed(exc) from exc
