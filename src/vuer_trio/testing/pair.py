"""A server and a client in memory; the fixtures return these."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from .._client.client import VuerClient
from .._interrupts import protected_block
from .server import MemoryServer, as_it_is, open_memory_server

if TYPE_CHECKING:
    from ..server import Vuer

__all__ = ["Pair", "vuer_client", "vuer_pair", "vuer_server"]


class Pair(NamedTuple):
    """A server in memory, and a client of it."""

    server: MemoryServer
    client: VuerClient


def vuer_server(
    app: Vuer | None = None, *, wrap: Callable[[Any], Any] = as_it_is, **options: Any
) -> AbstractAsyncContextManager[MemoryServer]:
    """``async with vuer_server(app) as server:`` serves ``app`` in memory while the block runs.

    Without an app, it creates a `Vuer` with ``options`` that does nothing. ``wrap`` wraps the
    client's end of each connection, for example with `faulty`. Raises TypeError for options
    together with an app.
    """
    if app is None:
        from ..server import Vuer

        app = Vuer(**options)
    elif options:
        raise TypeError(
            f"{', '.join(options)} must be given to the app; use Vuer({next(iter(options))}=...)"
        )
    return open_memory_server(app, wrap=wrap)


def vuer_client(server: MemoryServer | str, **options: Any) -> VuerClient:
    """``async with vuer_client(server) as client:`` is `open_vuer_client` for a test.

    ``server`` is a server in memory, or the URI of any server. ``options`` are those of the client,
    except that each call is a checkpoint by default (``checkpoints="every"``).
    """
    uri = server if isinstance(server, str) else server.uri
    return VuerClient(uri, **{"checkpoints": "every", **options})


@protected_block
async def vuer_pair(
    app: Vuer | None = None, *, wrap: Callable[[Any], Any] = as_it_is, **options: Any
) -> AsyncGenerator[Pair, None]:
    """``async with vuer_pair(app) as (server, client):``; ``options`` are those of the client."""
    async with vuer_server(app, wrap=wrap) as server, vuer_client(server, **options) as client:
        yield Pair(server, client)
