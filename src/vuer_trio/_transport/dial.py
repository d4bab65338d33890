"""From an address to an open WebSocket: TCP, a proxy's tunnel, TLS, the opening handshake."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import trio

from .address import Address
from .base import Sink, Transport
from .proxy import find_proxy, open_tunnel, parse_proxy
from .wire import SocketWire, StreamWire, Wire

__all__ = ["Dialing", "dial"]


@dataclass(frozen=True, slots=True)
class Dialing:
    """What a dial needs to know. ``tls`` None: a context is made for ``wss://``."""

    address: Address
    max_size: int
    transport: Literal["auto", "trio-websocket", "websockets"] = "auto"
    headers: Sequence[tuple[str, str]] = ()
    tls: ssl.SSLContext | None = None
    verify: bool = True
    server_hostname: str | None = None
    proxy: str | Literal[True] | None = None
    compression: Literal["deflate"] | None = None
    subprotocols: Sequence[str] | None = None
    origin: str | None = None
    stream: trio.abc.Stream | None = None


async def dial(dialing: Dialing, sink: Sink, nursery: trio.Nursery) -> Transport:
    """Open a WebSocket; ``nursery`` carries what tasks it needs.

    Raises OSError, ssl.SSLError, Rejected or a Trio stream error; nothing is left open.
    """
    name = choose(dialing)
    wire = await _open_wire(dialing)
    try:
        return await _handshake(name, dialing, wire, sink, nursery)
    except BaseException:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            await wire.aclose()
        raise


def choose(dialing: Dialing) -> str:
    """The transport for ``dialing``. Raises ValueError for one that can not do what is asked."""
    installed = find_spec("websockets") is not None
    name = dialing.transport
    if name == "auto":
        name = "websockets" if installed else "trio-websocket"
    if name == "websockets" and not installed:
        raise ValueError("transport='websockets' needs that package: pip install 'vuer-trio[fast]'")
    if name == "trio-websocket" and dialing.compression is not None:
        raise ValueError(
            "compression needs the websockets package: pip install 'vuer-trio[fast]'"
            if not installed
            else "transport='trio-websocket' can not compress; leave transport to 'auto'"
        )
    return name


async def _handshake(
    name: str, dialing: Dialing, wire: Wire, sink: Sink, nursery: trio.Nursery
) -> Transport:
    options: dict[str, Any] = {
        "max_size": dialing.max_size,
        "headers": dialing.headers,
        "subprotocols": dialing.subprotocols,
        "origin": dialing.origin,
    }
    # Imported here: a program pays for one of them, and only when it connects.
    if name == "websockets":
        from .sansio import SansIO

        transport = SansIO(wire, dialing.address, sink, compression=dialing.compression, **options)
        await transport.open()
        return transport
    from .trio_websocket import TrioWebSocket

    other = TrioWebSocket(nursery, wire, dialing.address, sink, **options)
    await other.open()
    return other


async def _open_wire(dialing: Dialing) -> Wire:
    address = dialing.address
    if dialing.stream is not None:
        return StreamWire(dialing.stream)
    proxy = find_proxy(address) if dialing.proxy is True else dialing.proxy
    if proxy is None and not address.secure:
        tcp = await trio.open_tcp_stream(address.host, address.port)
        # Trio's socket is taken off its stream: nobody else will read or write it.
        return SocketWire(socket.socket(fileno=tcp.socket.detach()))
    stream: trio.abc.Stream
    authorization = None
    if proxy is None:
        stream = await trio.open_tcp_stream(address.host, address.port)
    else:
        to_proxy_tls, host, port, authorization = parse_proxy(proxy)
        stream = await trio.open_tcp_stream(host, port)
        if to_proxy_tls:
            stream = trio.SSLStream(stream, ssl.create_default_context(), server_hostname=host)
    try:
        if proxy is not None:
            await open_tunnel(stream, address, authorization)
        if address.secure:
            secure = trio.SSLStream(
                stream,
                dialing.tls or _context(dialing.verify),
                server_hostname=dialing.server_hostname or address.host,
                https_compatible=True,
            )
            stream = secure
            await secure.do_handshake()
    except BaseException:
        with suppress(trio.Cancelled, trio.BrokenResourceError):
            await trio.aclose_forcefully(stream)
        raise
    return StreamWire(stream)


def _context(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
