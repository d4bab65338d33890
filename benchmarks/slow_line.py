"""How old images are at a viewer behind a slow line: this library's policies, and vuer.

    python benchmarks/slow_line.py [--seconds N] [--all] [--rates MBIT ...] [--quick] [--afresh]

Two cameras, 48 Mbit/s together, to one viewer; see `image_server.py` for what is sent, and
`network_line.py` for the line. Needs Linux, root and iproute2, and says so without them.

What is measured is kept in build/slow_line.jsonl, line by line, and a run measures what is not
there yet. The servers of a line of 5 or 20 Mbit/s are measured several at a time, each on a line of
its own, as long as they leave most of the processors idle. When all is there, the table is written
to SLOW_LINE.md, and the images of one line to slow_line.csv, for the plot of the documentation.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from image_server import CAMERAS, NO_WINDOW
from network_line import SERVER, VIEWER, Line, NoLine, ends, inside
from report import line as table_line
from report import machine

_HERE = Path(__file__).parent
_KEPT = _HERE.parent / "build" / "slow_line.jsonl"
KINDS = ("vuer", "Fifo", "DropOldest", NO_WINDOW, "Latest")
#: seconds from the first image that do not count
_SETTLE = 2.0
#: by the rate of the line: seconds that a viewer watches, and how many may at the same time
SECONDS = {5: 12.0, 20: 8.0, 100: 6.0}
TOGETHER = {5: 5, 20: 3, 100: 1}


@dataclass(frozen=True)
class Row:
    """A line, and what goes over it: ``size`` bytes an image, for ``seconds``."""

    line: Line
    seconds: float
    size: int = 100_000
    kinds: Sequence[str] = KINDS
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name}{self.line}"

    @property
    def key(self) -> list[Any]:
        return [str(self), self.seconds, self.size]


#: the line whose images are kept for the plot
PLOTTED = Line(20, 1000)
PLOTTED_SECONDS = 15.0
#: a modem, a phone's uplink, and an access point, whose queues the server's kernel does not see
FAR = (
    Line(5, 2000, 60, far=True),
    Line(20, 1000, 10, far=True),
    Line(20, 1000, 60, far=True),
    Line(20, 1000, 150, far=True),
)
FEW = (
    Line(5, 1000),
    Line(20, 50),
    PLOTTED,
    Line(20, 50, 60, 1),
    Line(100, 1000, 60),
)
ALL = tuple(Line(*values) for values in product((5, 20, 100), (50, 1000), (0, 60, 150), (0.0, 1.0)))
#: more than the line takes, for as long as it takes to fill its queue and more
_NEWEST = ("vuer", NO_WINDOW, "Latest")
LONG = (
    Row(Line(100, 2000, 60, far=True), 60.0, 250_000, _NEWEST, "a minute of 120 Mbit/s: "),
    Row(Line(5, 1500, 80, 0.1, far=True), 20.0, 40_000, name="a phone's uplink, 19 Mbit/s: "),
)


def rows(lines: Sequence[Line], seconds: float | None) -> list[Row]:
    return [
        Row(line, seconds or (PLOTTED_SECONDS if line == PLOTTED else SECONDS[int(line.rate)]))
        for line in lines
    ]


@dataclass(frozen=True)
class Seen:
    """What a viewer has seen; ages in seconds."""

    images: list[tuple[float, str, float]]
    once: bool

    @property
    def counted(self) -> list[tuple[float, str, float]]:
        return [image for image in self.images if image[0] >= _SETTLE]

    def row(self, seconds: float) -> list[str]:
        counted = self.counted
        ages = [age for _, _, age in counted]
        if len(ages) < 2:
            return ["none", "", "", "", "yes" if self.once else "**no**"]
        share = sum(camera == CAMERAS[0] for _, camera, _ in counted) / len(counted)
        return [
            f"{median(ages) * 1000:.0f}",
            f"{quantiles(ages, n=20)[-1] * 1000:.0f}",
            f"{len(counted) / (seconds - _SETTLE):.1f}",
            f"{share * 100:.0f} %",
            "yes" if self.once else "**no**",
        ]


def measure(kind: str, row: Row) -> dict[str, Any]:
    environment = {**os.environ, "SIZE": str(row.size)}
    load = os.getloadavg()[0]
    with ends(row.line) as address:
        told = (kind, address, "8012", str(row.seconds))
        server = subprocess.Popen(
            inside(SERVER, sys.executable, "image_server.py", *told),
            cwd=_HERE,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            uri = f"ws://{address}:8012"
            viewer = subprocess.run(
                inside(VIEWER, sys.executable, "image_viewer.py", uri, str(row.seconds)),
                cwd=_HERE,
                stdout=subprocess.PIPE,
                timeout=row.seconds + 120,
                check=True,
            )
        finally:
            server.kill()
            server.wait()
    return {"row": row.key, "kind": kind, "load": load, **json.loads(viewer.stdout)}


def measure_row(row: Row, kinds: Sequence[str]) -> None:
    """Measure what is missing, and keep it; several kinds at a time, each in a process.

    Raises NoLine.
    """
    together = TOGETHER[int(row.line.rate)]
    for start in range(0, len(kinds), together):
        told = json.dumps({**asdict(row), "line": asdict(row.line)})
        cells = [
            subprocess.Popen(
                [sys.executable, str(_HERE / "slow_line.py"), "--cell", kind, told],
                env={**os.environ, "LINE_NUMBER": str(number)},
                text=True,
                stdout=subprocess.PIPE,
            )
            for number, kind in enumerate(kinds[start : start + together])
        ]
        answers = [cell.communicate()[0] for cell in cells]
        with _KEPT.open("a", encoding="utf-8") as file:
            for answer in answers:
                if "no_line" in (found := json.loads(answer)):
                    raise NoLine(found["no_line"])
                file.write(answer)
                seen = Seen(found["images"], found["once"])
                print(table_line(str(row), [found["kind"], *seen.row(row.seconds)]), flush=True)


def kept() -> dict[tuple[str, str], dict[str, Any]]:
    """What was measured, by the row, and the kind; the latest counts."""
    if not _KEPT.exists():
        return {}
    found = (json.loads(text) for text in _KEPT.read_text("utf-8").splitlines())
    return {(json.dumps(one["row"]), one["kind"]): one for one in found}


def write(wanted: Sequence[Row]) -> None:
    """SLOW_LINE.md and slow_line.csv."""
    found = kept()
    head = ["line: rate, queue, round trip, loss", "server"]
    head += ["age, median (ms)", "95 %", "images/s", "left of both", "the one upsert"]
    table = [table_line(head[0], head[1:]), table_line("---", ["---"] * (len(head) - 1))]
    loads = []
    for row in wanted:
        for kind in row.kinds:
            one = found[json.dumps(row.key), kind]
            loads.append(one["load"])
            cells = Seen(one["images"], one["once"]).row(row.seconds)
            table.append(table_line(str(row), [kind, *cells]))
    text = (
        "# Images over a slow line\n\n"
        "Two cameras, 30 images a second of 100 kB each, 48 Mbit/s together, where a row does not "
        "say another rate, to one viewer. Age is from the upsert to the viewer; the first "
        f"{_SETTLE:g} seconds do not count. The queue is that of the line, in time at its rate. "
        "The servers of a row of 5 Mbit/s were measured at the same time, each on a line of its "
        "own, those of 20 Mbit/s three at a time; the highest load average before one, of which a "
        f"part is the benchmark's own, was {max(loads):.1f}.\n\n"
    )
    report = "\n".join(table)
    (_HERE / "SLOW_LINE.md").write_text(f"{text}{report}\n\n{machine(1, loads[0])}\n", "utf-8")
    with (_HERE / "slow_line.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["server", "seconds", "age"])
        (plotted,) = (row for row in wanted if row.line == PLOTTED)
        for kind in KINDS:
            if kind == NO_WINDOW:
                continue  # on this line it looks like the one with
            for at, _, age in found[json.dumps(plotted.key), kind]["images"]:
                writer.writerow([kind, f"{at:.3f}", f"{age:.4f}"])


def cell(kind: str, told: str) -> str:
    """As JSON, what one server has done on one line."""
    options = json.loads(told)
    try:
        return json.dumps(measure(kind, Row(**{**options, "line": Line(**options["line"])})))
    except NoLine as exc:
        return json.dumps({"no_line": str(exc)})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, help="that each viewer watches")
    parser.add_argument("--all", action="store_true", help="all 36 lines, and the far ones")
    parser.add_argument("--rates", type=float, nargs="+", help="only lines of these, in Mbit/s")
    parser.add_argument("--quick", action="store_true", help="one line; no table is written")
    parser.add_argument("--afresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        print(cell(*args.cell))
        return 0
    lines = (PLOTTED,) if args.quick else (*(ALL if args.all else FEW), *FAR)
    wanted = rows(lines, args.seconds) + (list(LONG) if args.all else [])
    _KEPT.parent.mkdir(exist_ok=True)
    if args.afresh:
        _KEPT.unlink(missing_ok=True)
    try:
        for row in wanted:
            if args.rates is None or row.line.rate in args.rates:
                key, before = json.dumps(row.key), kept()
                missing = [kind for kind in row.kinds if (key, kind) not in before]
                measure_row(row, missing)
    except NoLine as exc:
        print(f"not measured: {exc}")
        return 0
    found = kept()
    if args.quick:
        return 0
    left = [row for row in wanted if any((json.dumps(row.key), k) not in found for k in row.kinds)]
    if left:
        print(f"{len(left)} of {len(wanted)} lines are still to be measured")
        return 0
    write(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
