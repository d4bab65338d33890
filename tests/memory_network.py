"""A network in memory, on Trio: whatever a client dials is answered by the plan of a test."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from tests.scripted_server import Peer, PeerConnection, Script, _MemoryStream
from vuer_trio._client import connecting

__all__ = ["HANG", "Network", "network", "refuse"]

#: virtual seconds, after which a test that would wait for ever fails
_DEADLINE = 100_000.0
#: a dial that is never answered
HANG = object()
#: of a dial: the script of a server, what it fails with, or `HANG`
Plan = Any


class Network:
    """``plans`` says what becomes of each dial, the last one of all later ones, too."""

    def __init__(self, nursery: trio.Nursery, plans: Iterable[Plan]) -> None:
        self.times: list[float] = []  # of the dials, since the network was made
        self.streams: list[Any] = []  # the client's ends
        self.wrap: Any = lambda stream: stream  # makes of a client's end what is dialled
        self._began = trio.current_time()
        self._nursery = nursery
        self._plans: Iterator[Plan] = iter(plans)
        self._plan: Plan = None
        self._peers: list[Peer] = []
        self._changed = trio.Event()

    @property
    def connections(self) -> list[PeerConnection]:
        return [conn for peer in self._peers for conn in peer.connections]

    async def connection(self, index: int = 0) -> PeerConnection:
        """Park until that connection is there."""
        while len(self._peers) <= index:
            await self._changed.wait()
        return await self._peers[index].connection()

    async def dial(
        self, dial_stream: Any, options: Any, link: Any, nursery: Any, *more: Any
    ) -> Any:
        self.times.append(round(trio.current_time() - self._began, 6))
        self._plan = next(self._plans, self._plan)
        if isinstance(self._plan, Exception):
            await trio.lowlevel.checkpoint()
            raise self._plan
        if self._plan is HANG:
            await trio.sleep_forever()
        client_end, server_end = trio.testing.memory_stream_pair()
        peer = Peer(self._plan)
        self._peers.append(peer)
        self.streams.append(self.wrap(client_end))
        self._nursery.start_soon(peer._serve, _MemoryStream(server_end))
        self._changed.set()
        self._changed = trio.Event()
        with_stream = dataclasses.replace(options, stream=self.streams[-1])
        return await dial_stream(with_stream, link, nursery, *more)


@asynccontextmanager
async def network(*plans: Plan) -> AsyncIterator[Network]:
    """In the block every client dials into it."""
    with pytest.MonkeyPatch.context() as patch:
        with trio.fail_after(_DEADLINE):
            async with trio.open_nursery() as nursery:
                net = Network(nursery, plans)
                dial_stream = connecting._dial_now

                async def dial(options: Any, link: Any, nursery: Any, *more: Any) -> Any:
                    return await net.dial(dial_stream, options, link, nursery, *more)

                patch.setattr(connecting, "_dial_now", dial)
                yield net
                nursery.cancel_scope.cancel()


def refuse(status: int) -> Script:
    """The script of a server that answers HTTP, and no WebSocket."""

    async def script(conn: PeerConnection) -> None:
        await conn.reject(status, "no")

    return script
