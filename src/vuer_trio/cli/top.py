"""``vuer-trio top``: what a server sends, as it changes, and the state of its sessions."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import trio

from .._connection.observers import Direction
from .._connection.policies import Discard
from .._errors import VuerError
from .._websocket.transport import Message
from .connection import add_connection, add_uri, connected, seconds
from .flow import Flows
from .json_text import NAME, printable
from .output import Output
from .server_metrics import ServerMetrics
from .sparkline import sparkline
from .statuses import Status

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from .._client.client import VuerClient

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run"]

HELP = "watch what a server sends, and its sessions"
DESCRIPTION = """\
Show, until Ctrl-C, the events of a server by type: how many and how much a second, how regularly,
how long ago the last one came, and the round trip time. Of a server that was started with
`Vuer(metrics=True)`, also its sessions.

  vuer-trio top ws://robot.local:8012
  vuer-trio top --json | jq .rtt_ms

It is one more client of the server. In a pipe it writes one JSON object a line."""

#: seconds until the first update
_SOON = 0.25
#: round trips that are kept
_TRIPS = 200
#: columns of the two tables: the title, the width of the terminal from which on it is shown, and
#: whether it is a number
_EVENTS = (
    ("type", 0, False),
    ("rate", 0, True),
    ("bytes/s", 0, True),
    ("age", 50, True),
    ("jitter", 60, True),
    ("gaps", 70, True),
    ("events", 100, True),
)
_SESSIONS = (
    ("session", 0, False),
    ("rtt", 0, True),
    ("outbox", 0, True),
    ("dropped", 50, True),
    ("sent", 62, True),
    ("received", 74, True),
    ("skipped", 86, True),
    ("replaced", 98, True),
    ("silence", 110, True),
    ("client", 124, False),
)
#: columns of what is left that a sparkline may have, and the least that is worth it
_SPARK, _LEAST = 60, 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    add_uri(parser)
    parser.add_argument(
        "--interval",
        type=seconds,
        default=0.5,
        metavar="S",
        help="seconds from one update to the next (default: %(default)g)",
    )
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after this time")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line for each update"
    )
    add_connection(parser)


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return args.seconds is None


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    async with connected(args, out, inbox=Discard(), reconnect=True) as client:
        top = _Top(args, out, client)
        with trio.move_on_after(math.inf if args.seconds is None else args.seconds):
            await top.run()
    return Status.DONE


class _Top:
    """One run of the command."""

    def __init__(self, args: argparse.Namespace, out: Output, client: VuerClient) -> None:
        from ..record.layout import glance

        self._args, self._out, self._client = args, out, client
        self._flows = Flows()
        self._metrics = ServerMetrics(args)
        self._trips: deque[float] = deque(maxlen=_TRIPS)  # ms
        self._last_trip: float | None = None
        self._turned = trio.current_time()
        self._due = self._turned + min(_SOON, args.interval)
        self._glance = glance

    async def run(self) -> None:
        """Until cancelled."""
        remove = self._client.observe(self._see)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ping)
                nursery.start_soon(self._metrics.follow, max(1.0, self._args.interval))
                if self._args.json or not self._out.terminal:
                    await self._write()
                with self._out.live(screen=True) as live:
                    if live is None:
                        await self._write()
                    while live is not None:
                        await self._turn()
                        live.update(self._picture(), refresh=True)
        finally:
            remove()

    def _see(self, direction: Direction, messages: Sequence[Message]) -> None:
        if direction == "received":
            now = trio.current_time()
            for message in messages:
                etype, _ = self._glance(message)
                name = "(no event)" if etype is None else printable(etype.partition("@")[0], NAME)
                self._flows.add(name, len(message), now)

    async def _turn(self) -> None:
        """Wait for the next update. The first one comes soon."""
        await trio.sleep_until(self._due)
        now = trio.current_time()
        self._flows.turn(now - self._turned)
        self._turned, self._due = now, max(self._due + self._args.interval, now)

    async def _ping(self) -> None:
        while True:
            began = trio.current_time()
            try:
                await self._client.flush(self._args.timeout)
            except VuerError:
                self._last_trip = None
            else:
                self._last_trip = (trio.current_time() - began) * 1000
                self._trips.append(self._last_trip)
            await trio.sleep(max(0, began + self._args.interval - trio.current_time()))

    # ---- in a pipe

    async def _write(self) -> None:
        while True:
            await self._turn()
            await self._out.write_text(json.dumps(self._as_data()) + "\n")

    def _as_data(self) -> dict[str, Any]:
        now, metrics = trio.current_time(), self._metrics.latest
        trip = self._last_trip
        return {
            "time": round(time.time(), 3),
            "uri": self._client.uri,
            "connected": self._client.connected,
            "rtt_ms": None if trip is None else round(trip, 3),
            "events": [
                {
                    "etype": etype,
                    "count": flow.count,
                    "rate": round(flow.rate, 3),
                    "bytes_per_s": round(flow.bytes_rate, 1),
                    "jitter_ms": round(flow.jitter * 1000, 3),
                    "age_s": round(now - flow.last, 3),
                    "gaps": flow.gaps,
                }
                for etype, flow in self._flows
            ],
            "server": None if metrics is None else metrics.get("server"),
            "sessions": None if metrics is None else metrics["sessions"],
        }

    # ---- at a terminal

    def _picture(self) -> RenderableType:
        from rich.console import Group

        parts: list[RenderableType] = [self._head(), self._events()]
        metrics = self._metrics.latest
        if metrics is not None:
            parts += ["", self._sessions(metrics["sessions"])]
        elif self._metrics.why:
            parts += ["", self._out.styled(printable(self._metrics.why), "dim")]
        return Group(*parts)

    def _head(self) -> RenderableType:
        from rich.text import Text

        width, trip = self._out.width, self._last_trip
        state = "no connection" if not self._client.connected else "round trip "
        told = "-" if trip is None else f"{trip:.2f} ms"
        line = Text(overflow="ellipsis", no_wrap=True)
        line.append_text(self._out.styled(self._client.uri, "bold"))
        line.append("\n")
        line.append_text(self._out.styled(state, "dim" if self._client.connected else "red"))
        if self._client.connected:
            line.append(f"{told}  ")
            room = min(_SPARK, width - len(line.plain.splitlines()[-1]) - 1)
            line.append_text(self._out.styled(sparkline(self._trips, room), "cyan"))
        line.append("\n")
        return line

    def _events(self) -> Table:
        width, now = self._out.width, trio.current_time()
        columns = [column for column in _EVENTS if width >= column[1]]
        rows = [
            [
                etype,
                f"{flow.rate:,.1f}",
                _amount(flow.bytes_rate),
                _age(now - flow.last),
                f"{flow.jitter * 1000:.1f} ms",
                f"{flow.gaps:,}",
                f"{flow.count:,}",
            ]
            for etype, flow in self._flows
        ]
        lines = [flow.history for _, flow in self._flows]
        return self._table(columns, [row[: len(columns)] for row in rows], lines)

    def _sessions(self, sessions: list[Any]) -> Table:
        width = self._out.width
        columns = [column for column in _SESSIONS if width >= column[1]]
        rows = []
        for session in sessions:
            found = session if isinstance(session, dict) else {}
            rtt, silence = _number(found, "rtt"), _number(found, "silence")
            row = [
                printable(str(found.get("peer", "?")), NAME),
                f"{rtt * 1000:.1f} ms" if found.get("rtt") is not None else "-",
                _amount(_number(found, "outbox_bytes")),
                *(
                    f"{_number(found, name):,.0f}"
                    for name in ("dropped", "sent", "received", "skipped", "replaced")
                ),
                _age(silence),
                printable(str(found.get("client", "")), NAME),
            ]
            rows.append(row[: len(columns)])
        return self._table(columns, rows, None)

    def _table(
        self,
        columns: Sequence[tuple[str, int, bool]],
        rows: Sequence[Sequence[str]],
        lines: Sequence[Sequence[float]] | None,
    ) -> Table:
        """Numbers are whole at any width; the first column is what gives way."""
        from rich.table import Table
        from rich.text import Text

        widths = [
            max([len(title), *(len(row[at]) for row in rows)])
            for at, (title, _, _) in enumerate(columns)
        ]
        numbers = sum(widths[1:]) + 2 * (len(columns) - 1)
        first = max(4, min(widths[0], self._out.width - numbers))
        room = min(_SPARK, self._out.width - first - numbers - 2)
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
        for at, (title, _, is_number) in enumerate(columns):
            table.add_column(
                self._out.styled(title, "dim"),
                justify="right" if is_number else "left",
                width=first if at == 0 else widths[at],
                no_wrap=True,
                overflow="ellipsis",
            )
        spark = lines is not None and room >= _LEAST
        if spark:
            table.add_column("", width=room, no_wrap=True)
        for at, row in enumerate(rows):
            cells = [Text(cell) for cell in row]
            if spark and lines is not None:
                cells.append(self._out.styled(sparkline(lines[at], room), "cyan"))
            table.add_row(*cells)
        return table


def _number(found: dict[str, Any], name: str) -> float:
    value = found.get(name)
    try:
        return float(value) if isinstance(value, int | float) else 0.0
    except OverflowError:  # an int of hundreds of digits
        return math.inf


def _amount(count: float) -> str:
    """Bytes, in four characters or so."""
    for unit in ("", "k", "M", "G"):
        if count < 1000 or unit == "G":
            return f"{count:.0f}" if not unit else f"{count:.1f}{unit}"
        count /= 1000
    raise AssertionError


def _age(elapsed: float) -> str:
    if elapsed < 100:
        return f"{max(0.0, elapsed):.1f} s"
    return f"{elapsed / 60:.0f} min" if elapsed < 6000 else f"{elapsed / 3600:.0f} h"
