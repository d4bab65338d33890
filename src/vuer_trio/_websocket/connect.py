"""From an address to an open WebSocket: TCP, a proxy's tunnel, TLS, the opening handshake."""

from __future__ import annotations

import itertools
import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .._net.backend import net_backend
from .._net.byte_stream import ByteStream
from .._net.connect_options import ConnectOptions
from .._net.dial import open_stream
from .._net.rejection import REDIRECTED, Rejected
from .._runtime import Runtime
from .._transport_name import choose_transport
from .protocol import ClientProtocol, Request
from .redirect import follow
from .transport import Sink, Transport

if TYPE_CHECKING:
    from .._async_types import Nursery

__all__ = ["dial"]

log = logging.getLogger("vuer_trio.link")


async def dial(rt: Runtime, options: ConnectOptions, sink: Sink, nursery: Nursery) -> Transport:
    """Open a WebSocket; ``nursery`` carries what tasks it needs. Redirects are followed.

    Raises OSError, ssl.SSLError, Rejected; nothing is left open.
    """
    way = options
    for count in itertools.count():  # `follow` ends it
        try:
            try:
                return await _dial_once(rt, way, sink, nursery)
            except Rejected as exc:
                if exc.location is None:
                    raise
                there = follow(way, exc, count)
        except (OSError, Rejected) as exc:
            if count:
                exc.add_note(REDIRECTED + way.address.shown)
            raise
        log.info("%s redirects to %s", way.address.shown, there.address.shown)
        way = there
    raise AssertionError


async def _dial_once(
    rt: Runtime, options: ConnectOptions, sink: Sink, nursery: Nursery
) -> Transport:
    name = _choose(rt.name, options)
    try:
        return await _dial(rt, options, name, sink, nursery)
    except Rejected as exc:
        rejected = exc.without(options.secrets)
    raise rejected  # out here: what it stands for is no context of it


async def _dial(
    rt: Runtime,
    options: ConnectOptions,
    name: str,
    sink: Sink,
    nursery: Nursery,
) -> Transport:
    stream = await open_stream(net_backend(rt), options)
    try:
        return await _handshake(name, options, stream, sink, nursery)
    except BaseException:
        with rt.CancelScope(shield=True, deadline=rt.current_time() + 1):
            await stream.aclose()
        raise


def _choose(runtime: str, options: ConnectOptions) -> str:
    """The transport for ``dialing``. Raises ValueError for one that cannot do what is asked."""
    installed = find_spec("websockets") is not None
    name = choose_transport(runtime, options.transport, installed)
    if name != "websockets" and options.compression is not None:
        raise ValueError(
            f"transport={name!r} cannot compress; leave it to 'auto'"
            if installed
            else "compression needs the websockets package: pip install 'vuer-trio[fast]'"
        )
    return name


async def _handshake(
    name: str, options: ConnectOptions, stream: ByteStream, sink: Sink, nursery: Nursery
) -> Transport:
    request = Request(
        options.address,
        options.max_size,
        options.headers,
        options.subprotocols,
        options.origin,
        options.compression,
    )
    if name == "trio-websocket":
        from .trio_websocket_protocol import TrioWebSocketClientProtocol

        packaged = TrioWebSocketClientProtocol(nursery, sink, request)
        try:
            await packaged.start()
            return await _open(stream, packaged, sink, request)
        except BaseException:
            packaged.stop()
            raise
    if name == "websockets":
        from .websockets_protocol import WebsocketsClientProtocol

        return await _open(stream, WebsocketsClientProtocol(request), sink, request)
    from .wsproto_protocol import WsprotoClientProtocol

    return await _open(stream, WsprotoClientProtocol(request), sink, request)


async def _open(
    stream: ByteStream, protocol: ClientProtocol, sink: Sink, request: Request
) -> Transport:
    from .stream_transport import ClientStreamTransport

    transport = ClientStreamTransport(stream, protocol, sink, request.max_size)
    await transport.open()
    return transport
