"""A byte stream that a user has opened."""

from __future__ import annotations

import anyio
import sniffio
import trio

from vuer_trio.testing import Split, faulty

__all__ = ["open_stream"]


async def open_stream(peer, most=65536):
    """An open byte stream of a user's to ``peer``, that gives ``most`` bytes at a time."""
    if sniffio.current_async_library() == "asyncio":
        stream = await anyio.connect_tcp("127.0.0.1", peer.port)
    else:
        stream = await trio.open_tcp_stream("127.0.0.1", peer.port)
    return faulty(stream, Split(most, least=most))
