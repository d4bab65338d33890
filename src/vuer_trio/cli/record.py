"""``vuer-trio record``: record a connection to a file."""

from __future__ import annotations

import argparse
import math
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import trio

from .._client.client import VuerClient
from .._connection.policies import Discard
from .._errors import ConnectionClosed
from .connection import add_connection, add_uri_and_file, new_client, seconds
from .json_text import NAME, printable
from .output import Output
from .recording_file import size_text
from .statuses import CommandFailed, Status

if TYPE_CHECKING:
    from ..record import Recorder

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run", "sum_up"]

HELP = "record the events of a server to a file"
DESCRIPTION = """\
Record what a server sends to a new MCAP file, until Ctrl-C, --seconds, or the server closes.

  vuer-trio record ws://localhost:8012 run.mcap --seconds 60
  vuer-trio record run.mcap --etype SET --etype UPDATE

`vuer-trio info` shows what is in it, `replay` replays it, `export` writes tables and pictures;
`python -m vuer_trio.record export --json` prints it."""

#: seconds between updates of the progress
_REFRESH = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    add_uri_and_file(parser, "the file to create")
    parser.add_argument("--seconds", type=seconds, metavar="TIME", help="end after this time")
    parser.add_argument(
        "--etype",
        action="append",
        metavar="ETYPE",
        help="only events of this type; may be repeated",
    )
    parser.add_argument(
        "--reconnect", action="store_true", help="reconnect when the connection is lost"
    )
    parser.add_argument(
        "--foxglove",
        action="store_true",
        help="also write poses, pictures and JSON as other tools read them",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, no messages")
    add_connection(parser)


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return args.seconds is None


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    from ..record import Recorder

    client = new_client(args, inbox=Discard(), reconnect=args.reconnect or None)
    began = trio.current_time()
    recorder = Recorder(args.file, client, etypes=args.etype, foxglove=args.foxglove)
    created = opened = False
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(recorder)  # before connecting, so that INIT is recorded
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
        if created and not opened:  # it is empty
            args.file.unlink(missing_ok=True)
        if opened:
            sum_up(recorder, trio.current_time() - began, out)
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
    """Show the progress, at a terminal."""
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


def sum_up(recorder: Recorder, elapsed: float, out: Output) -> None:
    """Say what is in the file that was written in ``elapsed`` seconds."""
    written = _messages(recorder.written)
    out.remark(
        f"{recorder.path}: {written} in {elapsed:.1f} s, {size_text(recorder.path.stat().st_size)}"
    )
    counts = sorted(recorder.counts.items(), key=lambda item: -item[1])
    names = [printable(topic, NAME) for topic, _ in counts]
    width = max(map(len, names), default=0)
    for name, (_, count) in zip(names, counts, strict=True):
        out.remark(f"  {name:<{width}}  {count:,}")
    if recorder.dropped:
        out.complain(f"the disk was too slow: {_messages(recorder.dropped)} dropped")


def _messages(count: int) -> str:
    """Format a count."""
    return f"{count:,} message{'' if count == 1 else 's'}"
