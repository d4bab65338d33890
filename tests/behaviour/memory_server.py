"""The server in memory, on Trio, where waiting for ever fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from vuer_trio.testing.server import MemoryServer, open_memory_server

__all__ = ["MemoryServer", "memory_server"]

#: virtual seconds
_DEADLINE = 100_000.0


@asynccontextmanager
async def memory_server(app: Any) -> AsyncIterator[MemoryServer]:
    with trio.fail_after(_DEADLINE):
        async with open_memory_server(app) as server:
            yield server
