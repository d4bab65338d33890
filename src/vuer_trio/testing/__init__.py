"""A test kit: a client and a server in memory, a scripted headset, faults, cancellations,
orders, delays.

    async with vuer_pair(app) as (server, client): ...         # no socket; virtual time on Trio
    async with FakeHeadset(server, wave()) as headset: ...     # a person with a headset
    faulty(stream, Split(), Cut(at=700))                       # a faulty connection
    await cancel_everywhere(scenario)                          # once at each await
    shuffled(scenario)                                         # in many orders of its tasks
    with lagging(): ...                                        # what arrives is seen late
    async with assert_no_leaks(): ...                          # tasks, sockets, threads

All of it runs under Trio and under asyncio. The package also provides pytest fixtures of the same
names.
"""

from __future__ import annotations

from .cancelling import CancelHere, cancel_everywhere
from .faults import (
    Corrupt,
    Cut,
    Delay,
    Fault,
    HalfClose,
    Split,
    Stall,
    TornTLS,
    faulty,
    random_faults,
)
from .headset import FakeHeadset
from .jpeg import small_jpeg
from .lagging import lagging
from .leaks import assert_no_leaks
from .memory import memory_stream_pair
from .pair import Pair, vuer_client, vuer_pair, vuer_server
from .poses import camera_move, controller_move, hand_move, wave
from .server import MemoryServer, open_memory_server
from .shuffling import shuffled

__all__ = [
    "CancelHere",
    "Corrupt",
    "Cut",
    "Delay",
    "FakeHeadset",
    "Fault",
    "HalfClose",
    "MemoryServer",
    "Pair",
    "Split",
    "Stall",
    "TornTLS",
    "assert_no_leaks",
    "camera_move",
    "cancel_everywhere",
    "controller_move",
    "faulty",
    "hand_move",
    "lagging",
    "memory_stream_pair",
    "open_memory_server",
    "random_faults",
    "shuffled",
    "small_jpeg",
    "vuer_client",
    "vuer_pair",
    "vuer_server",
    "wave",
]
