"""Make ``benchmarks.svg`` of the first table in ``benchmarks/RESULTS.md``.

    python docs/pictures/plot.py

A bar is the median of a ratio to the reference client, the thin line on it the range of the rounds.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent.parent / "benchmarks" / "RESULTS.md"
FILE = HERE / "benchmarks.svg"

#: the rows of the table that are drawn, their colours, and what they are called
CLIENTS = {
    "Trio, websockets": ("#0072b2", "Trio"),
    "asyncio, websockets": ("#e69f00", "asyncio"),
    "uvloop, websockets": ("#009e73", "uvloop"),
    "Trio, trio-websocket": ("#8c8c8c", "Trio, bare install"),
}
MORE_IS_BETTER = ["fire", "send", "iterate", "16 MiB out", "16 MiB in", "round trips"]
LESS_IS_BETTER = ["CPU"]

# pixels
WIDTH, LEFT, RIGHT, TOP = 720, 110, 60, 84
BAR, PITCH, BETWEEN = 11, 14, 16
#: ratios at both ends of the axis, which is logarithmic, and its marks
LOW, HIGH = 0.125, 12.0
MARKS = [0.125, 0.25, 0.5, 1, 2, 4, 8]

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11px } .card { fill: #fbfbfc; stroke: #d5d9de }
.axis { stroke: #c4c9cf } .one { stroke: #1f2328; stroke-width: 1.5 }
.range { stroke: #1f2328; stroke-opacity: 0.75 }
@media (prefers-color-scheme: dark) {
text { fill: #e6e8eb } .card { fill: #1b1d20; stroke: #3a3f45 }
.axis { stroke: #454b52 } .one { stroke: #e6e8eb } .range { stroke: #e6e8eb }
}
"""


@dataclass(frozen=True)
class Ratio:
    median: float
    low: float
    high: float


def read(results: str) -> dict[str, dict[str, Ratio]]:
    """Client: row: ratio, of the table of ratios."""
    lines = iter(results.splitlines())
    for line in lines:
        if line.startswith("|  | fire |"):
            rows = cells(line)[1:]
            break
    else:
        raise ValueError("there is no table of ratios")
    found: dict[str, dict[str, Ratio]] = {}
    for line in lines:
        if not line.startswith("|"):
            break
        name, *ratios = cells(line)
        for row, text in zip(rows, ratios, strict=True):
            if match := re.fullmatch(r"(?:\*\*)?([\d.]+) \(([\d.]+)-([\d.]+)\)(?:\*\*)?", text):
                found.setdefault(name, {})[row] = Ratio(*map(float, match.groups()))
    return found


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def x(ratio: float) -> float:
    """Where on the axis a ratio is, in pixels."""
    share = math.log(min(max(ratio, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def plot(results: dict[str, dict[str, Ratio]]) -> str:
    parts: list[str] = []
    y = float(TOP)
    for row in [*MORE_IS_BETTER, *LESS_IS_BETTER]:
        if row in LESS_IS_BETTER:
            y += 22
            note = "CPU time of 100 clients: to the left of 1 is less"
            parts.append(f'<text class="small" x="{LEFT}" y="{y - 6:.0f}">{note}</text>')
        begin = y
        for name, (color, _) in CLIENTS.items():
            if ratio := results[name].get(row):
                parts += bar(ratio, color, y)
                y += PITCH
        middle = (begin + y - (PITCH - BAR)) / 2 + 4
        parts.append(
            f'<text x="{LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(row)}</text>'
        )
        y += BETWEEN
    bottom = y - BETWEEN + 8
    axis = []
    for mark in MARKS:
        kind = "one" if mark == 1 else "axis"
        axis.append(
            f'<line class="{kind}" x1="{x(mark):.1f}" x2="{x(mark):.1f}" '
            f'y1="{TOP - 8}" y2="{bottom:.0f}"/>'
            f'<text class="small" x="{x(mark):.1f}" y="{bottom + 16:.0f}" text-anchor="middle">'
            f"{mark:g}\N{MULTIPLICATION SIGN}</text>"
        )
    height = round(bottom + 30)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img">',
            "<title>Speed in multiples of vuer.VuerClient</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" '
            f'height="{height - 1}" rx="8"/>',
            '<text x="16" y="26">Speed, as a multiple of vuer.VuerClient 0.1.6: '
            "to the right of 1 is faster</text>",
            *legend(),
            *axis,
            *parts,
            "</svg>",
            "",
        ]
    )


def bar(ratio: Ratio, color: str, y: float) -> list[str]:
    """From 1 to the ratio, with its range and its number."""
    begin, end = sorted((x(1), x(ratio.median)))
    middle = y + BAR / 2
    right = max(x(ratio.high), x(1)) + 5
    return [
        f'<rect x="{begin:.1f}" y="{y:.1f}" width="{max(end - begin, 1):.1f}" height="{BAR}" '
        f'fill="{color}"/>',
        f'<line class="range" x1="{x(ratio.low):.1f}" x2="{x(ratio.high):.1f}" '
        f'y1="{middle:.1f}" y2="{middle:.1f}"/>',
        f'<text class="small" x="{right:.1f}" y="{middle + 4:.1f}">{ratio.median:.2f}</text>',
    ]


def legend() -> list[str]:
    parts, left = [], 16
    for color, label in CLIENTS.values():
        parts += [
            f'<rect x="{left}" y="42" width="{BAR}" height="{BAR}" fill="{color}"/>',
            f'<text x="{left + 17}" y="52">{escape(label)}</text>',
        ]
        left += 45 + 7 * len(label)
    return parts


def main() -> None:
    FILE.write_text(plot(read(RESULTS.read_text("utf-8"))), "utf-8")
    print(FILE)


if __name__ == "__main__":
    main()
