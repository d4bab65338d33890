"""The few plain HTTP requests of a client, each on a connection of its own, through ``httpx2``."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ._json import parse_json
from ._transport.address import parse_address
from ._transport.dialing import Dialing
from ._transport.handshake import basic_authorization

__all__ = ["Answer", "ask"]

#: bytes of an answer that are read
_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers`` are those of httpx2."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as an object; empty for what is none."""
        try:
            found = parse_json(str(self.body, "utf-8-sig"))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


async def ask(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Sequence[tuple[str, str]] = (),
    tls: ssl.SSLContext | None = None,
    verify: bool = True,
    proxy: str | Literal[True] | None = None,
) -> Answer:
    """Ask ``http://...`` or ``https://...``. No redirect is followed, and no cookie is kept.

    A body is JSON. ``proxy`` True is that of the environment. Who asks sets the deadline. Raises
    OSError, and ImportError without ``httpx2``. Cancelled: the server may have got the request.
    """
    import httpx2

    # Not with the client of that package: it logs each URL, and here one may hold a secret.
    address = parse_address("ws" + url.removeprefix("http"))
    fields = list(headers)
    if body is not None:
        fields.append(("content-type", "application/json"))
    if address.user is not None:
        fields.append(("authorization", basic_authorization(*address.user)))
    way = Dialing(address, _LIMIT, tls=tls, verify=verify, proxy=proxy)
    # The one without TLS is never used: it reads no certificates.
    context = way.context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    received = b""
    try:
        request = httpx2.Request(method, url, headers=fields, content=body)
        async with httpx2.AsyncHTTPTransport(verify=context, proxy=way.proxy_url) as transport:
            response = await transport.handle_async_request(request)
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > _LIMIT:
                    # Not `break`: it leaves generators to the garbage collector. This ends them.
                    await response.aclose()
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as exc:
        if len(received) <= _LIMIT:
            raise ConnectionError(str(exc) or type(exc).__name__) from exc
    if len(received) > _LIMIT:
        raise ConnectionError(f"it answers more than {_LIMIT:,} bytes")
    return Answer(response.status_code, response.headers, received)
