"""An echo with the package ``websockets`` or ``trio-websocket`` alone, as a program:

python -m tests.conformance.echo_of_package websockets serve 9001
python -m tests.conformance.echo_of_package trio-websocket visit ws://127.0.0.1:9001
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress

import trio
import trio_websocket
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve as serve_websockets

from tests.behaviour.transport_harness import MAX_SIZE
from tests.conformance.visiting import case_count, case_uri

__all__: list[str] = []


class Websockets:
    def serve(self, port: int) -> None:
        asyncio.run(self._serve(port))

    def visit(self, uri: str) -> None:
        asyncio.run(self._visit(uri, "plain websockets"))

    async def _serve(self, port: int) -> None:
        async def echo(connection: websockets.ServerConnection) -> None:
            async for message in connection:
                await connection.send(message)

        async with serve_websockets(echo, "127.0.0.1", port, max_size=MAX_SIZE) as server:
            print("listening", flush=True)
            await server.serve_forever()

    async def _visit(self, uri: str, agent: str) -> None:
        for case in range(1, case_count(await self._exchange(f"{uri}/getCaseCount")) + 1):
            await self._exchange(case_uri(uri, case, agent))

    async def _exchange(self, uri: str) -> str | bytes:
        latest: str | bytes = b""
        async with connect(uri, max_size=MAX_SIZE) as connection:
            with suppress(websockets.ConnectionClosed):
                async for latest in connection:
                    await connection.send(latest)
        return latest


class TrioWebsocket:
    def serve(self, port: int) -> None:
        trio.run(self._serve, port)

    def visit(self, uri: str) -> None:
        trio.run(self._visit, uri, "plain trio-websocket")

    async def _serve(self, port: int) -> None:
        async def echo(request: trio_websocket.WebSocketRequest) -> None:
            await self._echo(await request.accept())

        async with trio.open_nursery() as nursery:
            await nursery.start(
                lambda task_status: trio_websocket.serve_websocket(
                    echo,
                    "127.0.0.1",
                    port,
                    None,
                    max_message_size=MAX_SIZE,
                    task_status=task_status,
                )
            )
            print("listening", flush=True)

    async def _echo(self, connection: trio_websocket.WebSocketConnection) -> str | bytes:
        latest: str | bytes = b""
        with suppress(trio_websocket.ConnectionClosed):
            while True:
                latest = await connection.get_message()
                await connection.send_message(latest)
        return latest

    async def _visit(self, uri: str, agent: str) -> None:
        for case in range(1, case_count(await self._exchange(f"{uri}/getCaseCount")) + 1):
            await self._exchange(case_uri(uri, case, agent))

    async def _exchange(self, uri: str) -> str | bytes:
        opened = trio_websocket.open_websocket_url(uri, max_message_size=MAX_SIZE)
        async with opened as connection:
            return await self._echo(connection)


def main() -> None:
    logging.disable()  # each connection that fails would be told with its traceback
    name, verb, where = sys.argv[1:]
    package = {"websockets": Websockets, "trio-websocket": TrioWebsocket}[name]()
    if verb == "serve":
        package.serve(int(where))
    else:
        package.visit(where)


if __name__ == "__main__":
    main()
