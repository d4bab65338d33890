"""From an address to an open WebSocket: TCP, a proxy's tunnel, TLS, the opening handshake."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from .._runtime import Runtime
from .address import Address
from .base import Sink, Transport, TransportName
from .core import Request
from .proxy import find_proxy
from .wire import Wire

__all__ = ["Dialing", "dial"]


@dataclass(frozen=True, slots=True)
class Dialing:
    """What a dial needs to know. ``tls`` None: a context is made for ``wss://``."""

    address: Address
    max_size: int
    transport: TransportName = "auto"
    headers: Sequence[tuple[str, str]] = ()
    tls: ssl.SSLContext | None = None
    verify: bool = True
    server_hostname: str | None = None
    proxy: str | Literal[True] | None = None
    compression: Literal["deflate"] | None = None
    subprotocols: Sequence[str] | None = None
    origin: str | None = None
    stream: Any = None

    @property
    def proxy_url(self) -> str | None:
        """The proxy to go through, if any."""
        return find_proxy(self.address) if self.proxy is True else self.proxy

    @property
    def context(self) -> ssl.SSLContext | None:
        """For TLS to the server; None without."""
        if not self.address.secure or self.stream is not None:
            return None
        if self.tls is not None:
            return self.tls
        context = ssl.create_default_context()
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


async def dial(rt: Runtime, dialing: Dialing, sink: Sink, nursery: Any) -> Transport:
    """Open a WebSocket; ``nursery`` carries what tasks it needs.

    Raises OSError, ssl.SSLError, Rejected; nothing is left open.
    """
    name = _choose(rt.name, dialing)
    # Imported here, and below: a program pays for one of them, and only when it connects.
    if rt.name == "trio":
        from .trio_dial import open_wire
    else:
        from .asyncio_dial import open_wire
    wire = await open_wire(dialing)
    try:
        return await _handshake(name, dialing, wire, sink, nursery)
    except BaseException:
        with rt.CancelScope(shield=True, deadline=rt.current_time() + 1):
            await wire.aclose()
        raise


def _choose(runtime: str, dialing: Dialing) -> str:
    """The transport for ``dialing``. Raises ValueError for one that can not do what is asked."""
    installed = find_spec("websockets") is not None
    name: str = dialing.transport
    if name == "auto":
        bare = "trio-websocket" if runtime == "trio" else "wsproto"
        name = "websockets" if installed else bare
    if name == "websockets" and not installed:
        raise ValueError("transport='websockets' needs that package: pip install 'vuer-trio[fast]'")
    if name == "trio-websocket" and runtime != "trio":
        raise ValueError("transport='trio-websocket' runs on Trio only; leave it to 'auto'")
    if name != "websockets" and dialing.compression is not None:
        raise ValueError(
            f"transport={name!r} can not compress; leave it to 'auto'"
            if installed
            else "compression needs the websockets package: pip install 'vuer-trio[fast]'"
        )
    return name


async def _handshake(
    name: str, dialing: Dialing, wire: Wire, sink: Sink, nursery: Any
) -> Transport:
    request = Request(
        dialing.address,
        dialing.max_size,
        dialing.headers,
        dialing.subprotocols,
        dialing.origin,
        dialing.compression,
    )
    if name == "trio-websocket":
        from .trio_websocket import TrioWebSocket

        packaged = TrioWebSocket(nursery, wire, request, sink)
        await packaged.open()
        return packaged
    from .core import Core
    from .sansio import SansIO

    core: Core
    if name == "websockets":
        from .websockets_core import WebsocketsCore

        core = WebsocketsCore(request)
    else:
        from .wsproto_core import WsprotoCore

        core = WsprotoCore(request)
    transport = SansIO(wire, core, sink, dialing.max_size)
    await transport.open()
    return transport
