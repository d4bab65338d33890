"""``vuer-trio replay``: replay a recording to a server or to clients."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import trio

from .._connection.policies import Discard
from .._formatting import shown
from .._nursery import open_plain_nursery
from .._runtime import runtime
from .connection import add_connection, add_uri_and_file, connected
from .json_text import NAME, printable
from .keys import has_keys, pressed, single_keys
from .listening import add_serving, problems_told, serving_app
from .output import Output
from .recording_file import damages_told, opened
from .serve import say_how_to_open
from .statuses import CommandFailed, Status

if TYPE_CHECKING:
    from .._async_types import Nursery
    from ..record import Recording
    from ..record.entry import Side
    from ..record.player import Player
    from ..server import VuerSession

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run"]

HELP = "replay a recording, to a server or as one"
DESCRIPTION = """\
Send the events of a recorded client to a server, at the recorded times. With --serve, be a server
that sends the events of the recorded server to each client that connects.

  vuer-trio replay ws://localhost:8012 run.mcap --speed 2
  vuer-trio replay run.mcap --start 10 --end 20 --pause
  vuer-trio replay run.mcap --serve --port 8012 --loop

keys at a terminal:
  space         pause, go on
  left, right   5 seconds back, ahead
  , .           pause; send the previous event, the next event
  + -           double, halve the speed
  q             quit"""

#: seconds between updates of the progress
_REFRESH = 0.25
#: seconds that an arrow key goes
_SEEK = 5.0
#: the least and the most of the speeds that keys choose
_SLOWEST, _FASTEST = 1 / 64, 64.0
#: event types that are named where none was sent
_NAMED = 5
_KEYS = "space , . + - q"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    add_uri_and_file(parser, "an MCAP file written by `record`")
    parser.add_argument(
        "--start",
        type=offset,
        default=0.0,
        metavar="S",
        help="begin this many seconds after the first message; a page gets the scene of that time",
    )
    parser.add_argument(
        "--end",
        type=offset,
        default=math.inf,
        metavar="S",
        help="end this many seconds after the first message",
    )
    parser.add_argument(
        "--speed",
        type=speed,
        default=1.0,
        metavar="X",
        help="2 is twice as fast, inf does not wait (default: %(default)g)",
    )
    parser.add_argument("--loop", action="store_true", help="start over at the end")
    parser.add_argument(
        "--pause", action="store_true", help="begin paused, at a terminal; the space bar goes on"
    )
    parser.add_argument(
        "--etype", action="append", metavar="ETYPE", help="only this type; may be repeated"
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="no progress, no keys, no messages"
    )
    group = parser.add_argument_group("as a server")
    group.add_argument(
        "--serve", action="store_true", help="serve it, and the web client, until Ctrl-C"
    )
    add_serving(group)
    add_connection(parser)


def speed(text: str) -> float:
    """A positive factor, perhaps infinite."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:  # also for NaN
        raise argparse.ArgumentTypeError(f"must be a number above 0, or inf, got {text!r}")
    return value


def offset(text: str) -> float:
    """A number of seconds, at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds, at least 0, got {text!r}")
    return value


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return bool(args.serve or args.loop)


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    if args.serve and args.uri is not None:
        raise CommandFailed("--serve listens and does not connect; leave the URI out", Status.USAGE)
    listening = ("host", "port", "hosts", "cert", "key", "tls", "mdns", "token", "web_client")
    for name in listening:
        value = getattr(args, name)
        if not args.serve and not (value is None or value is False or value == ()):
            option = f"--{name.replace('_', '-')}"
            told = "--host and --port are" if name in ("host", "port") else f"{option} is"
            raise CommandFailed(f"{told} for --serve", Status.USAGE)
    if args.end <= args.start:
        raise CommandFailed(
            f"--end must be after --start, got {args.start:g} and {args.end:g}", Status.USAGE
        )
    keys = out.error_terminal and not args.quiet and has_keys()
    if args.pause and not keys:
        raise CommandFailed("--pause needs a terminal, where a key goes on", Status.USAGE)
    with damages_told(out):
        recording = opened(args.file)
        if args.serve:
            return await _serve(args, out, recording, keys)
        return await _play(args, out, recording, keys)


# ---- control


class _Controls:
    """What the keys do to all players, and to those that will come."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self.speed: float = args.speed
        self.paused: bool = args.pause
        self.players: list[Player] = []
        #: set by the key q
        self.quit = trio.Event()

    @contextmanager
    def player(
        self,
        recording: Recording,
        sender: Side,
        send: Callable[[Any], Awaitable[object] | None],
        *,
        scene: bool = False,
    ) -> Generator[Player]:
        """A new player, which the keys control within the block."""
        from ..record.player import Player  # not for --help

        args = self._args
        player = Player(
            recording,
            sender,
            send,
            etypes=args.etype,
            start=args.start,
            end=args.end,
            speed=self.speed,
            loop=args.loop,
            paused=self.paused,
            scene=scene,
        )
        self.players.append(player)
        try:
            yield player
        finally:
            self.players.remove(player)

    async def heed(self) -> None:
        """Do what the keys say, until they end."""
        with single_keys():
            async for key in pressed():
                self._do(key)

    def _do(self, key: str) -> None:
        if key == "q":
            self.quit.set()
        elif key == " ":
            self.paused = not self.paused
            self._all(lambda player: setattr(player, "paused", self.paused))
        elif key in ("left", "right"):
            way = _SEEK if key == "right" else -_SEEK
            self._all(lambda player: player.seek(player.position + way))
        elif key in (".", ","):
            self.paused = True
            self._all(lambda player: player.step() if key == "." else player.step_back())
        elif key in ("+", "=", "-"):
            now = 1.0 if math.isinf(self.speed) else self.speed
            self.speed = min(max(now / 2 if key == "-" else now * 2, _SLOWEST), _FASTEST)
            self._all(lambda player: setattr(player, "speed", self.speed))

    def _all(self, do: Callable[[Player], None]) -> None:
        for player in self.players:
            do(player)


def _start_dialogue(
    nursery: Nursery,
    args: argparse.Namespace,
    out: Output,
    controls: _Controls,
    recording: Recording,
    keys: bool,
) -> None:
    """Start what shows the progress, and what heeds the keys."""
    if not args.quiet:
        nursery.start_soon(_show_progress, args, out, controls, recording.duration, keys)
    if keys:
        nursery.start_soon(controls.heed)


async def _show_progress(
    args: argparse.Namespace, out: Output, controls: _Controls, whole: float, keys: bool
) -> None:
    """Show the progress, at a terminal."""
    if not out.error_terminal:
        return
    with out.working(f"playing {args.file}") as tell:
        while True:
            if controls.players:
                tell(_told(args, out.error_width, controls, whole, keys))
            await trio.sleep(_REFRESH)


def _told(
    args: argparse.Namespace, width: int, controls: _Controls, whole: float, keys: bool
) -> str:
    """The progress, as far as it fits into one line."""
    player = controls.players[-1]
    state = "paused" if player.paused else "playing"
    at = f"{player.position:.1f} of {whole:.1f} s, {player.sent:,} sent"
    rate = "" if player.speed == 1 else f", {player.speed:g} times as fast"
    many = len(controls.players)
    shown_to = f", {many} clients" if many > 1 else ""
    end = "; Ctrl-C ends" if endless(args) and not keys else ""
    hint = f"  ({_KEYS})" if keys else end
    name = f"{state} {printable(str(args.file))}: "
    room = width - 3  # of the spinner
    for text in (
        f"{name}{at}{rate}{shown_to}{hint}",
        f"{name}{at}{rate}{shown_to}",
        f"{state}: {at}{rate}{shown_to}",
        f"{state}: {at}{rate}",
    ):
        if len(text) <= room:
            return text
    return f"{state}: {at}"[:room]


# ---- as a client


async def _play(args: argparse.Namespace, out: Output, recording: Recording, keys: bool) -> int:
    controls = _Controls(args)
    async with connected(args, out, inbox=Discard()) as client:
        with controls.player(recording, "client", client.send) as player:
            began = trio.current_time()
            try:
                async with open_plain_nursery(runtime()) as nursery:
                    _start_dialogue(nursery, args, out, controls, recording, keys)
                    with trio.CancelScope() as playing:
                        nursery.start_soon(_cancel_at, controls.quit, playing)
                        await player.run()
                    await client.flush(args.timeout)
                    nursery.cancel_scope.cancel()
            finally:
                if not args.quiet:
                    took = trio.current_time() - began
                    many = f"{player.sent:,} event{'' if player.sent == 1 else 's'}"
                    out.remark(f"{many} sent in {took:.1f} s")
    if not player.sent and not controls.quit.is_set():
        out.complain(_why_nothing(args, recording, "client"))
        return Status.FAILED
    return Status.DONE


async def _cancel_at(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def _why_nothing(args: argparse.Namespace, recording: Recording, sender: Side) -> str:
    """Why a side of a recording has nothing to send."""
    from ..events import canonical

    other = "server" if sender == "client" else "client"
    begin, end = recording._log_times(args.start, args.end)
    whole: Counter[str] = Counter()
    theirs, inside = 0, Counter[str]()
    for entry in recording:
        if entry.sender != sender:
            theirs += 1
            continue
        etype = canonical(entry.etype) if entry.etype else ""
        whole[etype] += 1
        if begin <= entry.log_time <= end:
            inside[etype] += 1
    if not whole:
        if not theirs:
            return f"nothing to send: no message can be read in {args.file}"
        many = f"{theirs:,} message{'' if theirs == 1 else 's'}"
        cure = (
            "replay it with --serve, as a server"
            if other == "server"
            else "replay it to a server, without --serve"
        )
        return f"nothing to send: all {many} are of the {other}; {cure}"
    if set(whole) == {"INIT"}:
        return (
            f"nothing to send: the {sender} has sent INIT alone, which is not replayed, "
            "because every client sends its own"
        )
    if not inside:
        span = f"from {args.start:g} s" + ("" if math.isinf(args.end) else f" to {args.end:g} s")
        return (
            f"nothing to send: the {sender} has sent nothing {span}; "
            f"the recording is {recording.duration:.1f} s long"
        )
    wanted = None if args.etype is None else set(map(canonical, args.etype))
    if wanted is not None and not wanted & (set(inside) - {"INIT"}):
        there = [f"{shown(name, 40)} ({n:,})" for name, n in inside.most_common() if name != "INIT"]
        more = f", and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
        types = ", ".join(there[:_NAMED]) + more if there else "INIT alone"
        return f"nothing to send: no event has the --etype; those of the {sender} are {types}"
    return f"nothing to send: none of the {inside.total():,} messages can be sent again"


# ---- as a server


async def _serve(args: argparse.Namespace, out: Output, recording: Recording, keys: bool) -> int:
    from .._web_client.installed import web_client
    from ..server import open_vuer_server

    app = serving_app(args)
    controls = _Controls(args)

    @app.add_handler("INIT")
    def visited(event: Any, session: VuerSession) -> None:
        client = session.client_info.get("client", "unknown")
        if not args.quiet:
            out.remark(("+ ", "green"), f"{session.peer} ({printable(str(client), NAME)})")

    @app.spawn
    async def play(session: VuerSession) -> None:
        with controls.player(recording, "server", session.send, scene=True) as player:
            await player.run()
        if not player.sent and not args.quiet:
            why = await trio.to_thread.run_sync(_why_nothing, args, recording, "server")
            out.complain(why)

    with problems_told(args):
        async with open_vuer_server(app) as server:
            long = "" if math.isinf(args.speed) else f", {_length(args, recording):.1f} s"
            out.line(f"Playing {printable(str(args.file))}{long} at ", (server.uri, "bold"))
            page = server.uri.replace("ws", "http", 1)
            if args.tls or args.token:
                say_how_to_open(app._options, server.port, out)
            elif args.web_client or web_client() is not None:
                out.line("Its web client is at ", (page, "bold"))
            else:
                out.line("Its web client is at ", (f"https://vuer.ai?ws={server.uri}", "bold"))
            if out.error_terminal and not args.quiet:
                out.remark((f"Keys: {_KEYS}. Ctrl-C ends." if keys else "Ctrl-C ends.", "dim"))
            async with open_plain_nursery(runtime()) as nursery:
                _start_dialogue(nursery, args, out, controls, recording, keys)
                await controls.quit.wait()
                nursery.cancel_scope.cancel()
    return Status.DONE


def _length(args: argparse.Namespace, recording: Recording) -> float:
    """Seconds that a pass takes."""
    played: float = max(0.0, min(args.end, recording.duration) - args.start) / args.speed
    return played
