"""Run a program written for `vuer` under both libraries, with the same browser, and compare.

    python -m tests.ported.compare PROGRAM.py

The program is run as it is under `vuer`, and with its import root changed under `vuer_trio`, both
at once, each at free ports: a port that it has written down is replaced wherever its number stands,
any other comes from ``VUER_PORT``. What a browser gets is compared frame by frame, each distinct
frame once, and so are the lines that the program prints; what the libraries print is not. Both are
told to end by a signal to all their processes, and no process of ours may be left.

A program may say what it needs in lines that begin with ``# ported:``

    sessions=2              two browsers, which do the same
    clients=browser,python  what they say that they are, one after another
    get=/workspace/a.obj    what to fetch, separated by commas
    unordered               the order of its frames is a matter of chance
    endless                 it goes on sending: the longer stream must begin as the shorter does
    quiet=0.5               seconds without news after which it has nothing to say
    signal=INT              how it is ended; TERM
    newest                  of each node what it is in the end is compared: it has a queue_len=
    main                    the signal is for its main process alone
    shown-on-entry          a session that joins a SceneStore is shown it, and there it is not
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import difflib
import re
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.ported.frames import agree
from tests.ported.scripted_browser import KNOWN, custom, steps
from tests.ported.sides import Side
from vuer_trio.port.imports import OURS, THEIRS

#: seconds without news until two that differ are believed to stay so, and limit for one step
PATIENCE, LONGEST = 15.0, 60.0
#: for a program that ends by itself
WHOLE_LIFE = 120.0


@dataclass(frozen=True)
class Needs:
    """What a program says of itself."""

    clients: tuple[str, ...] = ("browser",)
    gets: tuple[str, ...] = ()
    unordered: bool = False
    endless: bool = False
    newest: bool = False
    quiet: float = 0.1
    signal: str = "TERM"
    main: bool = False
    shown_on_entry: bool = False

    @classmethod
    def of(cls, source: str) -> Needs:
        words = [w for line in re.findall(r"^# ported: (.*)$", source, re.M) for w in line.split()]
        said = dict(word.partition("=")[::2] for word in words)
        unknown = said.keys() - {
            *("sessions", "clients", "get", "unordered", "endless", "quiet", "signal", "main"),
            *("newest", "shown-on-entry"),
        }
        if unknown:
            raise ValueError(f"nobody knows {unknown}")
        clients = tuple(said.get("clients", "browser").split(","))
        return cls(
            clients=clients * int(said.get("sessions", 1)),
            gets=tuple(filter(None, said.get("get", "").split(","))),
            unordered="unordered" in said,
            endless="endless" in said,
            newest="newest" in said,
            quiet=float(said.get("quiet", cls.quiet)),
            signal=said.get("signal", cls.signal),
            main="main" in said,
            shown_on_entry="shown-on-entry" in said,
        )


@dataclass
class Comparison:
    """``differences`` is empty if the program runs as it does there."""

    differences: list[str] = field(default_factory=list)
    #: distinct frames of the reference
    frames: int = 0
    lines: int = 0
    #: how long both ran, and how many processes ours was before it was told to end
    seconds: float = 0.0
    processes: int = 0
    #: of ours
    complaints: str = ""

    def __str__(self) -> str:
        if not self.differences:
            return f"equal: {self.frames} frames, {self.lines} lines"
        return "\n".join([*self.differences, self.complaints])


async def compare(
    program: Path,
    *,
    seconds: float = 0.0,
    with_folder: bool = False,
    to_main_alone: bool = False,
    **variables: str,
) -> Comparison:
    """Play the script against both; again and again for at least ``seconds``.

    With ``to_main_alone``, the signal is for the main process alone, whatever the program says.
    ``variables`` are for the environment of the program.
    """
    source = await asyncio.to_thread(program.read_text, "utf-8")
    needs = Needs.of(source)
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = (
            Side(library, Path(folder), program, source, variables, with_folder)
            for library in (THEIRS, OURS)
        )
        found, began = Comparison(), time.monotonic()
        try:
            await theirs.start()
            await ours.start()
            began = time.monotonic()
            await _play(theirs, ours, needs, source, seconds)
        finally:
            how = signal.Signals[f"SIG{needs.signal}"]
            for side in (theirs, ours):
                if side.process is not None and side.process.returncode not in (None, 0):
                    text = f"under {side.library} it ended with {side.process.returncode}"
                    found.differences.append(text)
            found.seconds = time.monotonic() - began
            found.processes = len(ours.members())
            alone = needs.main or to_main_alone
            ends = [side.stop(how, all_of_them=not alone) for side in (theirs, ours)]
            await asyncio.gather(*ends)
        found.differences += _differences(theirs, ours, needs)
        found.frames = sum(map(len, theirs.seen.values()))
        found.lines = len(theirs.prints())
        found.complaints = ours.complaints()[-4000:]
        return found


async def _play(theirs: Side, ours: Side, needs: Needs, source: str, seconds: float) -> None:
    sides = (theirs, ours)
    serving = [side for side in sides if "Vuer(" in source and await side.listens()]
    for place in range(max((len(side.listening) for side in serving), default=0)):
        for number, client in enumerate(needs.clients):
            label = f"port {place}, browser {number}"
            for side in serving:
                if place < len(side.listening):
                    await side.connect(side.listening[place], label, client)
            await _settle(theirs, ours, needs)
    end = time.monotonic() + seconds
    while True:
        for step in [*steps(), custom(_etypes_in(source))]:
            if step and serving:
                for side in serving:
                    await side.emit(step)
                await _settle(theirs, ours, needs)
        if time.monotonic() >= end:
            break
    if not serving:
        await _settle(theirs, ours, needs, until_the_end=True)
    for path in needs.gets:
        for side in serving:
            await side.fetch(path)


async def _settle(theirs: Side, ours: Side, needs: Needs, *, until_the_end: bool = False) -> None:
    """Wait until both have said the same, and have nothing more to say."""
    start = news = time.monotonic()
    known, same = None, True
    patience = PATIENCE
    longest = WHOLE_LIFE if until_the_end else LONGEST
    while (now := time.monotonic()) < start + longest:
        amount = (theirs.amount(), ours.amount())
        if amount != known:
            same = not _differences(theirs, ours, needs)
            if known is None and not same:  # an earlier step has waited long enough
                patience = max(needs.quiet, 0.5)
            known, news = amount, now
        if not until_the_end and now - news > (needs.quiet if same else patience):
            return
        if same and ((theirs.ended() and ours.ended()) or (needs.endless and now > start + 0.5)):
            return
        await asyncio.sleep(0.02)


def _differences(theirs: Side, ours: Side, needs: Needs) -> list[str]:
    found = []
    for label in sorted({*theirs.seen, *ours.seen}):
        one, other = (list(side.seen.get(label, ())) for side in (theirs, ours))
        if needs.shown_on_entry and label != "files":
            del other[:1]
        leniency = {"unordered": needs.unordered, "endless": needs.endless, "newest": needs.newest}
        if not agree(one, other, **leniency):
            order = " in another order" if agree(one, other, unordered=True) else ""
            found.append(f"{label}: frames differ{order}\n{_diff(one, other)}")
    one, other = theirs.prints(), ours.prints()
    if not agree(one, other):
        found.append(f"prints differ\n{_diff(one, other)}")
    if ours.survivors:
        found.append(f"left: {ours.survivors}")
    return found


def _diff(one: list[str], other: list[str]) -> str:
    lines = difflib.unified_diff(one[:200], other[:200], THEIRS, OURS, lineterm="", n=0)
    shown = list(lines)
    if [line[0] for line in shown[3:]] == ["-", "+"]:  # one line for another: where they part
        pairs = enumerate(zip(shown[3][1:], shown[4][1:], strict=False))
        parting = next((place for place, (a, b) in pairs if a != b), 0)
        shown[3:] = [f"{line[0]}...{line[max(1, parting - 100) :]}" for line in shown[3:]]
    return "\n".join(f"{line:.400}" for line in shown)


def _etypes_in(source: str) -> list[str]:
    """The types that the program waits for and no browser sends by itself."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="add_handler" | "till"),
                args=[ast.Constant(value=str(etype)), *_],
            ):
                found.append(etype)
    return [etype for etype in dict.fromkeys(found) if etype not in KNOWN]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--seconds", type=float, default=0.0, help="go on for so long")
    parser.add_argument("--alone", action="store_true", help="without the files of its folder")
    args = parser.parse_args()
    found = asyncio.run(
        compare(args.program.resolve(), seconds=args.seconds, with_folder=not args.alone)
    )
    print(found)
    return 1 if found.differences else 0


if __name__ == "__main__":
    sys.exit(main())
