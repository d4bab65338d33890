"""``vuer-trio export``: a recording for other tools."""

from __future__ import annotations

import argparse
import errno
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .json_text import printable
from .output import Output
from .recording_file import damages_told, in_thread, opened, opening, size_text
from .statuses import CommandFailed, Status

if TYPE_CHECKING:
    from ..record import Entry, Recording

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run"]

HELP = "write the pictures and poses of a recording for other tools"
DESCRIPTION = """\
Write the pictures of a recording, and its poses as tables, to a new folder. With --foxglove, write
the recording to a new MCAP file that also has poses and pictures in Foxglove's schemas, and JSON.

  vuer-trio export run.mcap run            # run/left-hand.csv, run/nodes.csv, run/images/, ...
  vuer-trio export run.mcap run --parquet
  vuer-trio export run.mcap run-foxglove.mcap --foxglove"""

#: entries between updates of the progress
_TURN = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an MCAP file written by `record`")
    parser.add_argument(
        "target",
        type=Path,
        metavar="FOLDER",
        help="the folder to create; with --foxglove, the file",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--foxglove",
        action="store_true",
        help="one MCAP file with foxglove.FrameTransform, foxglove.CompressedImage and JSON",
    )
    kind.add_argument("--parquet", action="store_true", help="tables as Parquet instead of CSV")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, no messages")


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return False


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    with damages_told(out) as damages:
        recording = opened(args.file)
        try:
            with opening(args.target), out.working("exporting") as tell:
                if args.quiet:
                    tell = _silent
                lines = await in_thread(lambda check: _export(args, recording, check, tell))
        except CommandFailed as exc:
            cause = exc.__cause__
            if isinstance(cause, OSError) and cause.errno == errno.EEXIST:
                raise CommandFailed(f"{args.target} already exists; choose another name") from cause
            raise
    if not args.quiet:
        for line in lines:
            out.remark(line)
    if damages:
        out.complain("what could be read was exported")
        return Status.FAILED
    return Status.DONE


def _silent(text: str) -> None:
    pass


def _export(
    args: argparse.Namespace,
    recording: Recording,
    check: Callable[[], None],
    tell: Callable[[str], None],
) -> list[str]:
    """Write it, in a thread. Returns the lines of a summary."""
    from ..record import to_folder, to_foxglove

    count = 0

    def progress(entry: Entry) -> None:
        nonlocal count
        count += 1
        check()
        if count % _TURN == 0:
            at = f"{entry.time - recording.start:.1f} of {recording.duration:.1f} s"
            tell(f"exporting {args.file}: {at}, {count:,} messages")

    if args.foxglove:
        remarks = to_foxglove(recording, args.target, progress=progress)
        size = size_text(args.target.stat().st_size)
        return [f"{args.target}: {count:,} messages, {size}", *map(printable, remarks)]
    rows = to_folder(recording, args.target, parquet=args.parquet, progress=progress)
    ending = "parquet" if args.parquet else "csv"
    names = [f"{name}.{ending}" for name in rows]
    width = max(map(len, names), default=0)
    lines = [f"{args.target}: {count:,} messages"]
    for name, many in zip(names, rows.values(), strict=True):
        lines.append(f"  {name:<{width}}  {many:,} row{'' if many == 1 else 's'}")
    if not rows:
        lines.append("  no poses and no pictures are in it")
    return lines
