"""``vuer-trio record``: a connection into a file."""

from __future__ import annotations

import argparse
import math
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from .._client.client import VuerClient
from .._connection.policies import Discard
from .._errors import ConnectionClosed
from .connection import add_connection, add_uri, new_client, seconds
from .json_text import NAME, printable
from .output import Output
from .statuses import CommandFailed, Status

if TYPE_CHECKING:
    from ..record import Recorder

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run"]

HELP = "record the events of a server into a file"
DESCRIPTION = """\
Record what a server sends into a new MCAP file, until Ctrl-C, --seconds, or the server's end.

  vuer-trio record ws://localhost:8012 run.mcap --seconds 60
  vuer-trio record run.mcap --etype SET --etype UPDATE

`vuer-trio replay` plays it again; `python -m vuer_trio.record export --json` prints it."""

#: seconds between two looks at how far it is
_REFRESH = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    add_uri(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="a file that is not there yet")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after this time")
    parser.add_argument(
        "--etype",
        action="append",
        metavar="ETYPE",
        help="only events of this type; may be repeated",
    )
    parser.add_argument(
        "--reconnect", action="store_true", help="go on when the connection is lost"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, no remarks")
    add_connection(parser)


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return args.seconds is None


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    from ..record import Recorder

    client = new_client(args, inbox=Discard(), reconnect=args.reconnect or None)
    began = trio.current_time()
    recorder = Recorder(args.file, client, etypes=args.etype)
    created = opened = False
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(recorder)  # first: INIT is recorded as well
            created = True
            with out.working(f"connecting to {client.uri}"):
                await stack.enter_async_context(client)
            opened = True
            began = trio.current_time()
            await _until_its_end(args, out, client, recorder, began)
    except FileExistsError:
        raise CommandFailed(f"{args.file} already exists; choose another name") from None
    except ImportError as exc:
        raise CommandFailed(str(exc)) from exc
    finally:
        if created and not opened:  # there is nothing in it
            args.file.unlink(missing_ok=True)
        if opened and not args.quiet:
            _sum_up(recorder, trio.current_time() - began, out)
    return Status.DONE


async def _until_its_end(
    args: argparse.Namespace, out: Output, client: VuerClient, recorder: Recorder, began: float
) -> None:
    limit = math.inf if args.seconds is None else args.seconds
    async with trio.open_nursery() as nursery:
        if not args.quiet:
            nursery.start_soon(_show_progress, args, out, recorder, began)
        closed = False
        with trio.move_on_after(limit):
            await client.wait_closed()
            closed = True
        nursery.cancel_scope.cancel()
    if closed:
        try:
            await client.recv()
        except ConnectionClosed as exc:
            if not exc.normal:
                raise
            if not args.quiet:
                out.remark(printable(str(exc)))


async def _show_progress(
    args: argparse.Namespace, out: Output, recorder: Recorder, began: float
) -> None:
    """At a terminal, a line that changes."""
    if not out.error_terminal:
        return
    with out.working(f"recording to {args.file}") as tell:
        while True:
            tell(_told(args, recorder, trio.current_time() - began))
            await trio.sleep(_REFRESH)


def _told(args: argparse.Namespace, recorder: Recorder, elapsed: float) -> str:
    whole = "" if args.seconds is None else f" of {args.seconds:g}"
    end = "; Ctrl-C ends" if endless(args) else ""
    dropped = f", {recorder.dropped:,} dropped" if recorder.dropped else ""
    return (
        f"recording to {args.file}: {_messages(recorder.written)}{dropped}, "
        f"{elapsed:.0f}{whole} s{end}"
    )


def _sum_up(recorder: Recorder, elapsed: float, out: Output) -> None:
    written = _messages(recorder.written)
    out.remark(f"{recorder.path}: {written} in {elapsed:.1f} s, {_size_of(recorder.path)}")
    counts = sorted(recorder.counts.items(), key=lambda item: -item[1])
    names = [printable(topic, NAME) for topic, _ in counts]
    width = max(map(len, names), default=0)
    for name, (_, count) in zip(names, counts, strict=True):
        out.remark(f"  {name:<{width}}  {count:,}")
    if recorder.dropped:
        out.complain(f"the disk was too slow: {_messages(recorder.dropped)} dropped")


def _messages(count: int) -> str:
    """So many."""
    return f"{count:,} message{'' if count == 1 else 's'}"


def _size_of(path: Path) -> str:
    """Of a file, for people."""
    size = path.stat().st_size / 1000
    return f"{size:.1f} KB" if size < 1000 else f"{size / 1000:.1f} MB"
