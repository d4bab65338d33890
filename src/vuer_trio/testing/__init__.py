"""A test kit: a client and a server in memory, a headset of a script, faults, cancellations.

    async with vuer_pair(app) as (server, client): ...         # no socket; virtual time on Trio
    async with FakeHeadset(server, wave()) as headset: ...     # a person with a headset
    faulty(stream, Split(), Cut(at=700))                       # a line that is not as it should be
    await cancel_everywhere(scenario)                          # once at each await
    async with assert_no_leaks(): ...                          # tasks, sockets, threads

All of it runs under Trio and under asyncio. The fixtures of the same names come with the package.
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
from .leaks import assert_no_leaks
from .memory import memory_stream_pair
from .pair import Pair, vuer_client, vuer_pair, vuer_server
from .poses import camera_move, controller_move, hand_move, wave
from .server import MemoryServer, open_memory_server

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
    "memory_stream_pair",
    "open_memory_server",
    "random_faults",
    "small_jpeg",
    "vuer_client",
    "vuer_pair",
    "vuer_server",
    "wave",
]
