"""Measure clients and servers beside each other, print the tables, and write them to RESULTS.md.

    python benchmarks/run.py [--rounds N] [--quick] [--only NAME ...] [--rows ROW ...]

Needs vuer 0.1.6, uvloop, psutil, trustme and the extra ``all``. In each round every client measures
every row, then every server its own; their order moves on by one from round to round.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from clients import CLIENTS, REFERENCE
from processes import Worker, import_seconds, measure_server, peer
from report import TURNS, machine, report
from rows import ROWS
from server_report import SERVER_ROWS, server_report
from servers import REFERENCE as REFERENCE_SERVER
from servers import SERVERS

_RAW = "raw socket"
_IMPORTS = {
    REFERENCE: "from vuer import VuerClient",
    "vuer-trio": "from vuer_trio import open_vuer_client",
}

Samples = defaultdict[str, defaultdict[str, list[float]]]


def measure_round(names: Sequence[str], rows: Sequence[str], uri: str, samples: Samples) -> None:
    """Every row with every client; clients side by side, so that they share the noise.

    Of a rate the best of a few turns counts: what else the machine does makes nobody faster.
    """
    workers = [Worker(name) for name in names]
    try:
        for row in rows:
            taking_part = [w for w in workers if not (row == "CPU" and w.name == _RAW)]
            turns = [
                [worker.measure(row, uri) for worker in taking_part]
                for _ in range(1 if row == "CPU" else TURNS)
            ]
            for worker, found in zip(taking_part, zip(*turns, strict=True), strict=True):
                samples[worker.name][row].append(max(found))
    finally:
        for worker in workers:
            worker.end()


def measure_servers(names: Sequence[str], rows: Sequence[str], samples: Samples) -> None:
    """Every row with every server, side by side."""
    for row in rows:
        for name in names:
            samples[name][row].append(measure_server(name, row))


def turned(names: Sequence[str], number: int) -> list[str]:
    """The order of a round."""
    number %= len(names)
    return [*names[number:], *names[:number]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="three rounds, and no RESULTS.md")
    parser.add_argument("--only", nargs="+", default=list(CLIENTS)[1:], metavar="NAME")
    all_rows = [*ROWS, "CPU", "import", *SERVER_ROWS]
    parser.add_argument("--rows", nargs="+", default=all_rows, choices=all_rows, metavar="ROW")
    options = parser.parse_args()
    rounds = 3 if options.quick else options.rounds
    names = [REFERENCE, *options.only, _RAW]
    servers = [REFERENCE_SERVER, *(name for name in options.only if name in SERVERS)]
    load = os.getloadavg()[0]
    samples: Samples = defaultdict(lambda: defaultdict(list))
    server_samples: Samples = defaultdict(lambda: defaultdict(list))
    for name in names:
        samples[name]  # the order of the table
    for name in servers:
        server_samples[name]
    timed = [row for row in options.rows if row in ROWS or row == "CPU"]
    of_servers = [row for row in options.rows if row in SERVER_ROWS]
    if "import" in options.rows:
        for statement in _IMPORTS.values():
            import_seconds(statement)  # compiles
    with peer() as uri:
        for number in range(rounds):
            if timed:
                measure_round(turned(names, number), timed, uri, samples)
            if "import" in options.rows:
                for name, statement in _IMPORTS.items():
                    samples[name]["import"].append(import_seconds(statement))
            measure_servers(turned(servers, number), of_servers, server_samples)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    parts = ["# Benchmarks\n\nMade by `python benchmarks/run.py`, on one machine.\n"]
    if len(of_servers) < len(options.rows):
        parts.append(report(samples))
    if of_servers:
        parts.append(server_report(server_samples))
    text = "\n".join([*parts, machine(rounds, load)])
    print(text)
    if not options.quick:
        (Path(__file__).parent / "RESULTS.md").write_text(text)


if __name__ == "__main__":
    main()
