"""Short probes of a server after a failure. They raise nothing."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Sequence
from os import urandom

import h11
import trio

from .._net.address import Address
from .diagnosis import Reply

__all__ = ["ask", "is_open", "speaks_tls"]

#: seconds for each probe
PATIENCE = 3.0
_UPGRADE = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
]
#: what OpenSSL calls the answer of a server that speaks TLS, and declines
_ALERT = "ALERT"


async def is_open(host: str, port: int) -> bool:
    """Whether something listens there."""
    with trio.move_on_after(PATIENCE):
        try:
            stream = await trio.open_tcp_stream(host, port)
        except OSError:
            return False
        await stream.aclose()
        return True
    return False


async def speaks_tls(address: Address) -> bool:
    """Whether the port answers TLS, whatever its certificate is."""
    with trio.move_on_after(PATIENCE):
        try:
            stream = await trio.open_tcp_stream(address.host, address.port)
            await trio.aclose_forcefully(await _over_tls(stream, address))
        except trio.BrokenResourceError as exc:
            return _ALERT in (getattr(exc.__cause__, "reason", None) or "")
        except OSError:
            return False
        return True
    return False


async def ask(
    address: Address, resource: str, headers: Sequence[tuple[str, str]] = (), secure: bool = False
) -> Reply | None:
    """What a request for a WebSocket is answered with; None if nothing comes."""
    request = h11.Request(
        method="GET",
        target=resource,
        headers=[
            ("Host", address.host_header),
            *_UPGRADE,
            ("Sec-WebSocket-Key", b64encode(urandom(16)).decode()),
            *headers,
        ],
    )
    with trio.move_on_after(PATIENCE):
        try:
            stream: trio.abc.Stream = await trio.open_tcp_stream(address.host, address.port)
            try:
                if secure:
                    stream = await _over_tls(stream, address)
                return await _exchange(stream, request)
            finally:
                await trio.aclose_forcefully(stream)
        except (OSError, trio.BrokenResourceError):
            return Reply(None)
    return None


async def _over_tls(stream: trio.abc.Stream, address: Address) -> trio.abc.Stream:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    secure = trio.SSLStream(stream, context, server_hostname=address.host, https_compatible=True)
    try:
        await secure.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return secure


async def _exchange(stream: trio.abc.Stream, request: h11.Request) -> Reply:
    http = h11.Connection(h11.CLIENT)
    await stream.send_all(http.send(request) or b"")
    received = b""
    try:
        while (event := http.next_event()) is h11.NEED_DATA:
            data = bytes(await stream.receive_some(65_536))
            received += data
            http.receive_data(data)
            if not data:
                break
    except h11.RemoteProtocolError:
        return Reply(None, raw=received)
    if isinstance(event, h11.Response | h11.InformationalResponse):
        headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
        return Reply(event.status_code, headers, received)
    return Reply(None, raw=received)
