"""``vuer-trio info``: what is in a recording."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .json_text import NAME, printable
from .output import Output, plain_text
from .recording_file import in_thread, opening, size_text
from .statuses import Status

if TYPE_CHECKING:
    from rich.table import Table

    from ..record import Gap, RecordingSummary, TopicSummary

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run"]

HELP = "show what is in a recording: topics, counts, rates, gaps, damages"
DESCRIPTION = """\
Show what is in a recording: its topics with their counts, rates, longest gaps and sizes, where its
recorder dropped messages, and what is damaged. The file may still be written to, or damaged.

  vuer-trio info run.mcap
  vuer-trio info run.mcap --json"""

#: columns of a terminal from which on a column of the table is shown
_ROOM = {"longest gap": 60, "bytes": 72, "largest": 100, "first": 112, "last": 112}
#: gaps that are shown one by one
_GAPS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an MCAP file written by `record`")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return False


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    from ..record import summarize

    def read(check: Callable[[], None]) -> RecordingSummary:
        def progress(part: float) -> None:
            check()
            tell(f"reading {args.file}: {part:.0%}")

        return summarize(args.file, progress=progress)

    with opening(args.file), out.working(f"reading {args.file}") as tell:
        summary = await in_thread(read)
    if args.json:
        await out.write_text(json.dumps(_as_json(summary)) + "\n")
        return Status.DONE
    lines = _head(summary)
    if out.terminal:
        for line in lines:
            out.line(line)
        if summary.topics:
            out.line()
            out.table(_table(summary, out))
        for line in _faults(summary):
            out.line((line, "yellow"))
        return Status.DONE
    lines += ["", *_plain_table(summary)] if summary.topics else []
    lines += _faults(summary)
    await out.write_text("".join(f"{line}\n" for line in lines))
    return Status.DONE


# ---- lines


def _head(summary: RecordingSummary) -> list[str]:
    recording = summary.recording
    of = "session" if recording.side == "server" else "client"
    about = f"a {of}, {printable(recording.uri, NAME)}" if recording.uri else f"a {of}"
    count = f"{summary.count:,} message{'' if summary.count == 1 else 's'}"
    state = "" if recording.complete else ", not finished"
    size = f"{size_text(summary.size)} of messages, {size_text(summary.file_size)} in the file"
    lines = [
        printable(str(recording.path)),
        f"recorded by {about}, with {printable(recording.library, NAME) or 'an unknown library'}",
    ]
    if summary.topics:
        lines.append(f"from {_moment(recording.start)}, {recording.duration:.3f} s")
    lines.append(f"{count}, {size}{state}")
    return lines


def _faults(summary: RecordingSummary) -> list[str]:
    gaps, lines = summary.gaps, []
    dropped = summary.recording.dropped
    if gaps:
        lines.append(f"the disk was too slow, {dropped:,} messages were dropped:")
        lines += [f"  {_gap(gap, summary)}" for gap in gaps[:_GAPS]]
        if len(gaps) > _GAPS:
            lines.append(f"  and {len(gaps) - _GAPS:,} more times")
    lines += [f"damaged: {printable(damage)}" for damage in summary.damages]
    return ["", *lines] if lines else []


def _gap(gap: Gap, summary: RecordingSummary) -> str:
    start = gap.start / 1e9 - summary.recording.start
    end = gap.end / 1e9 - summary.recording.start
    return f"from {start:.3f} to {end:.3f} s: {gap.received:,} received, {gap.sent:,} sent"


# ---- the table


def _columns(summary: RecordingSummary, topic: TopicSummary) -> dict[str, str]:
    start = summary.recording.start
    rate = topic.rate
    return {
        "topic": printable(topic.topic, NAME),
        "messages": f"{topic.count:,}",
        "rate": "" if rate is None else f"{rate:,.1f}/s",
        "longest gap": f"{topic.longest_gap:.3f} s" if topic.count > 1 else "",
        "bytes": size_text(topic.size),
        "largest": size_text(topic.largest),
        "first": f"{topic.first - start:.3f} s",
        "last": f"{topic.last - start:.3f} s",
    }


def _table(summary: RecordingSummary, out: Output) -> Table:
    from rich import box
    from rich.table import Table

    rows = [_columns(summary, topic) for topic in summary.topics]
    names = [name for name in rows[0] if out.width >= _ROOM.get(name, 0)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        if name == "topic":  # the end of a long one says most
            table.add_column(name, overflow="fold", ratio=None)
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for topic, row in zip(summary.topics, rows, strict=True):
        style = {"derived": "dim", "sent": "green", "received": "cyan"}.get(topic.kind, "")
        table.add_row(out.styled(row["topic"], style), *(row[name] for name in names[1:]))
    return table


def _plain_table(summary: RecordingSummary) -> list[str]:
    rows = [_columns(summary, topic) for topic in summary.topics]
    names = list(rows[0])
    cells = [names, *([row[name] for name in names] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(names))]
    return [
        plain_text(
            f"{cell:<{width}}" if not n else f"  {cell:>{width}}"
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]


def _moment(seconds: float) -> str:
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # the times may be damaged
        return "an unknown time"
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


# ---- JSON


def _as_json(summary: RecordingSummary) -> dict[str, Any]:
    recording = summary.recording
    return {
        "path": str(recording.path),
        "uri": recording.uri,
        "side": recording.side,
        "library": recording.library,
        "complete": recording.complete,
        "start": recording.start,
        "end": recording.end,
        "duration": recording.duration,
        "messages": summary.count,
        "bytes": summary.size,
        "file_bytes": summary.file_size,
        "dropped": recording.dropped,
        "topics": [
            {
                "topic": topic.topic,
                "kind": topic.kind,
                "messages": topic.count,
                "rate": topic.rate,
                "longest_gap": topic.longest_gap,
                "longest_gap_at": topic.longest_gap_at or None,
                "bytes": topic.size,
                "largest": topic.largest,
                "first": topic.first,
                "last": topic.last,
            }
            for topic in summary.topics
        ],
        "gaps": [
            {
                "start": gap.start / 1e9,
                "end": gap.end / 1e9,
                "received": gap.received,
                "sent": gap.sent,
            }
            for gap in summary.gaps
        ],
        "damages": summary.damages,
    }
