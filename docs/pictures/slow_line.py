"""Make ``slow_line.svg`` of ``benchmarks/slow_line.csv``: the age of images over time.

python docs/pictures/slow_line.py
"""

from __future__ import annotations

import csv
import math
from html import escape
from pathlib import Path

from plot import STYLE  # type: ignore[import-not-found]  # beside this file

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "benchmarks" / "slow_line.csv"
FILE = HERE / "slow_line.svg"

#: the servers, their colours, and what they are called
SERVERS = {
    "vuer": ("#8c8c8c", "vuer 0.1.6"),
    "Fifo": ("#d55e00", "Fifo"),
    "DropOldest": ("#e69f00", "DropOldest"),
    "Latest": ("#0072b2", "Latest"),
}
# pixels
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 330, 64, 96, 56, 44
#: ages at both ends of the axis, which is logarithmic, in seconds, and its marks
LOW, HIGH = 0.04, 20.0
MARKS = {0.05: "50 ms", 0.1: "0.1 s", 0.5: "0.5 s", 1.0: "1 s", 5.0: "5 s", 10.0: "10 s"}
#: seconds between two points of a line
STEP = 0.1

Ages = dict[str, list[tuple[float, float]]]


def read(text: str) -> Ages:
    """Server: (seconds since the first image, age in seconds), the oldest image of each step."""
    steps: dict[str, dict[int, float]] = {}
    for row in csv.DictReader(text.splitlines()):
        step = steps.setdefault(row["server"], {})
        at = int(float(row["seconds"]) / STEP)
        step[at] = max(step.get(at, 0.0), float(row["age"]))
    return {name: [(at * STEP, age) for at, age in found.items()] for name, found in steps.items()}


def plot(ages: Ages) -> str:
    last = max(at for points in ages.values() for at, _ in points)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(at: float) -> float:
        return LEFT + at / last * (right - LEFT)

    def y(age: float) -> float:
        share = math.log(min(max(age, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
        return bottom - share * (bottom - TOP)

    parts = []
    for age, label in MARKS.items():
        parts.append(
            f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{y(age):.1f}" y2="{y(age):.1f}"/>'
            f'<text class="small" x="{LEFT - 8}" y="{y(age) + 4:.1f}" text-anchor="end">{label}'
            "</text>"
        )
    for at in range(0, math.floor(last) + 1, 5):
        parts.append(
            f'<text class="small" x="{x(at):.1f}" y="{bottom + 18}" text-anchor="middle">{at} s'
            "</text>"
        )
    ends: list[float] = []
    for name, (color, label) in SERVERS.items():
        points = ages[name]
        line = " ".join(f"{x(at):.1f},{y(age):.1f}" for at, age in points)
        parts.append(f'<polyline fill="none" stroke="{color}" stroke-width="1.8" points="{line}"/>')
        end = y(points[-1][1]) + 4
        while any(abs(end - other) < 14 for other in ends):  # two lines that end together
            end += 2
        ends.append(end)
        parts.append(
            f'<text class="small" x="{right + 8}" y="{end:.1f}" style="fill: {color}">'
            f"{escape(label)}</text>"
        )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" role="img">',
            "<title>The age of images at a viewer, over time</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}"'
            ' rx="8"/>',
            '<text x="16" y="26">How old the images are that a viewer sees: 48 Mbit/s of them over '
            "a line of 20 Mbit/s</text>",
            *parts,
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    FILE.write_text(plot(read(DATA.read_text("utf-8"))), "utf-8")
