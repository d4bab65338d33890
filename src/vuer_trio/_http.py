"""The few plain HTTP requests of a client, each on a connection of its own, through ``httpx2``."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from ._json import parse_json
from ._net.address import parse_address
from ._net.client_tls import new_context
from ._net.connect_options import ConnectOptions
from ._net.failure_reason import tls_error
from ._net.rejection import basic_authorization
from ._runtime import runtime

__all__ = ["Answer", "ask"]

#: bytes of an answer that are read
_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers`` are those of httpx2. Its repr shows no token that may be in it."""

    status: int
    headers: Any = field(repr=False)
    body: bytes = field(repr=False)

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
    OSError, ValueError for an invalid proxy, and ImportError without ``httpx2``. Cancelled:
    the server may have got the request.
    """
    import httpx2

    # Not with the client of that package: it logs each URL, and here one may hold a secret. What
    # the layer below it logs, headers with cookies among it, is kept out as well.
    address = parse_address("ws" + url.removeprefix("http"))
    fields = list(headers)
    if body is not None:
        fields.append(("content-type", "application/json"))
    if address.user is not None:
        fields.append(("authorization", basic_authorization(*address.user)))
    way = ConnectOptions(address, _LIMIT, tls=tls, verify=verify, proxy=proxy)
    through = way.find_proxy()
    # The one without TLS is never used: it reads no certificates.
    # That package sets its own protocols on one, so it gets none that others use.
    context = way.tls
    if context is None and way.secure:
        context = await runtime().run_in_thread(new_context, verify)
    context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    received = b""
    try:
        request = httpx2.Request(method, url, headers=fields, content=body)
        with _unlogged():
            async with httpx2.AsyncHTTPTransport(
                verify=context, proxy=None if through is None else through.uri
            ) as transport:
                response = await transport.handle_async_request(request)
                async for chunk in response.aiter_raw():
                    received += chunk
                    if len(received) > _LIMIT:
                        # Not `break`: it leaves generators to the garbage collector. This ends
                        # them.
                        await response.aclose()
    except (httpx2.InvalidURL, httpx2.LocalProtocolError) as exc:  # it may quote a header
        raise ConnectionError(type(exc).__name__) from None
    except (httpx2.HTTPError, httpx2.StreamError, OSError) as exc:
        found = _system_error(exc)
        if isinstance(found, httpx2.ConnectError) and not str(found) and address.secure:
            found = ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the stream ended in the TLS handshake")
        if len(received) > _LIMIT:
            pass
        elif through is not None and isinstance(exc, httpx2.ConnectError) and not tls_error(found):
            raise through.failed(found) from found
        else:
            raise ConnectionError(str(found) or type(found).__name__) from found
    if len(received) > _LIMIT:
        raise ConnectionError(f"it answers more than {_LIMIT:,} bytes")
    return Answer(response.status_code, response.headers, received)


def _system_error(exc: Exception) -> Exception:
    """What lies below the layers of that package, which say less: of the system, or of TLS."""
    found: BaseException = exc
    below: BaseException | None = exc
    while below is not None:
        if isinstance(below, BaseExceptionGroup):
            below = below.exceptions[0]
        if isinstance(below, OSError):
            found = below
        inside = below.args[0] if below.args else None  # its cause, where it hides that
        below = below.__cause__ or (inside if isinstance(inside, BaseException) else None)
    return found if isinstance(found, Exception) else exc


_asking: ContextVar[bool] = ContextVar("a request of ours, whose headers are not logged")


@contextmanager
def _unlogged() -> Iterator[None]:
    _hush()
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)


@cache
def _hush() -> None:
    """From now on that package logs nothing of the requests here; all others as before."""

    def wanted(record: logging.LogRecord) -> bool:
        return not _asking.get(False)

    for part in ("connection", "http11", "http2", "proxy", "socks"):
        logging.getLogger(f"httpcore2.{part}").addFilter(wanted)
