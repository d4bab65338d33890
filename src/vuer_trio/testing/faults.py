"""Byte streams with reproducible faults.

    faulty(stream, Split(), Delay(0.05, jitter=0.02), Cut(at=700), seed=3)

Positions are in bytes since the stream was wrapped, counted separately for each direction.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .._runtime import runtime
from .streams import Broken, Plain, in_form, plain

__all__ = [
    "Corrupt",
    "Cut",
    "Delay",
    "Fault",
    "HalfClose",
    "Split",
    "Stall",
    "TornTLS",
    "faulty",
    "random_faults",
]

#: seen from who holds the stream
Direction: TypeAlias = Literal["receiving", "sending"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of one direction of a stream."""

    on: Direction = "receiving"


@dataclass(frozen=True)
class Delay(Fault):
    """Delays each piece by so many seconds, and randomly by up to ``jitter`` more."""

    seconds: float
    jitter: float = 0.0


@dataclass(frozen=True)
class Split(Fault):
    """Splits data into pieces of ``least`` to ``most`` bytes, by default of one byte each."""

    most: int = 1
    least: int = 1


@dataclass(frozen=True)
class Stall(Fault):
    """Passes nothing on for so many seconds, or forever, once ``at`` bytes have passed."""

    at: int
    seconds: float = math.inf


@dataclass(frozen=True)
class Cut(Fault):
    """Breaks the connection, in both directions, after ``at`` bytes."""

    at: int


@dataclass(frozen=True)
class HalfClose(Fault):
    """Ends this direction cleanly after ``at`` bytes; the other one continues."""

    at: int


@dataclass(frozen=True)
class TornTLS(Fault):
    """For a stream below TLS: ends both directions after ``at`` bytes, without TLS's closing
    alert."""

    at: int


@dataclass(frozen=True)
class Corrupt(Fault):
    """Flips one bit of the byte at ``at``, or of each byte with the probability ``rate``."""

    at: int | None = None
    rate: float = 0.0


def faulty(stream: Any, *faults: Fault, seed: int = 0) -> Any:
    """Wrap a byte stream of the running async library in one with these faults.

    ``stream`` is a `trio.abc.Stream` or, under asyncio, an `anyio.abc.ByteStream`. So is the
    stream that is returned, which owns ``stream``. Random choices are determined by ``seed``.
    """
    return in_form(_Faulty(plain(stream), faults, seed))


def random_faults(seed: int, *, within: int = 4096) -> list[Fault]:
    """One to three random faults, all within so many bytes. They depend only on the seed."""
    chance = random.Random(seed)
    found: list[Fault] = []
    for _ in range(chance.randint(1, 3)):
        on: Direction = chance.choice(("receiving", "sending"))
        position = chance.randrange(within)
        found.append(
            chance.choice(
                (
                    Delay(chance.uniform(0, 0.05), chance.uniform(0, 0.05), on=on),
                    Split(chance.randint(1, 64), on=on),
                    Stall(position, chance.uniform(0, 1), on=on),
                    Cut(position, on=on),
                    HalfClose(position, on=on),
                    Corrupt(position, on=on),
                )
            )
        )
    return found


class _Ended(Exception):
    """This direction has ended cleanly."""


class _Way:
    """One direction: its faults, and its position."""

    def __init__(self, faults: Sequence[Fault], chance: random.Random) -> None:
        self._chance = chance
        self._passed = 0
        self._delays = [fault for fault in faults if isinstance(fault, Delay)]
        self._splits = [fault for fault in faults if isinstance(fault, Split)]
        self._corrupt = [fault for fault in faults if isinstance(fault, Corrupt)]
        places = [f for f in faults if isinstance(f, Stall | Cut | HalfClose | TornTLS)]
        self._places = sorted(places, key=lambda fault: fault.at)

    async def wait(self) -> None:
        """Before the next piece. Raises Broken and _Ended. Cancelled: waits again."""
        rt = runtime()
        for delay in self._delays:
            await rt.sleep(delay.seconds + self._chance.uniform(0, delay.jitter))
        while self._places and self._places[0].at <= self._passed:
            fault = self._places[0]
            if isinstance(fault, Cut | TornTLS):
                raise Broken(f"the line was cut at byte {fault.at}")
            if isinstance(fault, HalfClose):
                raise _Ended
            if fault.seconds == math.inf:
                await rt.Event().wait()
            await rt.sleep(fault.seconds)
            self._places.remove(fault)

    @property
    def torn(self) -> bool:
        """Whether it is broken by a `TornTLS`, which its user sees as an end."""
        return bool(self._places) and isinstance(self._places[0], TornTLS)

    def room(self, most: int) -> int:
        """Bytes of the next piece."""
        if self._places:
            most = min(most, self._places[0].at - self._passed)
        for split in self._splits:
            most = min(most, self._chance.randint(split.least, split.most))
        return most

    def carry(self, data: bytes) -> bytes:
        """A piece as it comes out."""
        start, self._passed = self._passed, self._passed + len(data)
        if not self._corrupt:
            return data
        out = bytearray(data)
        for fault in self._corrupt:
            for n in range(len(out)):
                if start + n == fault.at or (fault.rate and self._chance.random() < fault.rate):
                    out[n] ^= 1 << self._chance.randrange(8)
        return bytes(out)


class _Faulty:
    """A plain stream over a plain stream."""

    def __init__(self, stream: Plain, faults: Sequence[Fault], seed: int) -> None:
        self._stream = stream
        # A stream of chances for each direction: they do not depend on who goes first.
        self._in = _Way([f for f in faults if f.on == "receiving"], random.Random(f"{seed} in"))
        self._out = _Way([f for f in faults if f.on == "sending"], random.Random(f"{seed} out"))
        self._dead: str | None = None

    async def receive(self, most: int) -> bytes:
        if not await self._pass(self._in):
            return b""
        return self._in.carry(await self._stream.receive(self._in.room(most)))

    async def send(self, data: bytes) -> None:
        rest = memoryview(data)
        if not rest:  # nothing passes, but it may be closed
            await self._stream.send(b"")
        while rest:
            if not await self._pass(self._out):
                await self._stream.send_eof()
                raise Broken("this direction has ended")
            piece = bytes(rest[: self._out.room(len(rest))])
            await self._stream.send(self._out.carry(piece))
            rest = rest[len(piece) :]

    async def _pass(self, way: _Way) -> bool:
        """Wait for the next piece; False if the direction has ended. Raises Broken."""
        try:
            if self._dead is not None:
                raise Broken(self._dead)
            await way.wait()
        except _Ended:
            return False
        except Broken as exc:
            torn, self._dead = way.torn, str(exc)
            await self._stream.aclose()
            if torn and way is self._in:
                return False
            raise
        return True

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()
