"""``vuer-trio ping``: the round trip time to a server."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from contextlib import nullcontext

import trio

from .._connection.policies import Discard
from .._errors import CallTimeout
from .connection import add_connection, add_uri, connected, count, seconds
from .output import Output
from .sparkline import sparkline
from .statuses import Status

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "percentile", "run", "summary"]

HELP = "measure the round trip time to a server"
DESCRIPTION = """\
Send WebSocket pings to a server, one after another, and show how long the answers take.

  vuer-trio ping ws://robot.local:8012 --count 1000 --interval 0.01

A server answers when it has read everything sent before."""

_PERCENTILES = (50, 90, 99)
#: round trips in a sparkline
_SPARK = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    add_uri(parser)
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument(
        "--count", type=count, default=10, metavar="N", help="pings (default: %(default)s)"
    )
    how_many.add_argument("--forever", action="store_true", help="ping until Ctrl-C")
    parser.add_argument(
        "--interval",
        type=seconds,
        default=0.2,
        metavar="TIME",
        help="from one ping to the next (default: %(default)g s)",
    )
    parser.add_argument("--json", action="store_true", help="only the result, as a JSON object")
    add_connection(parser)


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return bool(args.forever)


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    trips: list[float] = []  # milliseconds
    sent = 0
    async with connected(args, out, inbox=Discard()) as client:
        began = trio.current_time()
        waiting = out.working if args.json else out.saving
        try:
            drawing = nullcontext() if args.json else out.live()
            with waiting("pinging") as tell, drawing as live:
                while args.forever or sent < args.count:
                    await trio.sleep_until(began + sent * args.interval)
                    sent += 1
                    pinged = trio.current_time()
                    try:
                        await client.flush(args.timeout)
                    except CallTimeout:
                        out.complain(f"ping {sent}: no answer within {args.timeout:g} s")
                        continue
                    trips.append((trio.current_time() - pinged) * 1000)
                    tell(f"{sent:,} sent")
                    if not (args.json or args.quiet):
                        out.line((f"{sent:>5}  ", "dim"), f"{trips[-1]:.2f} ms")
                    if live is not None:
                        live.update(out.styled(_bars(trips, out), "cyan"), refresh=True)
        finally:
            if sent and not out.abandoned:
                _sum_up(client.uri, sent, trips, args, out)
                out.finished = True
    return Status.DONE if len(trips) == sent else Status.LATE


def _sum_up(
    uri: str, sent: int, trips: Sequence[float], args: argparse.Namespace, out: Output
) -> None:
    result = summary(trips)
    if args.json:
        out.line(json.dumps({"uri": uri, "sent": sent, "answered": len(trips), "ms": result}))
        return
    out.line(f"{uri}: {sent:,} sent, {len(trips):,} answered")
    if result:
        told = "  ".join(f"{name} {value:.2f}" for name, value in result.items())
        out.line(("round trip in ms:  ", "dim"), told)
        if out.terminal:
            out.line((_bars(trips, out), "cyan"))


def _bars(trips: Sequence[float], out: Output) -> str:
    """The last round trips, as wide as the terminal at most."""
    return sparkline(trips, min(_SPARK, out.width - 1))


def summary(trips: Sequence[float]) -> dict[str, float]:
    """Summarise round trip times; empty without any."""
    if not trips:
        return {}
    ordered = sorted(trips)
    return {
        "min": round(ordered[0], 3),
        **{f"p{p}": round(percentile(ordered, p), 3) for p in _PERCENTILES},
        "max": round(ordered[-1], 3),
    }


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that ``percent`` percent of the values do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
