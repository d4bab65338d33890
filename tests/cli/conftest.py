"""What the command talks to: our server, and a scripted one that is not as it should be.

Both run in a thread: a test that looks at a terminal waits in its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import trio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.scripted_server import Peer, Script, serve_peer
from vuer_trio import Vuer, VuerSession, open_vuer_server
from vuer_trio.events import ServerEvent
from vuer_trio.schemas import Box, DefaultScene


class Server:
    """Ours. The path that a client asks for says what it gets."""

    def __init__(self, uri: str, portal: BlockingPortal) -> None:
        self.uri = uri
        self.portal = portal
        self.received: list[Any] = []  # maps, INIT aside

    def take(self) -> list[Any]:
        """What has been received since the last call: type, value, then other keys."""
        received, self.received[:] = list(self.received), []
        return received


async def behave(session: VuerSession) -> None:
    match session.path:
        case "/three":
            for n in range(3):
                session @ ServerEvent({"n": n}, etype="COUNT", key=f"k{n}")
        case "/odd":
            data = {"raw": b"\x00\xff", "inf": -math.inf, "esc": "\x1b[2J", "é": "ü"}
            session @ ServerEvent(data, etype="ODD")
        case "/once":
            session @ ServerEvent("once", etype="ONCE")
            await session.forever()
        case "/ticks":
            n = 0
            while True:
                session @ ServerEvent(n, etype="TOCK" if n % 2 else "TICK")
                n += 1
                await trio.sleep(0.01)
        case "/flood":
            while True:
                await session.send(ServerEvent("x" * 1000, etype="FLOOD"))
        case "/fails":
            await session.aclose(4001, "out of paint")
        case "/silent":
            await session.forever()
        case _:
            session.set @ DefaultScene(Box(key="box"))
            await session.forever()


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal("trio") as portal:
        yield portal


@pytest.fixture(scope="session")
def running(portal: BlockingPortal) -> Iterator[Server]:
    app = Vuer("127.0.0.1", 0)
    app.spawn(behave)
    with portal.wrap_async_context_manager(open_vuer_server(app)) as serving:
        server = Server(serving.uri, portal)

        def note(event: Any, session: VuerSession) -> None:
            wire = {key: item for key, item in event.raw.items() if key != "ts"}
            server.received.append(wire)

        for etype in ("POSE", "OTHER"):
            app.add_handler(etype, note)
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.take()
    return running


@pytest.fixture
def serve(portal: BlockingPortal) -> Iterator[Callable[..., Peer]]:
    """``peer = serve(script)``: a server that does what the script says, until the test ends."""
    with ExitStack() as stack:

        def start(script: Script, **options: Any) -> Peer:
            serving = serve_peer(script, **options)
            return stack.enter_context(portal.wrap_async_context_manager(serving))

        yield start
