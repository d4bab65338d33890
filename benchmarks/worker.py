"""A process with one client: takes rows from stdin, answers what it measured."""

from __future__ import annotations

import gc
import json
import sys

from clients import run_row


def main() -> None:
    name = sys.argv[1]
    for line in sys.stdin:
        row, uri = json.loads(line)
        gc.collect()  # what the last row left
        print(run_row(name, row, uri), flush=True)


if __name__ == "__main__":
    main()
