"""``python -m vuer_trio.record export --json FILE``: print a recording as JSON lines.

Exit status: 0 on success; 1 if the file cannot be read, or the output pipe is closed early; 2 for
invalid arguments; 3 if everything readable was printed, but a part of the recording is lost.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence

from ..events import canonical
from .entry import Entry
from .errors import DamagedRecording, NotARecording
from .export import json_lines
from .recording import open_recording

__all__ = ["main"]

_FAILED, _INCOMPLETE = 1, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    warnings.simplefilter("ignore", DamagedRecording)
    with warnings.catch_warnings(record=True) as damages:
        warnings.simplefilter("always", DamagedRecording)
        try:
            recording = open_recording(options.file)
            chosen = _chosen(recording, options.etype, options.direction)
            for line in json_lines(chosen):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            # Python flushes stdout again at exit, which must not fail.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _FAILED
        except NotARecording as exc:
            return _fail(str(exc))
        except OSError as exc:
            return _fail(f"{options.file}: {exc.strerror or exc}")
        except ImportError as exc:
            return _fail(str(exc))
    for damage in damages:
        print(f"warning: {damage.message}", file=sys.stderr)
    return _INCOMPLETE if damages else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vuer_trio.record", description="Inspect recordings."
    )
    export = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "export", help="print a recording", description="Print a recording, one message a line."
    )
    export.add_argument("--json", action="store_true", required=True, help="as JSON lines")
    export.add_argument("file", metavar="FILE", help="an MCAP file written by a Recorder")
    export.add_argument(
        "--etype", action="append", metavar="TYPE", help="only this event type (may be repeated)"
    )
    export.add_argument("--direction", choices=("received", "sent"), help="only this direction")
    return parser


def _chosen(
    entries: Iterable[Entry], etypes: Sequence[str] | None, direction: str | None
) -> Iterator[Entry]:
    wanted = None if etypes is None else set(map(canonical, etypes))
    for entry in entries:
        if direction in (None, entry.direction) and (
            wanted is None or canonical(entry.etype) in wanted
        ):
            yield entry


def _fail(reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return _FAILED


if __name__ == "__main__":
    sys.exit(main())
