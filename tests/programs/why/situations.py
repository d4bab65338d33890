"""A cancelled send, a line that stops for a while, and a lost link: the same for every client."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import anyio
import msgpack
from strict_server import StrictServer

__all__ = ["Client", "Connect", "message", "show"]

#: bytes; more than a system takes from a sender for somebody who does not read
_SIZE = 1 << 23
_IMAGES = 10
_TICK = 0.01  # seconds between two images


class Client(Protocol):
    """A connection, with what its library has for sending and receiving."""

    @abstractmethod
    async def send(self, etype: str, value: Any) -> None: ...

    @abstractmethod
    async def recv(self) -> Any: ...

    def send_nowait(self, etype: str, value: Any) -> str:
        """Send without waiting; returns how, or nothing if the library has no such call."""
        return ""

    def dropped(self) -> str:
        """How many of those the library says that it has dropped; nothing if it drops none."""
        return "none"

    async def recv_for(self, seconds: float) -> Any:
        """Receive with a timeout of the library's own, or that of the event loop."""
        with anyio.fail_after(seconds):
            return await self.recv()


Connect = Callable[[str], AbstractAsyncContextManager[Client]]


def message(etype: str, value: Any) -> bytes:
    """An event as Vuer has them, for a library that sends bytes."""
    return msgpack.packb({"etype": etype, "ts": 0, "value": value})


def image(number: int) -> list[Any]:
    return [number, bytes(_SIZE)]


async def cancelled_send(connect: Connect, server: StrictServer) -> dict[str, str]:
    """Two images are sent. In the middle of the first one the peer stops reading, and the task that
    sends is cancelled. Then the peer reads on, and three small events are sent."""
    returned: list[str] = []

    async def converse() -> None:
        async with connect(server.url) as client:

            async def send_images() -> None:
                for number in range(2):
                    await client.send("IMAGE", image(number))
                    returned.append(f"IMAGE {number}")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send_images)
                await in_thread(server.wait_stopped_reading)
                tasks.cancel_scope.cancel()
            server.read_on()
            for etype in ("A", "B", "C"):
                await client.send(etype, None)
                returned.append(etype)

    left = await outcome(converse)
    return {"returned": ", ".join(returned), "decoded": server.decoded(), "leaving": left}


async def slow_line(connect: Connect, server: StrictServer) -> dict[str, str]:
    """A camera makes ten images. The peer stops reading in the middle of the first one until the
    last one has been made."""
    async with connect(server.url) as client, anyio.create_task_group() as tasks:
        for number in range(_IMAGES):
            way = client.send_nowait("IMAGE", image(number))
            if not way:
                way = "a task for each"
                tasks.start_soon(client.send, "IMAGE", image(number))
            await anyio.sleep(_TICK)
            if number == 0:
                await in_thread(server.wait_stopped_reading)
        server.read_on()
        dropped = client.dropped()
    return {"sending": way, "decoded": server.decoded(), "reported as dropped": dropped}


async def lost_link(connect: Connect, server: StrictServer) -> dict[str, str]:
    """For a while there is nothing to receive; then the connection is reset."""
    async with connect(server.url) as client:
        nothing_there = await outcome(lambda: client.recv_for(_TICK), "returns None")
        await client.send("BREAK", None)
        lost = await outcome(client.recv, "returns None")
        found = {"recv with a timeout": nothing_there, "recv, link lost": lost}

        async def fire() -> str | None:
            return None if client.send_nowait("A", None) else "no such call"

        found["sending without waiting"] = await outcome(fire)
        found["send"] = await outcome(lambda: client.send("A", None))
    return found


async def outcome(call: Callable[[], Awaitable[Any]], nothing: str = "no error") -> str:
    """The name of what it raises."""
    try:
        result = await call()
    except Exception as error:
        while isinstance(error, ExceptionGroup):
            (error,) = error.exceptions
        return type(error).__name__
    return nothing if result is None else str(result)


async def in_thread(function: Callable[[], None]) -> None:
    await anyio.to_thread.run_sync(function)


def show(library: str, connect: Connect, **others: Connect) -> None:
    """Print what becomes of a client in each situation.

    ``library`` is Trio or asyncio; ``others`` connect as one situation wants it.
    """
    for situation in (cancelled_send, slow_line, lost_link):
        print(situation.__name__.replace("_", " "))
        opening = others.get(situation.__name__, connect)
        found = anyio.run(situation, opening, StrictServer(), backend=library)
        for name, what in found.items():
            print(f"    {name}: {what}")
