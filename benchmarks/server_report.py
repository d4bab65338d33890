"""The table of the servers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from audience import BROADCAST, BURST, IDLE, SESSIONS
from report import Samples, line
from servers import REFERENCE, SERVERS

__all__ = ["SERVER_ROWS", "server_report"]

#: row: (what the column is called, floor, goal)
SERVER_ROWS: dict[str, tuple[str, float, float]] = {
    "idle": ("idle, % of a core", 1.0, 0.1),
    "upserts": (f"upserts, of {BURST:,}", BURST, BURST),
    "broadcast": ("broadcast", 5.0, 10.0),
}


def server_report(samples: Samples) -> str:
    """What was measured of servers, as Markdown."""
    rows = [row for row in SERVER_ROWS if samples[REFERENCE].get(row)]
    shown = [*rows, *(["rate"] if "broadcast" in rows else [])]
    names = [SERVER_ROWS[row][0] if row in SERVER_ROWS else "broadcast, k/s" for row in shown]
    lines = [
        "## Servers",
        "",
        f"In alternating rounds, each server in a process of its own; broadcast is the ratio to "
        f"`{REFERENCE}`,",
        "and beside it the rate. The median, and the range of single rounds. In **bold** what "
        "misses its floor.",
        "",
        line("", names),
        line("---", ["---"] * len(shown)),
        line("floor", [_bound(row, 1) for row in shown]),
        line("goal", [_bound(row, 2) for row in shown]),
    ]
    for name in samples:
        lines.append(line(name, [_cell(samples, name, row) for row in shown]))
    return "\n".join([*lines, "", _NOTES])


def _bound(row: str, place: int) -> str:
    return f"{SERVER_ROWS[row][place]:,g}" if row in SERVER_ROWS else ""


def _cell(samples: Samples, name: str, row: str) -> str:
    if row == "rate":
        return f"{median(samples[name]['broadcast']) / 1000:.4g}"
    mine = samples[name][row]
    if row == "broadcast":
        if name == REFERENCE:
            return "1"
        mine = [a / b for a, b in zip(mine, samples[REFERENCE][row], strict=True)]
    text = _range(mine, "{:,.0f}" if row == "upserts" else "{:.2f}")
    missed = name != REFERENCE and SERVERS[name][1] == "websockets" and _missed(row, median(mine))
    return f"**{text}**" if missed else text


def _range(values: Sequence[float], form: str) -> str:
    middle, low, high = (form.format(v) for v in (median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low}-{high})"


def _missed(row: str, value: float) -> bool:
    floor = SERVER_ROWS[row][1]
    return value > floor if row == "idle" else value < floor


_NOTES = f"""\
- idle: CPU time of a server with {IDLE} sessions in which nothing happens, over five seconds;
  upserts: how many of {BURST:,} in a row, without an await between them, arrive in one session;
  broadcast: {BROADCAST:,} upserts, each to {SESSIONS} sessions: messages that arrive a second.
- `{REFERENCE}` drops all but the newest 100 messages that wait in a session, and has no broadcast.
  Its stream is the fastest of its ways that loses nothing: `session.upsert @` in each session, and
  after every 100 a wait until all queues are empty. Here it is `await app.broadcast.send(event)`.
- The clients are one process on raw sockets, which counts frames, and fails if one is missing.
"""
