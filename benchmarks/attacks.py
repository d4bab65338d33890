"""What strangers cost the others: attack a server and a relay, and see what a neighbour notices.

    python benchmarks/attacks.py [--before DIR] [--only NAME ...] [--runtime NAME ...] [--quick]

Each attack has a server of its own, with its options at their defaults, strangers in a process of
their own, and a neighbour here: a session that is answered, or two agents of a relay, with 50
messages a second. While the attack lasts, an operator opens another session every second.
``--before`` names the ``src`` of another version, which is attacked first, and stands beside this
one in the table.

Prints the table, and writes it to ATTACKS.md, unless it is ``--quick`` or not whole.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import msgpack
import psutil
from report import line, machine
from strangers import TEXT, Attack, attacks, event, frame, join, read_frame, register

_HERE = Path(__file__).parent
RUNTIMES = ("trio", "asyncio")
#: seconds before an attack, and between two messages of the neighbour
_SETTLE, _EVERY = 1.0, 0.02
#: seconds after which an operator gives up
_PATIENCE = 5.0


class Neighbour(threading.Thread):
    """Somebody who is served, and measures how late."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.late: list[float] = []
        self.told: list[float] = []  # when a message that goes to all arrived
        self.error: Exception | None = None
        self.stopped = False
        self.open(port)

    def open(self, port: int) -> None:
        self.sock = join(port)
        self.sock.settimeout(60)
        self.sock.sendall(event("INIT", {"client": "neighbour"}))

    def run(self) -> None:
        number = 0
        try:
            while not self.stopped:
                number += 1
                start = time.perf_counter()
                self.trip(number)
                self.late.append(time.perf_counter() - start)
                time.sleep(_EVERY)
        except Exception as exc:
            self.error = exc

    def trip(self, number: int) -> None:
        self.sock.sendall(event("PING", number))
        while True:
            opcode, payload = self.read(self.sock)
            if opcode == 2 and b"ECHO" in payload[:40]:
                assert msgpack.unpackb(payload)["data"] == number
                return
            self.told.append(time.perf_counter())

    @staticmethod
    def read(sock: Any) -> tuple[int, bytes]:
        opcode, payload = read_frame(sock)
        if opcode == 9:
            sock.sendall(frame(payload, 10))
        elif opcode == 8:
            raise ConnectionError(f"closed with {int.from_bytes(payload[:2])}")
        return opcode, payload

    def close(self) -> None:
        self.stopped = True
        self.join(_PATIENCE)
        self.sock.close()


class Agents(Neighbour):
    """The same at a relay: one agent that writes to another."""

    def open(self, port: int) -> None:
        self.sock = join(port, f"/arc?token={register(port)}")
        self.other = join(port, f"/arc?token={register(port)}")
        for sock in (self.sock, self.other):
            sock.settimeout(60)
        _, welcome = read_frame(self.other)
        self.name = json.loads(welcome)["to"][0]

    def trip(self, number: int) -> None:
        message = json.dumps({"to": [self.name], "payload": f"number {number}"})
        self.sock.sendall(frame(message.encode(), TEXT))
        while True:
            opcode, payload = self.read(self.other)
            if opcode == 1 and json.loads(payload).get("payload") == f"number {number}":
                return


class Operator(threading.Thread):
    """Opens a session, is answered, and leaves; again every second."""

    def __init__(self, port: int, kind: type[Neighbour]) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._kind = kind
        self.stopped = False
        self.took: list[float] = []
        self.refused: Counter[str] = Counter()

    def run(self) -> None:
        while not self.stopped:
            start = time.perf_counter()
            try:
                visitor = self._kind(self._port)
                visitor.trip(1)
            except Exception as exc:
                self.refused[str(exc) or type(exc).__name__] += 1
            else:
                self.took.append(time.perf_counter() - start)
                visitor.sock.close()
            time.sleep(1)


@dataclass
class Figures:
    """Of one attack."""

    late: list[float] = field(default_factory=list)  # of the neighbour, sorted
    gap: float = 0.0  # seconds, the longest, between two messages that go to all
    broken: str = ""  # what ended the neighbour, if anything did
    grew: float = 0.0  # MiB, at the peak
    got: dict[str, int] = field(default_factory=dict)
    operator: str = ""

    def cells(self) -> list[str]:
        if self.late:
            p50, p99 = (1e3 * self.late[int(len(self.late) * part)] for part in (0.5, 0.99))
            shown = [f"{p50:.1f}", f"{p99:.0f}", f"{1e3 * self.late[-1]:.0f}"]
        else:
            shown = ["-", "-", "-"]
        if self.broken:
            shown[2] += f" ({self.broken})"
        shown.append(f"{1e3 * self.gap:.0f}" if self.gap else "")
        got = ", ".join(f"{ending}: {count:,}" for ending, count in self.got.items()) or "-"
        return [*shown, self.operator, f"{self.grew:.0f}", got]


def measure(
    name: str, attack: Attack, count: int, library: str, transport: str, source: str
) -> Figures:
    """One attack on a new server."""
    environment = {**os.environ, "PYTHONPATH": source}
    server = subprocess.Popen(
        [sys.executable, _HERE / "victim.py", attack.kind, library, transport, str(attack.ticks)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    strangers = None
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        person = Agents if attack.kind == "relay" else Neighbour
        neighbour = person(port)
        neighbour.start()
        time.sleep(_SETTLE)
        process = psutil.Process(server.pid)
        before = process.memory_info().rss
        strangers = subprocess.Popen(
            [
                sys.executable,
                _HERE / "strangers.py",
                name,
                str(port),
                str(count),
                str(attack.seconds),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert strangers.stdout is not None
        memory = _Memory(process)
        memory.start()
        strangers.stdout.readline()
        first, first_told = len(neighbour.late), len(neighbour.told)
        operator = Operator(port, person)
        operator.start()
        told = strangers.stdout.readline()
        end = time.perf_counter()
        operator.stopped = memory.stopped = True
        with suppress(RuntimeError):
            operator.join(_PATIENCE)
        neighbour.close()
        memory.join()
        return Figures(
            sorted(neighbour.late[first:]),
            longest([*neighbour.told[first_told:], end]) if neighbour.told else 0.0,
            str(neighbour.error or ""),
            max(0, memory.peak - before) / 2**20,
            json.loads(told or "{}"),
            _operator(operator),
        )
    finally:
        for started in (strangers, server):
            if started is not None:
                started.kill()
                started.communicate()


def longest(times: list[float]) -> float:
    """The longest of the times between them."""
    return max((after - before for before, after in pairwise(times)), default=0.0)


def _operator(operator: Operator) -> str:
    if not operator.took:
        return "never" + (f" ({operator.refused.most_common(1)[0][0]})" if operator.refused else "")
    text = f"{1e3 * median(operator.took):.0f}"
    refused = sum(operator.refused.values())
    return f"{text} ({refused} of {refused + len(operator.took)} refused)" if refused else text


class _Memory(threading.Thread):
    """The most that a process took."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self.peak = 0
        self.stopped = False

    def run(self) -> None:
        with suppress(psutil.Error):
            while not self.stopped:
                self.peak = max(self.peak, self._process.memory_info().rss)
                time.sleep(0.01)


def main() -> None:
    known = attacks()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", metavar="DIR")
    parser.add_argument("--only", nargs="+", default=list(known), choices=known, metavar="NAME")
    parser.add_argument("--runtime", nargs="+", default=RUNTIMES, choices=RUNTIMES)
    parser.add_argument("--transport", default="websockets")
    parser.add_argument("--quick", action="store_true", help="no ATTACKS.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    sources = [str(_HERE.parent / "src")]
    if options.before:
        sources.insert(0, str(Path(options.before).resolve()))
    columns = ["version", "p50, ms", "p99, ms", "longest, ms", "broadcasts stop for, ms"]
    columns += ["an operator gets in, ms", "memory, MiB"]
    columns.append("what the strangers got")
    rows = [line("attack", ["strangers", "runtime", *columns])]
    rows.append(line("---", ["---"] * (len(columns) + 2)))
    print("\n".join(rows), flush=True)
    for name in options.only:
        for count in known[name].counts:
            for library in options.runtime:
                for source in sources:
                    version = "this" if source == sources[-1] else "before"
                    found = measure(name, known[name], count, library, options.transport, source)
                    cells = [f"{count:,}", library, version, *found.cells()]
                    rows.append(line(name, cells))
                    print(rows[-1], flush=True)
    text = "\n".join(["# Attacks", "", "Made by `python benchmarks/attacks.py`.", "", *rows, ""])
    text += f"\n{machine(1, load)}"
    whole = options.only == list(known) and tuple(options.runtime) == RUNTIMES
    if whole and not options.quick:
        (_HERE / "ATTACKS.md").write_text(text)


if __name__ == "__main__":
    main()
