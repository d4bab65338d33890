"""``vuer-trio replay``: a recording, played again to a server or to clients."""

from __future__ import annotations

import argparse
import errno
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from .._client.client import VuerClient
from .._connection.policies import Discard
from .._nursery import open_plain_nursery
from .._runtime import runtime
from .connection import add_connection, add_uri, connected
from .json_text import NAME, printable
from .output import Output
from .statuses import CommandFailed, Status

if TYPE_CHECKING:
    from ..record import Recording, Script
    from ..server import VuerSession

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run"]

HELP = "play a recording again, to a server or as one"
DESCRIPTION = """\
Send what a recorded client has sent to a server, at the same pace. With --serve it is a server,
which sends what the recorded server has sent to each client that connects.

  vuer-trio replay run.mcap ws://localhost:8012 --speed 2
  vuer-trio replay run.mcap --serve --port 8012 --loop"""

#: seconds between two looks at how far it is
_REFRESH = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an MCAP file of `record`")
    add_uri(parser)
    parser.add_argument(
        "--speed",
        type=speed,
        default=1.0,
        metavar="X",
        help="2 is twice as fast, inf does not wait at all (default: %(default)g)",
    )
    parser.add_argument("--loop", action="store_true", help="begin again at the end")
    parser.add_argument(
        "--etype", action="append", metavar="ETYPE", help="only this type; may be repeated"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, no remarks")
    group = parser.add_argument_group("as a server")
    group.add_argument("--serve", action="store_true", help="serve it, until Ctrl-C")
    group.add_argument("--host", help="where to listen (default: localhost, this machine)")
    group.add_argument(
        "--port", type=int, help="0 for any free one (default: VUER_PORT, else 8012)"
    )
    add_connection(parser)


def speed(text: str) -> float:
    """A positive factor, perhaps infinite."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:  # a NaN is not
        raise argparse.ArgumentTypeError(f"must be a number above 0, or inf, got {text!r}")
    return value


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return bool(args.serve or args.loop)


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    if args.serve and args.uri is not None:
        raise CommandFailed("--serve listens and does not connect; leave the URI out", Status.USAGE)
    if not args.serve and (args.host, args.port) != (None, None):
        raise CommandFailed("--host and --port are for --serve", Status.USAGE)
    with _damages_told(out):
        recording = _opened(args.file)
        if args.serve:
            await _serve(args, out, recording)
        else:
            await _play(args, out, recording)
    return Status.DONE


@contextmanager
def _damages_told(out: Output) -> Iterator[None]:
    """What is lost of a recording is a line on stderr."""
    from ..record import DamagedRecording

    def tell(message: Warning | str, *args: Any, **more: Any) -> None:
        out.complain(printable(str(message)))

    with warnings.catch_warnings():
        warnings.simplefilter("always", DamagedRecording)
        warnings.showwarning = tell
        yield


def _opened(path: Path) -> Recording:
    from ..record import NotARecording, open_recording

    try:
        return open_recording(path)
    except (NotARecording, ImportError) as exc:
        raise CommandFailed(printable(str(exc))) from exc
    except OSError as exc:
        raise CommandFailed(f"{path}: {exc.strerror or exc}") from exc


# ---- as a client


async def _play(args: argparse.Namespace, out: Output, recording: Recording) -> None:
    from ..record import replay

    async with connected(args, out, inbox=Discard()) as client:
        played = _Played(recording.script("client", etypes=args.etype), client)
        began = trio.current_time()
        try:
            async with open_plain_nursery(runtime()) as nursery:
                if not args.quiet:
                    whole = recording.duration
                    nursery.start_soon(_show_progress, args, out, played, whole)
                await replay(played, played.send, speed=args.speed, loop=args.loop)
                await client.flush(args.timeout)
                nursery.cancel_scope.cancel()
        finally:
            if not args.quiet:
                took = trio.current_time() - began
                many = f"{played.sent:,} event{'' if played.sent == 1 else 's'}"
                out.remark(f"{many} sent in {took:.1f} s")


class _Played:
    """A script, and how far it is."""

    def __init__(self, script: Script, client: VuerClient) -> None:
        self._script, self._client = script, client
        self.sent = 0
        self.at = 0.0  # seconds of the recording

    def __iter__(self) -> Iterator[tuple[float, Any]]:
        self.at = 0.0
        for delay, event in self._script:
            self.at += delay
            yield delay, event

    async def send(self, event: Any) -> None:
        await self._client.send(event)
        self.sent += 1


async def _show_progress(
    args: argparse.Namespace, out: Output, played: _Played, whole: float
) -> None:
    """At a terminal, a line that changes."""
    if not out.error_terminal:
        return
    end = "; Ctrl-C ends" if endless(args) else ""
    with out.working(f"playing {args.file}") as tell:
        while True:
            at = f"{played.at:.1f} of {whole:.1f} s"
            tell(f"playing {args.file}: {at}, {played.sent:,} sent{end}")
            await trio.sleep(_REFRESH)


# ---- as a server


async def _serve(args: argparse.Namespace, out: Output, recording: Recording) -> None:
    from ..record import replay_server
    from ..server import open_vuer_server

    try:
        app = replay_server(
            recording,
            args.host or "localhost",
            args.port,
            speed=args.speed,
            loop=args.loop,
            etypes=args.etype,
        )
    except ValueError as exc:
        text = re.sub(r"^(port|host)(?= must)", r"--\1", str(exc))
        raise CommandFailed(text, Status.USAGE) from exc

    @app.add_handler("INIT")
    def visited(event: Any, session: VuerSession) -> None:
        client = session.client_info.get("client", "unknown")
        if not args.quiet:
            out.remark(("+ ", "green"), f"{session.peer} ({printable(str(client), NAME)})")

    try:
        async with open_vuer_server(app) as server:
            long = "" if math.isinf(args.speed) else f", {recording.duration / args.speed:.1f} s"
            out.line(f"Playing {args.file}{long} at ", (server.uri, "bold"))
            if out.error_terminal and not args.quiet:
                out.remark(("Ctrl-C ends.", "dim"))
            await trio.sleep_forever()
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise CommandFailed(f"{exc.strerror}: another program is there; try --port 0") from exc
        raise
