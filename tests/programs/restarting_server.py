"""An aiohttp server that is killed and started again on command, each time within milliseconds.

    python tests/programs/restarting_server.py PORT RECORD

prints the port when it accepts connections. It serves from a fork that has imported everything
already, and reads lines: ``kill`` ends the fork with SIGKILL, ``stop`` has it close its WebSockets
with 1001 first; both start another one on the same port, and print ``READY`` when that accepts
connections. The end of stdin ends everything.

Of each message the value is appended to the file RECORD, as a line, before anything else happens,
and comes back as ECHO; INIT is recorded as the line ``INIT``. aiohttp answers a ping when it has
handled all messages before it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any

import msgpack
from aiohttp import WSCloseCode, web

HOST = "127.0.0.1"
#: seconds between the end of one server and the start of the next, for dials to be refused
AWAY = 0.01


async def serve(port: int, record: int, ready: int) -> None:
    sockets: set[web.WebSocketResponse] = set()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)

    async def talk(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=0)
        await ws.prepare(request)
        sockets.add(ws)
        with suppress(ConnectionResetError):
            async for message in ws:
                event: dict[str, Any] = msgpack.unpackb(message.data)
                value = "INIT" if event["etype"] == "INIT" else event["value"]
                os.write(record, f"{value}\n".encode())
                if value != "INIT":
                    await ws.send_bytes(msgpack.packb({"etype": "ECHO", "data": value}))
        sockets.discard(ws)
        return ws

    app = web.Application()
    app.router.add_get("/", talk)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, reuse_address=True).start()
    os.write(ready, b"!")
    await stopped.wait()
    for ws in list(sockets):
        await ws.close(code=WSCloseCode.GOING_AWAY, message=b"restart")


def start(port: int, record: int) -> int:
    """Fork a server; returns its process id when it accepts connections."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(serve(port, record, writing))
        finally:
            os._exit(0)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    return pid


def main() -> None:
    port = int(sys.argv[1])
    record = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    pid = start(port, record)
    try:
        print(port, flush=True)
        for line in sys.stdin:
            os.kill(pid, {"kill": signal.SIGKILL, "stop": signal.SIGTERM}[line.strip()])
            os.waitpid(pid, 0)
            time.sleep(AWAY)
            pid = start(port, record)
            print("READY", flush=True)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
