"""``vuer-trio doctor``: why there is no connection."""

from __future__ import annotations

import argparse
import json
import os
import textwrap

from .._client.options import DEFAULT_URI
from .checkup import Checkup, Finding
from .connection import add_connection
from .output import Output, Part, plain_text
from .statuses import Status

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run"]

HELP = "find out why there is no connection"
DESCRIPTION = """\
Go the way to a server step by step (DNS, TCP, TLS, the opening handshake, INIT, the first event),
time each step, and say of the first that fails what it means and what to do.

  vuer-trio doctor wss://robot.local:8012

A server that sends no event within the timeout is only warned of."""

_STYLES = {"ok": "green", "warning": "yellow", "FAILED": "bold red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    parser.add_argument(
        "uri",
        nargs="?",
        metavar="URI",
        help=f"ws://host:port or wss://... (default: VUER_CLIENT_URI, else {DEFAULT_URI})",
    )
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


def _tell(*head: Part, text: str, out: Output) -> None:
    """``head`` and ``text``: on one line in a pipe, wrapped beside the head at a terminal."""
    indent = len(plain_text(head))
    width = max(out.width - indent, 30) if out.terminal else len(text) + 1
    first, *rest = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    out.line(*head, first)
    for line in rest:
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
