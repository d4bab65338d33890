"""A peer in a process of its own: echoes each binary message, and counts. Prints its port."""

from __future__ import annotations

import asyncio
import logging
import sys

from websockets.asyncio.server import serve

logging.getLogger("websockets").setLevel(logging.ERROR)


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main():
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
