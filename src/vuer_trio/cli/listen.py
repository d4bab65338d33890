"""``vuer-trio listen``: the events of a server, as they arrive."""

from __future__ import annotations

import argparse
import math
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import trio

from .._client.client import VuerClient
from .._errors import ConnectionClosed, ProtocolError
from ..events import ServerEvent, canonical
from .connection import add_connection, add_uri, connected, count, seconds
from .json_text import NAME, brief, dump, printable
from .output import Output, Part
from .rates import Rates
from .statuses import CommandFailed, Status

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run"]

HELP = "show the events of a server as they arrive"
DESCRIPTION = """\
Show the events of a server as they arrive, and the rate of each type.

  vuer-trio listen ws://localhost:8012 --etype UPDATE --etype UPSERT
  vuer-trio listen --json --count 100 > events.jsonl

It ends on Ctrl-C, after --count or --seconds, or when the server closes the connection. The rates
are shown below the events at a terminal, and on stderr at the end."""

#: seconds between updates of the rates
_REFRESH = 0.25
#: maximum events per write
_BATCH = 64
#: number of types whose rates are shown while it runs
_ROWS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    add_uri(parser)
    parser.add_argument(
        "--etype",
        action="append",
        default=[],
        metavar="ETYPE",
        help="only events of this type; may be repeated, may be a pattern ('GRAB_*')",
    )
    parser.add_argument(
        "--json", action="store_true", help='one JSON object a line; bytes are {"$bytes": base64}'
    )
    parser.add_argument("--count", type=count, metavar="N", help="end after N events")
    parser.add_argument("--seconds", type=seconds, metavar="TIME", help="end after this time")
    parser.add_argument("--full", action="store_true", help="do not cut long lines at a terminal")
    parser.add_argument("-q", "--quiet", action="store_true", help="no rates, no messages")
    add_connection(parser)


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return args.count is None and args.seconds is None


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    async with connected(args, out) as client:
        return await _Listening(args, out, client).run()


class _Listening:
    def __init__(self, args: argparse.Namespace, out: Output, client: VuerClient) -> None:
        self._args, self._out, self._client = args, out, client
        self._rates = Rates(trio.current_time())
        self._wanted = [canonical(etype) for etype in args.etype]
        self._left = math.inf if args.count is None else args.count
        self._broken = 0  # frames that are not events

    async def run(self) -> int:
        if self._out.error_terminal and not self._args.quiet:
            end = "; Ctrl-C ends" if endless(self._args) else ""
            self._out.remark((f"connected to {self._client.uri}{end}", "dim"))
        limit = math.inf if self._args.seconds is None else self._args.seconds
        try:
            with trio.move_on_after(limit):
                return await self._receive()
            return self._finished("time limit reached", Status.LATE)
        except ConnectionClosed as exc:
            if not exc.normal:
                raise
            if not self._args.quiet:
                self._out.remark(printable(str(exc)))
            return self._finished("the server has closed the connection", Status.CLOSED)
        finally:
            self._sum_up()

    def _finished(self, why: str, status: Status) -> int:
        if self._args.count is None:
            return Status.DONE
        got = self._args.count - self._left
        raise CommandFailed(f"{why} after {got} of {self._args.count} events", status)

    def _sum_up(self) -> None:
        if self._args.quiet or self._out.abandoned:
            return
        for line in self._rates.summary(trio.current_time()):
            self._out.remark(line)
        if self._broken:
            many = "frame was not an event" if self._broken == 1 else "frames were not events"
            self._out.remark(f"{self._broken:,} {many}")

    async def _receive(self) -> int:
        if self._args.quiet:
            while self._left:
                await self._batch(math.inf)
            return Status.DONE
        due = self._rates.began + _REFRESH
        with self._out.live() as live, self._out.saving("waiting for events") as tell:
            while self._left:
                await self._batch(_REFRESH)
                now = trio.current_time()
                if now >= due:
                    due = now + _REFRESH
                    if live is not None:
                        live.update(self._picture(now), refresh=True)
                    tell(self._rates.summary(now)[0])
        return Status.DONE

    async def _batch(self, patience: float) -> None:
        events: list[ServerEvent] = []
        try:
            with trio.move_on_after(patience):
                events = await self._client.recv_many(_BATCH)
        except ProtocolError as exc:
            self._broken += 1
            if not self._args.quiet:
                self._out.remark(f"a frame that is not an event: {printable(str(exc))}")
        await self._write([event for event in events if self._wants(event)])

    def _wants(self, event: ServerEvent) -> bool:
        name = canonical(event.etype)
        return not self._wanted or any(fnmatchcase(name, pattern) for pattern in self._wanted)

    async def _write(self, events: list[ServerEvent]) -> None:
        lines: list[list[Part]] = []
        for event in events:
            if not self._left:
                break
            self._left -= 1
            self._rates.add(printable(event.etype, NAME))
            lines.append(self._line(event))
        self._out.finished = not self._left  # the reader may exit as soon as it has this
        if self._out.terminal:
            self._out.lines(lines)
        elif lines:
            await self._out.write_text("".join(f"{self._out.text(line)}\n" for line in lines))

    def _line(self, event: ServerEvent) -> list[Part]:
        try:
            if self._args.json:
                return [dump(event.raw)]
            cut = self._out.terminal and not self._args.full
            return _shown(event, self._out.width if cut else None, self._out.ellipsis)
        except RecursionError:
            return [printable(event.etype, NAME), " (nested too deeply to be shown)"]

    def _picture(self, now: float) -> Table:
        """The current rates."""
        from rich.table import Table

        rates = self._rates.now(now)
        table = Table.grid(padding=(0, 2))
        for side in ("left", "right", "right"):
            table.add_column(justify=side)
        table.add_row("")
        heads = [self._out.styled(text, "dim") for text in ("type", "events", "rate")]
        table.add_row(*heads)
        for etype, n in self._rates.counts.most_common(_ROWS):
            table.add_row(self._out.styled(etype, "bold"), f"{n:,}", f"{rates[etype]:.1f}/s")
        if (more := len(self._rates.counts) - _ROWS) > 0:
            table.add_row(f"and {more:,} more", "", "")
        return table


def _shown(event: ServerEvent, width: int | None, ellipsis: str) -> list[Part]:
    """Format an event: time of arrival, type, data and other fields."""
    raw: dict[str, Any] = dict(event.raw)
    time = datetime.now().strftime("%H:%M:%S.%f")[:-3]
    etype = printable(raw.pop("etype"), NAME)
    raw.pop("ts", None)
    body = raw.pop("data") if "data" in raw else raw.pop("value", None)
    head = f"{time}  {etype:<8}  "
    rest = "".join(f"  {printable(key, NAME)}: {brief(item, width)}" for key, item in raw.items())
    room = None if width is None else max(width - len(head) - len(rest), 16)
    tail = f"{brief(body, room)}{rest}"
    if width is not None:
        tail = _cut(tail, width - len(head)).replace("…", ellipsis)
    return [(f"{time}  ", "dim"), (f"{etype:<8}", "bold"), f"  {tail}"]


def _cut(text: str, width: int) -> str:
    """Cut text to ``width`` columns; some characters take two."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"
