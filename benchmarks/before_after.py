"""Is anything slower than it was? A commit of before and this tree, turn by turn.

    python benchmarks/before_after.py [COMMIT] [--rounds N] [--only NAME ...] [--rows ROW ...]

Large messages and small ones, of the clients of `clients.py` and the servers of `servers.py`. A row
whose rounds disagree, because others use the machine, is measured up to three times as often.
Prints two tables, and a run of seven rounds or more of everything writes them to BEFORE_AFTER.md.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from clients import CLIENTS
from processes import Server, Worker, peer
from report import line, machine
from rows import ROWS

__all__: list[str] = []

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent
#: the last one without the bound of the send buffer, the layers and the look at keys
_COMMIT = "7d39ebc"
_NAMES = ("Trio, websockets", "asyncio, websockets")
_ROWS = ("fire", "send", "iterate", "round trips", "16 MiB out", "16 MiB in")
#: without TLS connections, of which each took a second to close before
_SERVER_ROWS = ("small events", "hand events", "server trips", "connections", "TLS in", "broadcast")
_ROUNDS = 7
#: of each round and row
_PAIRS = 8
#: how much the middle half of a row's rounds may span, and how often it is measured if it is more
_SPAN, _MORE = 0.08, 3

Ratios = defaultdict[str, defaultdict[str, list[float]]]


def extract(commit: str, folder: str) -> str:
    """The sources of a commit, in a folder that can be imported from."""
    archive = subprocess.check_output(["git", "archive", commit, "src"], cwd=_ROOT)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return str(Path(folder) / "src")


def measure(name: str, row: str, sources: list[str], uri: str) -> float:
    """This tree's rate by that of before: the median of pairs, measured back to back.

    Where others use the machine, its speed changes within seconds. A pair takes less, and the few
    pairs within which it changes do not move the median. Who goes first alternates.
    """
    both: list[Worker] | list[Server]
    if row in _SERVER_ROWS:
        both = [Server(name, tls="TLS" in row, source=source) for source in sources]
        rate = [partial(server.measure, row) for server in both]
    else:
        both = [Worker(name, source) for source in sources]
        rate = [partial(worker.measure, row, uri) for worker in both]
    try:
        for warm_up in rate:
            warm_up()
        return median(_pair(rate, number % 2) for number in range(_PAIRS))
    finally:
        for process in both:
            process.end()


def _pair(rate: list[partial[float]], first: int) -> float:
    """The ratio of one pair."""
    rates = [0.0, 0.0]
    for turn in (first, 1 - first):
        rates[turn] = rate[turn]()
    before, after = rates
    return after / before


def disagree(rounds: list[float]) -> bool:
    if len(rounds) < 2:
        return False
    first, middle, third = quantiles(rounds, n=4)
    return third - first > _SPAN * middle


def table(ratios: Ratios, rows: list[str]) -> str:
    if not rows:
        return ""
    lines = [line("", rows), line("---", ["---"] * len(rows))]
    for name, found in ratios.items():
        cells = [
            f"{median(found[row]):.2f} ({min(found[row]):.2f}-{max(found[row]):.2f}, "
            f"{len(found[row])} rounds)"
            for row in rows
        ]
        lines.append(line(name, cells))
    return "\n".join([*lines, "\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit", nargs="?", default=_COMMIT)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--only", nargs="+", default=list(_NAMES), choices=CLIENTS, metavar="NAME")
    all_rows = [*_ROWS, *_SERVER_ROWS]
    choices = [*ROWS, *_SERVER_ROWS]
    parser.add_argument("--rows", nargs="+", default=all_rows, choices=choices, metavar="ROW")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    ratios: Ratios = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, peer() as uri:
        sources = [extract(args.commit, folder), str(_ROOT / "src")]
        for number in range(_MORE * args.rounds):
            wanted = [
                (name, row)
                for name in args.only
                for row in args.rows
                if number < args.rounds or disagree(ratios[name][row])
            ]
            for name, row in wanted:
                ratios[name][row].append(measure(name, row, sources, uri))
            print(f"round {number + 1}: {len(wanted)} rows", file=sys.stderr)
    text = (
        "# Before and after\n\n"
        f"Rates of this tree by those of {args.commit}, before the send buffer was bounded and "
        "every key looked at: the median, and the range of single rounds. A round is the median "
        f"of {_PAIRS} pairs, measured back to back by new processes. A row is measured again, up "
        "to three times as often, while the middle half of its "
        f"rounds spans more than {_SPAN:.0%}. More than 1 is faster.\n\n"
        f"Clients:\n\n{table(ratios, [row for row in args.rows if row in ROWS])}"
        f"Servers:\n\n{table(ratios, [row for row in args.rows if row in _SERVER_ROWS])}"
        f"{machine(args.rounds, load)}"
    )
    print(text)
    if args.rounds >= _ROUNDS and args.rows == all_rows and tuple(args.only) == _NAMES:
        (_HERE / "BEFORE_AFTER.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
