"""``vuer-trio doctor``: why there is no connection."""

from __future__ import annotations

import argparse
import json
import os
import textwrap

from .._client.options import DEFAULT_URI
from .checkup import Checkup, Finding
from .connection import add_connection, add_uri
from .output import Output, Part, plain_text
from .statuses import Status

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run"]

HELP = "find out why there is no connection"
DESCRIPTION = """\
Connect to a server step by step (DNS, TCP, TLS, the opening handshake, INIT, the first event), time
each step, and explain the first that fails and what to do about it.

  vuer-trio doctor wss://robot.local:8012

A server that sends no event within the timeout is only a warning."""

_STYLES = {"ok": "green", "warning": "bold magenta", "FAILED": "bold red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    add_uri(parser, of=str)  # what is wrong with it is found out below
    parser.add_argument("--json", action="store_true", help="one JSON object for each step")
    add_connection(parser)
    parser.set_defaults(timeout=5.0)


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return False


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    text = args.uri or os.environ.get("VUER_CLIENT_URI") or DEFAULT_URI
    advice = ""
    async with Checkup(text, args) as checkup:
        taken = 0
        while taken < len(steps := checkup.steps):
            name = steps[taken]
            with out.working(f"{name} ..."):
                finding = await checkup.take(name)
            _show(finding, args.json, out)
            taken += 1
            advice = finding.advice or advice
            if finding.outcome == "FAILED":
                if not args.json:
                    _advise(advice, out)
                return Status.FAILED
    if not args.json:
        _advise(advice, out) if advice else out.line("All is well.")
    return Status.DONE


def _advise(advice: str, out: Output) -> None:
    _tell(("what to do   ", "bold"), text=advice, out=out)


#: columns for a text beside its head; with fewer it is below
_NARROW = 30


def _tell(*head: Part, text: str, out: Output) -> None:
    """Print ``head`` and ``text``: on one line to a pipe, wrapped beside the head at a terminal, or
    below it at a narrow one."""
    if not out.terminal:
        return out.line(*head, text)
    indent = len(plain_text(head))
    below = out.width - indent < _NARROW
    if below:
        indent = 2
    lines = textwrap.wrap(text, max(out.width - indent, 10), break_on_hyphens=False) or [""]
    out.line(*head, "" if below else lines.pop(0))
    for line in lines:
        out.line(" " * indent, line)


def _show(finding: Finding, as_json: bool, out: Output) -> None:
    if as_json:
        out.line(
            json.dumps(
                {
                    "step": finding.step,
                    "outcome": finding.outcome,
                    "ms": round(finding.seconds * 1000, 3),
                    "what": finding.what,
                    "advice": finding.advice,
                }
            )
        )
        return
    _tell(
        (f"{finding.outcome:<8}", _STYLES[finding.outcome]),
        f" {finding.step:<12}",
        (f"{finding.seconds * 1000:>8.1f} ms  ", "dim"),
        text=finding.what,
        out=out,
    )
