"""The table of the clients."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from statistics import median

from clients import CLIENTS, REFERENCE
from rows import ROWS

__all__ = ["FEWER_IS_BETTER", "TURNS", "Samples", "line", "machine", "report"]

#: row: (floor on Trio, floor on asyncio, goal); ratios to `vuer.VuerClient`
_FLOORS: dict[str, tuple[float, float, float]] = {
    "fire": (5.0, 5.0, 8.0),
    "send": (3.5, 2.7, 5.5),
    "iterate": (2.2, 1.6, 3.5),
    "16 MiB out": (1.8, 1.5, 2.7),
    "16 MiB in": (1.1, 1.1, 1.6),
    "round trips": (1.05, 1.15, 1.4),
    "CPU": (1.2, 1.2, 0.8),
    "import": (0.42, 0.42, 0.25),
}
FEWER_IS_BETTER = ("CPU", "import")
#: of its floors, what a bare install, whose transport on Trio is trio-websocket, is held to
BARE = 0.9
#: how often each rate is measured in a round, of which the best counts
TURNS = 4
_UNITS = {name: unit for name, (_, unit) in ROWS.items()} | {"CPU": "%", "import": "ms"}
_SCALE = {"k/s": 1e-3, "ms": 1e3}

#: client: row: what was measured, in the order of the rounds
Samples = Mapping[str, Mapping[str, Sequence[float]]]


def report(samples: Samples) -> str:
    """What was measured of clients, as Markdown."""
    rows = [row for row in _FLOORS if samples[REFERENCE].get(row)]
    lines = [
        "## Clients",
        "",
        f"Ratios to `{REFERENCE}` in alternating rounds: the median, and the range of single "
        "rounds.",
        "More is better, but for CPU and import, where less is.",
        "In **bold** what misses its floor. The floors are those of websockets, the transport that "
        "the extra `all`",
        "selects; trio-websocket, that of a bare install, is held to them less a tenth.",
        "",
        line("", rows),
        line("---", ["---"] * len(rows)),
        line("floor, Trio", [f"{_FLOORS[row][0]:g}" for row in rows]),
        line("floor, asyncio", [f"{_FLOORS[row][1]:g}" for row in rows]),
        line("goal", [f"{_FLOORS[row][2]:g}" for row in rows]),
    ]
    for name in samples:
        if name != REFERENCE:
            lines.append(line(name, [_ratio(samples, name, row) for row in rows]))
    lines += ["", "As measured, medians:", "", line("", [f"{r}, {_UNITS[r]}" for r in rows])]
    lines.append(line("---", ["---"] * len(rows)))
    for name in samples:
        lines.append(line(name, [_absolute(samples, name, row) for row in rows]))
    return "\n".join([*lines, "", _NOTES])


def line(first: str, cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {first} | {' | '.join(cells)} |"


def _ratio(samples: Samples, name: str, row: str) -> str:
    mine, theirs = samples[name].get(row), samples[REFERENCE][row]
    if not mine:
        return ""
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    middle = median(ratios)
    shown = f"{middle:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    return f"**{shown}**" if _missed(name, row, middle) else shown


def _missed(name: str, row: str, ratio: float) -> bool:
    runtime, transport = CLIENTS.get(name, ("", ""))
    if row != "import" and (not runtime or transport == "wsproto"):
        return False
    floor = _FLOORS[row][0 if runtime == "trio" else 1]
    part = BARE if transport == "trio-websocket" else 1.0
    return ratio > floor / part if row in FEWER_IS_BETTER else ratio < floor * part


def _absolute(samples: Samples, name: str, row: str) -> str:
    mine = samples[name].get(row)
    return f"{median(mine) * _SCALE.get(_UNITS[row], 1):.4g}" if mine else ""


def machine(rounds: int, load: float) -> str:
    """What it was measured on, and with."""
    packages = ("vuer-trio", "vuer", "trio", "anyio", "uvloop", "trio-websocket", "websockets")
    versions = [f"{name} {version(name)}" for name in (*packages, "wsproto", "msgpack", "aiohttp")]
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}; {rounds} rounds; load "
        f"average before the first {load:.1f} (over 0.5: others used the machine, and the ranges "
        f"are theirs).\n{', '.join(versions)}.\n"
    )


_NOTES = f"""\
- fire: 20,000 `client.send @ pose`, until the peer has read them; send: the same with
  `await client.send(pose)`; iterate: 20,000 updates with `async for`, their data touched; 16 MiB:
  twelve messages; round trips: by the median of 2,000; CPU: 100 clients in one process, each with
  60 poses a second and an answer to each, as a share of one core; import: of the client's class.
- A pose is 266 bytes, 178 from `{REFERENCE}`, which sends 32-bit floats; an update is 106.
- The peer is `peer.py`, on raw sockets. It declines compression, which `{REFERENCE}` offers and a
  real Vuer server accepts, at a cost that is not in this table.
- Where other machines share a processor, a bare loop of Python may take 65 ms now and 120 ms a
  second later. So clients take turns, {TURNS} in each round, and of a rate the best one counts.
- "raw socket" is what the peer can do: a blocking socket that sends what was framed before, and
  counts the frames it receives. It has no codec, no masking and no event loop.
- Each row warms up before it is timed. In each round every client has a new process.
- On Trio the reader lets the task that it woke answer a quick peer before it arms its socket again;
  that alone makes a sixth more round trips. Those of a slow peer, as in the row CPU, are read
  without it.
- What holds iterate: of 4 us an event, when the machine is at its quickest, 1.2 are msgpack's
  `unpackb`, 0.5 the rest of making an event of it, 0.8 the coroutine and the box, 0.3 Trio's check
  for a cancellation at each event (asyncio needs none), 0.2 splitting, 0.15 the benchmark's own
  look at the data; the rest is 30 reads, 300 turns of the loop, and a cache that others share.
- What holds send: of 6 us a message, likewise, 0.9 are msgpack's packer, 0.5 the map of an event,
  0.5 the look for keys that are no strings, 0.45 the event's own making, 0.6 masking and framing,
  0.3 the check for a cancellation, 1.0 the calls and the box; the rest is the loop and writes.
- Tried, and not worth it: `Unpacker.feed` over a whole read takes 1.08 times as long as `unpackb`
  of each message; an event without an `__init__` saves 0.1 us of 3; ormsgpack unpacks an update in
  0.6 of the time and packs a hand in 0.2, but it would leave a bare install a third behind.
- What holds round trips under asyncio: two turns of its loop for each, which nothing of ours
  shortens; more turns, so that it polls instead of sleeping, gained nothing either.
- What holds import, which is at its floor: of 100 ms, 48 are Trio's, with `attrs` and `ssl`, and 24
  in 68 modules of ours.
- What holds CPU on Trio: each echo waits for the clock, at the send, for the socket and for the
  answer. A profile has two fifths in Trio's scheduler, where asyncio has a fifth, a quarter in
  ours, a quarter in the system's calls. {REFERENCE} parses and frames in C. Where this was looked
  at with other rates, 20 Hz took 1.3 and asyncio 0.8 of what {REFERENCE} took, 120 Hz 1.0 and 0.8.
"""
