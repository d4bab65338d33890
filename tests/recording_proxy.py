"""A proxy that records, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from vuer_trio import Vuer
from vuer_trio._nursery import background_service
from vuer_trio._proxy.proxy import Proxy
from vuer_trio._proxy.upstream import Upstream, parse_upstream
from vuer_trio._runtime import runtime
from vuer_trio.record import Recorder

__all__ = ["proxy_to", "recording_proxy"]


def _new_proxy(
    uri: str, *, stall_timeout: float = 120.0, headers: Any = (), tls: Any = None, **options: Any
) -> Proxy:
    """``options`` are those of a server."""
    upstream = Upstream(parse_upstream(uri), tls, headers)
    chosen = Vuer(**{"host": "127.0.0.1", "port": 0, **options})._options
    return Proxy(runtime(), upstream, chosen, stall_timeout=stall_timeout)


@asynccontextmanager
async def proxy_to(uri: str, **options: Any) -> AsyncIterator[Proxy]:
    proxy = _new_proxy(uri, **options)
    async with background_service(runtime(), proxy.run):
        yield proxy


@asynccontextmanager
async def recording_proxy(uri: str, file: Path, **options: Any) -> AsyncIterator[Proxy]:
    proxy = _new_proxy(uri, **options)
    source: Any = proxy
    async with Recorder(file, source), background_service(runtime(), proxy.run):
        yield proxy
