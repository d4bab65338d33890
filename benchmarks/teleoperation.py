"""A robot behind a lossy line, for a minute: how old its images are, and when it stops.

    python benchmarks/teleoperation.py [--seconds N]

The robot is a server: it shows two cameras, 30 images a second each, and follows the right hand of
a headset at 50 Hz while that is at most 0.2 s old. The headset sends its hands 90 times a second.
In the end the line is cut. Needs what `slow_line.py` needs. Prints what it has seen, and a run of a
minute or more writes it to TELEOPERATION.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from network_line import SERVER, VIEWER, VIEWER_DEVICE, Line, NoLine, ends, inside
from report import line as table_line
from report import machine

__all__: list[str] = []

_HERE = Path(__file__).parent
PORT = 8012
LINE = Line(20, 1000, 20, 0.1)
IMAGES, SIZE = 30, 40_000  # a second, and bytes of one: 19 Mbit/s of both cameras
COMMANDS, HANDS, MAX_AGE = 50, 90, 0.2
#: seconds until images count
SETTLE = 2.0


def now() -> int:
    return time.monotonic_ns() // 1000


async def robot(host: str) -> dict[str, Any]:
    """Serve, and follow the hand until it is gone for two seconds."""
    import trio

    from vuer_trio import Latest, Stale, Vuer, open_vuer_server
    from vuer_trio.schemas import Box

    app = Vuer(host, PORT, outbox=Latest())
    commands: list[float] = []
    stops: list[float] = []

    @app.spawn
    async def main(session: Any) -> None:
        begin = trio.current_time()
        for n in range(1_000_000):
            for camera in ("left", "right"):
                image = os.urandom(SIZE)
                session.upsert(Box(key=camera, at=now(), image=image), to="bgChildren")
            await trio.sleep_until(begin + (n + 1) / IMAGES)

    async def follow() -> None:
        with app.lease("HAND_MOVE", max_age=MAX_AGE):
            try:
                due = trio.current_time()
                while True:
                    app.latest("HAND_MOVE")
                    commands.append(time.monotonic())
                    due += 1 / COMMANDS
                    await trio.sleep_until(due)
            finally:
                stops.append(time.monotonic())

    async with open_vuer_server(app):
        print("ready", flush=True)
        while not stops or time.monotonic() - stops[-1] < 2:
            try:
                app.latest("HAND_MOVE", max_age=MAX_AGE)
                await follow()
            except Stale:
                await trio.sleep(0.02)
    gaps = sorted(b - a for a, b in pairwise(commands))
    return {"commands": len(commands), "gaps": gaps, "stops": stops}


async def headset(uri: str, seconds: float) -> dict[str, Any]:
    """Send hands, and look at images."""
    import trio

    from vuer_trio import ConnectionClosed
    from vuer_trio.testing import FakeHeadset, wave

    ages: list[float] = []
    async with FakeHeadset(uri, wave(seconds + 30, HANDS), checkpoints="amortised") as worn:
        print("ready", flush=True)
        begin = trio.current_time()
        with trio.move_on_after(seconds):
            try:
                async for event in worn.client:
                    if trio.current_time() - begin > SETTLE:
                        ages += [(now() - node["at"]) / 1e6 for node in event.data["nodes"]]
            except ConnectionClosed:
                pass
        print(json.dumps({"ages": ages}), flush=True)
        await trio.sleep(60)  # the line is cut meanwhile
    return {}


def measure(seconds: float) -> str:
    command = [sys.executable, str(_HERE / "teleoperation.py"), "--role"]
    with ends(LINE) as address:
        server = _start(inside(SERVER, *command, "robot", "--at", address))
        assert server.stdout is not None
        server.stdout.readline()
        told = ["headset", "--at", f"ws://{address}:{PORT}", "--seconds", str(seconds)]
        viewer = _start(inside(VIEWER, *command, *told))
        assert viewer.stdout is not None
        try:
            viewer.stdout.readline()
            time.sleep(seconds + 2)  # it has seen what it is to see
            cut = time.monotonic()
            subprocess.run(inside(VIEWER, "ip", "link", "set", VIEWER_DEVICE, "down"), check=True)
            done = json.loads(server.communicate(timeout=30)[0])
        finally:
            server.kill()
        try:
            ages = json.loads(viewer.stdout.readline())["ages"]
        finally:
            viewer.kill()
    gaps, stops = done["gaps"], done["stops"]
    limit = MAX_AGE * 1000 + LINE.rtt
    rows = {
        "line: rate, queue, round trip, loss": str(LINE),
        "images a second, of both cameras": f"{len(ages) / (seconds - SETTLE):.1f}",
        "their age": _shown(ages),
        "images older than 0.5 s": str(sum(age > 0.5 for age in ages)),
        f"commands to the robot, of {COMMANDS} a second": str(done["commands"]),
        "from one to the next": _shown(gaps),
        "stops before the line was cut": str(sum(stop < cut for stop in stops)),
        "stopped after the cut": f"{(stops[-1] - cut) * 1000:.0f} ms, of at most {limit:.0f}",
    }
    return "\n".join(
        [table_line("", [f"{seconds:g} s"]), table_line("---", ["---"])]
        + [table_line(name, [value]) for name, value in rows.items()]
    )


def _shown(values: list[float]) -> str:
    middle, most, longest = median(values), quantiles(values, n=100)[-1], max(values)
    return f"{middle * 1000:.0f} ms, 99 %: {most * 1000:.0f} ms, at most {longest * 1000:.0f} ms"


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, cwd=_HERE, text=True, stdout=subprocess.PIPE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--role", choices=("robot", "headset"), help=argparse.SUPPRESS)
    parser.add_argument("--at", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        import trio

        if args.role == "robot":
            print(json.dumps(trio.run(robot, args.at)), flush=True)
        else:
            trio.run(headset, args.at, args.seconds)
        return 0
    load = os.getloadavg()[0]
    try:
        table = measure(args.seconds)
    except NoLine as exc:
        print(f"not measured: {exc}")
        return 0
    print(table)
    if args.seconds >= 60:
        text = (
            "# A robot behind a lossy line\n\n"
            f"The robot serves two cameras, {IMAGES} images a second of {SIZE // 1000} kB each, "
            f"and follows a hand that the headset sends {HANDS} times a second. The first "
            f"{SETTLE:g} seconds do not count.\n\n"
        )
        (_HERE / "TELEOPERATION.md").write_text(f"{text}{table}\n\n{machine(1, load)}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
