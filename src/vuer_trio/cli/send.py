"""``vuer-trio send``: send events to a server."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import deque
from contextlib import nullcontext
from typing import Any, Self

import trio

from .._client.client import VuerClient
from .._connection.policies import Discard
from .._errors import EncodeError
from ..events import ClientEvent
from .connection import add_connection, add_uri_and_event, connected
from .json_text import BadJSON, load, printable
from .output import Output
from .statuses import CommandFailed, Status

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run"]

HELP = "send events to a server"
DESCRIPTION = """\
Send one event, and wait until the server has read it.

  vuer-trio send SET_POSITION '[1, 2, 3]'
  vuer-trio send ws://robot.local:8012 SET_POSITION '[1, 2, 3]'
  vuer-trio send SET_POSITION - < positions.jsonl    each line is a value
  vuer-trio send - < events.jsonl                    each line is {"etype": ..., "value": ...}

Bytes are {"$bytes": "base64"}, as `vuer-trio listen --json` writes them."""

#: maximum bytes of a read from stdin
_READ = 65_536
#: seconds between updates of the progress
_REFRESH = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    add_uri_and_event(
        parser,
        "the event's type; - for whole events",
        "its value; - reads one from each line of stdin (default: null)",
    )
    parser.add_argument(
        "--json",
        dest="as_json",
        action="store_true",
        help="print how many events were sent as a JSON object",
    )
    add_connection(parser)


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return False


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    if args.etype == "-" and args.json not in (None, "-"):
        raise BadJSON("`send -` reads whole events from stdin; leave the value out")
    if args.etype == "-" or args.json == "-":
        return await _send_lines(args, out)
    where = "the JSON"
    value = "null" if args.json is None else _utf8(args.json, where)
    event = new_event(_utf8(args.etype, "ETYPE"), load(value, where))
    began = trio.current_time()
    async with connected(args, out, inbox=Discard()) as client:
        await _send(client, event, where)
        await client.flush(args.timeout)
    took = (trio.current_time() - began) * 1000
    if args.as_json:
        out.line(json.dumps({"uri": client.uri, "sent": 1, "ms": round(took, 3)}))
    elif out.error_terminal:
        out.remark(f"{client.uri} has read {printable(args.etype)} ({took:.0f} ms)")
    return Status.DONE


def _utf8(text: str, where: str) -> str:
    """An argument as UTF-8, whatever the locale is. Raises BadJSON."""
    try:
        return os.fsencode(text).decode() if not text.isascii() else text
    except UnicodeEncodeError:  # it is no argument of the process, but of `main`
        return text
    except UnicodeDecodeError as exc:
        raise BadJSON(f"{where}: not UTF-8: {exc.reason}") from None


async def _send_lines(args: argparse.Namespace, out: Output) -> int:
    """Send each line of stdin immediately. An invalid line ends this; earlier lines are sent."""
    if sys.stdin is None:
        raise CommandFailed("there is no stdin to read from", Status.USAGE)
    sent, due, began = 0, 0.0, trio.current_time()
    etype = _utf8(args.etype, "ETYPE")
    typed = out.error_terminal and sys.stdin.isatty()
    async with connected(args, out, inbox=Discard()) as client:
        if typed:
            out.remark(("One line of JSON for each event; Ctrl-D ends.", "dim"))
        try:
            with nullcontext() if typed else out.working("waiting for lines") as tell:
                async for number, line in _Lines():
                    where = f"stdin, line {number}"
                    try:
                        if line.strip():
                            event = _event_of(etype, load(line, where), where)
                            await _send(client, event, where)
                            sent += 1
                    except BadJSON as exc:
                        if not typed:
                            raise
                        out.complain(printable(str(exc)))
                    if tell is not None and trio.current_time() >= due:
                        due = trio.current_time() + _REFRESH
                        tell(f"{sent:,} sent")
        finally:
            try:
                # Whatever ended the lines, wait until the server has read the events sent before.
                await client.flush(args.timeout)
            finally:
                if args.as_json:
                    took = round((trio.current_time() - began) * 1000, 3)
                    out.line(json.dumps({"uri": client.uri, "sent": sent, "ms": took}))
                else:
                    out.remark(f"{sent:,} event{'' if sent == 1 else 's'} sent")
    return Status.DONE


async def _send(client: VuerClient, event: ClientEvent, where: str) -> None:
    try:
        await client.send(event)
    except EncodeError as exc:
        raise BadJSON(f"{where}: {exc}") from exc


def _event_of(etype: str, value: Any, where: str) -> ClientEvent:
    return new_event(etype, value) if etype != "-" else whole_event(value, where)


def new_event(etype: str, value: Any) -> ClientEvent:
    """Create an event of the given type."""
    return ClientEvent(etype=etype, value=value)


def whole_event(value: Any, where: str) -> ClientEvent:
    """Create the event that a JSON object describes. Raises BadJSON."""
    if not isinstance(value, dict):
        raise BadJSON(f'{where}: an event must be an object, {{"etype": "NAME", "value": ...}}')
    if not isinstance(value.get("etype"), str):
        raise BadJSON(f'{where}: "etype" must be a string')
    ts = value.get("ts")
    if ts is not None and (isinstance(ts, bool) or not isinstance(ts, int | float)):
        raise BadJSON(f'{where}: "ts" must be a number: seconds, or an integer of milliseconds')
    return ClientEvent(**value)


class _Lines:
    """Iterates over lines of stdin and their numbers. Raises BadJSON for invalid UTF-8."""

    def __init__(self) -> None:
        self._number = 0
        self._lines: deque[bytes | bytearray] = deque()
        self._rest = bytearray()  # the start of an incomplete line
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[int, str]:
        while not self._lines:
            if self._ended:
                raise StopAsyncIteration
            # `os.read` holds no lock that could block the interpreter at exit.
            data = await trio.to_thread.run_sync(os.read, 0, _READ, abandon_on_cancel=True)
            self._ended = not data
            first, *more = data.split(b"\n")
            self._rest += first
            if more or (self._ended and self._rest):
                self._lines += [self._rest, *more]
                self._rest = bytearray(self._lines.pop() if more else b"")
        self._number += 1
        try:
            return self._number, self._lines.popleft().decode()
        except UnicodeDecodeError as exc:
            raise BadJSON(f"stdin, line {self._number}: not UTF-8: {exc.reason}") from None
