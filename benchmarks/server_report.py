"""The table of the servers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from audience import BROADCAST, BURST, CONNECTIONS, HANDS, IDLE, LARGE, POSES, SESSIONS, TRIPS
from report import Samples, line
from servers import REFERENCE, SERVERS

__all__ = ["SERVER_ROWS", "server_report"]

#: row: (unit, factor, floor, goal); rates, and what is shown of them are ratios
_RATES: dict[str, tuple[str, float, float, float]] = {
    "small events": ("k/s", 1e-3, 1.7, 3.0),
    "hand events": ("k/s", 1e-3, 1.1, 2.0),
    "server trips": ("k/s", 1e-3, 1.0, 1.3),
    "connections": ("1/s", 1.0, 1.0, 2.0),
    "TLS connections": ("1/s", 1.0, 1.0, 1.5),
    "TLS in": ("MiB/s", 1.0, 1.0, 1.2),
    "broadcast": ("k/s", 1e-3, 10.0, 25.0),
}
#: row: (unit, form, floor, goal)
_AMOUNTS: dict[str, tuple[str, str, float, float]] = {
    "memory": ("KiB", "{:.1f}", 40, 12),
    "idle": ("% of a core", "{:.2f}", 1.0, 0.1),
    "upserts": (f"of {BURST:,}", "{:,.0f}", BURST, BURST),
}
_LESS_IS_BETTER = ("memory", "idle")
SERVER_ROWS = (*_RATES, *_AMOUNTS)
#: the bare install is held to the same floors less a tenth
_BARE = 0.9


def server_report(samples: Samples) -> str:
    """What was measured of servers, as Markdown."""
    rates = [row for row in _RATES if samples[REFERENCE].get(row)]
    amounts = [row for row in _AMOUNTS if samples[REFERENCE].get(row)]
    rows = [*rates, *amounts]
    titles = [*rates, *(f"{row}, {_AMOUNTS[row][0]}" for row in amounts)]
    lines = [
        "## Servers",
        "",
        f"In alternating rounds, each server in a process of its own. Rates are ratios to "
        f"`{REFERENCE}`, of which",
        "more is better; the other rows are amounts. The median, and the range of single rounds. "
        "In **bold** what",
        "misses its floor, which for a bare install, whose transport is trio-websocket, is a tenth "
        "lower.",
        "",
        line("", titles),
        line("---", ["---"] * len(rows)),
        line("floor", [f"{_bounds(row)[0]:,g}" for row in rows]),
        line("goal", [f"{_bounds(row)[1]:,g}" for row in rows]),
    ]
    for name in samples:
        shown = ["1" if name == REFERENCE else _ratio(samples, name, row) for row in rates]
        lines.append(line(name, shown + [_amount(samples, name, row) for row in amounts]))
    if rates:
        lines += ["", "Rates as measured, medians:", ""]
        lines.append(line("", [f"{row}, {_RATES[row][0]}" for row in rates]))
        lines.append(line("---", ["---"] * len(rates)))
        for name in samples:
            lines.append(line(name, [_rate(samples, name, row) for row in rates]))
    return "\n".join([*lines, "", _NOTES])


def _bounds(row: str) -> tuple[float, float]:
    """The floor and the goal of a row."""
    return _RATES[row][2:] if row in _RATES else _AMOUNTS[row][2:]


def _ratio(samples: Samples, name: str, row: str) -> str:
    pairs = zip(samples[name][row], samples[REFERENCE][row], strict=True)
    return _range(name, row, [mine / theirs for mine, theirs in pairs], "{:.2f}")


def _amount(samples: Samples, name: str, row: str) -> str:
    return _range(name, row, samples[name][row], _AMOUNTS[row][1])


def _rate(samples: Samples, name: str, row: str) -> str:
    return f"{median(samples[name][row]) * _RATES[row][1]:.4g}"


def _range(name: str, row: str, values: Sequence[float], form: str) -> str:
    middle, low, high = (form.format(v) for v in (median(values), min(values), max(values)))
    text = middle if low == high else f"{middle} ({low}-{high})"
    return f"**{text}**" if _missed(name, row, median(values)) else text


def _missed(name: str, row: str, value: float) -> bool:
    if name == REFERENCE:
        return False
    floor = _bounds(row)[0]
    part = 1.0 if SERVERS[name][1] == "websockets" or row == "upserts" else _BARE
    return value > floor / part if row in _LESS_IS_BETTER else value < floor * part


_NOTES = f"""\
- small events: {POSES[0]:,} poses of 266 bytes, until a handler has had them; hand events:
  {HANDS[0]:,} of 800 floats, likewise; server trips: an event to a handler and its answer, by the
  median of {TRIPS:,}; connections: handshake, INIT, SET, close frame and its answer, the end of
  the stream, {CONNECTIONS} times, one after another; with TLS the same, without resumption, and
  {LARGE[0]} messages of 1 MiB to a handler.
- memory: what the process takes more for each of {IDLE} sessions after a first one; idle: its CPU
  time with {IDLE} sessions in which nothing happens, over five seconds;
  upserts: how many of {BURST:,} in a row, without an await between them, arrive in one session;
  broadcast: {BROADCAST:,} upserts, each to {SESSIONS} sessions: messages that arrive a second.
- `{REFERENCE}` drops all but the newest 100 messages that wait in a session, and has no broadcast.
  Its stream is the fastest of its ways that loses nothing: `session.upsert @` in each session, and
  after every 100 a wait until all queues are empty. Here it is `await app.broadcast.send(event)`.
- The clients are one process on raw sockets, which counts frames, and fails if one is missing.
  What it sends was framed before.
- What holds connections on Trio: no one thing, but 3,200 calls for each: four tasks, eleven scopes
  and ten turns of the loop, of which Trio's scheduler makes a quarter of the calls, the request and
  who may send it, the scene and its packing. On trio-websocket there were 4,760 calls and 18 turns,
  with the package's own handshake behind ours and its tasks for each connection; 3,270 and ten are
  left.
- What holds hand events on Trio, at 22 us each: 11 are msgpack's `unpackb` and the memory of 800
  floats; reading and unmasking 7 KiB, and 48 calls, of Python and of C, are the rest.
- What holds server trips: the reference's server looks for work again without sleeping, so that it
  is not woken by the system for each trip.
- What holds the memory of a session under asyncio: twelve KiB of it are anyio's, two events and a
  scope for each of four tasks, and the scopes of its groups.
"""
