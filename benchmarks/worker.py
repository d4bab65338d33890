"""A process with one client: takes rows from stdin, answers what it measured."""

from __future__ import annotations

import gc
import json
import sys
import time

from clients import run_row


def main() -> None:
    name = sys.argv[1]
    for line in sys.stdin:
        row, uri = json.loads(line)
        gc.collect()  # what the last row left
        used = time.process_time()
        value = run_row(name, row, uri)
        used = time.process_time() - used
        print(json.dumps({"value": value, "cpu": used}), flush=True)


if __name__ == "__main__":
    main()
