"""Make ``recorded_path.svg``: where head and hands were in a recording of a fake headset.

    python docs/pictures/recorded_path.py

It needs matplotlib and the extra ``foxglove``. The session is recorded with ``foxglove=True``, and
read as any other tool would read it: the transforms of the file, decoded with the schemas in it.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import trio
import trio.testing

from vuer_trio import Vuer
from vuer_trio.events import ClientEvent
from vuer_trio.frame import to_mat
from vuer_trio.record import Recorder
from vuer_trio.testing import FakeHeadset, hand_move, open_memory_server

FILE = Path(__file__).resolve().parent / "recorded_path.svg"
SECONDS, RATE = 8.0, 30.0
TOPICS = ["/tf/head", "/tf/left-hand", "/tf/right-hand"]
#: the frames, their colours, and what they are called
DRAWN = {
    "head": ("#0072b2", "head"),
    "left-hand/wrist": ("#009e73", "left wrist"),
    "right-hand/wrist": ("#d55e00", "right wrist"),
}


def places(second: float) -> dict[str, tuple[float, float, float]]:
    """Where a person is who takes a step to the side and back, and stirs with the right hand."""
    sway = 0.25 * math.sin(2 * math.pi * second / SECONDS)
    stir = 2 * math.pi * second / 2
    return {
        "head": (sway, 1.6 + 0.03 * math.cos(4 * math.pi * second / SECONDS), 0.0),
        "left-hand/wrist": (sway - 0.25, 1.0 + 0.05 * second, -0.35),
        "right-hand/wrist": (
            sway + 0.25 + 0.12 * math.cos(stir),
            1.1,
            -0.4 + 0.12 * math.sin(stir),
        ),
    }


def motion() -> Iterator[tuple[float, ClientEvent]]:
    """What the headset sends."""
    for n in range(round(SECONDS * RATE)):
        at = places(n / RATE)
        matrix = to_mat(at["head"], (0, 0, 0, 1))
        yield (
            1 / RATE if n else 0.0,
            ClientEvent(etype="HEAD_MOVE", key="head", value={"matrix": matrix.T.ravel().tolist()}),
        )
        yield 0.0, hand_move(at["left-hand/wrist"], at["right-hand/wrist"])


def record(path: Path) -> None:
    """Record a session, in virtual time."""

    async def main() -> None:
        app = Vuer()

        @app.spawn
        async def show(session: Any) -> None:
            async with Recorder(path, session, foxglove=True):
                async for event in session:
                    if event == "LAST":
                        break

        async with open_memory_server(app) as server:
            script = [*motion(), (0.0, ClientEvent(etype="LAST"))]
            async with FakeHeadset(server, script) as headset:
                await headset.client.wait_closed()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def read(path: Path) -> dict[str, Any]:
    """Frame: an array of its times and positions, (n, 4), by the transforms in the file."""
    from mcap.reader import make_reader
    from mcap_protobuf.decoder import DecoderFactory

    found: dict[str, list[tuple[float, ...]]] = {}
    with path.open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        for _, _, message, transform in reader.iter_decoded_messages(topics=TOPICS):
            at = transform.translation
            row = (message.log_time / 1e9, at.x, at.y, at.z)
            found.setdefault(transform.child_frame_id, []).append(row)
    return {frame: np.array(rows) for frame, rows in found.items()}


def plot(paths: dict[str, Any], file: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "vuer-trio", "svg.fonttype": "none", "font.size": 9}
    from matplotlib import pyplot

    figure, (above, heights) = pyplot.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
    start = min(rows[0, 0] for rows in paths.values())
    for frame, (colour, label) in DRAWN.items():
        time, x, y, z = paths[frame].T
        above.plot(x, -z, color=colour, label=label, linewidth=1.5)
        above.plot(x[0], -z[0], "o", color=colour, markersize=4)
        heights.plot(np.round(time - start, 3), y, color=colour, label=label, linewidth=1.5)
    above.set(title="from above", xlabel="x, to the right (m)", ylabel="-z, ahead (m)")
    above.set_aspect("equal")
    heights.set(title="heights", xlabel="time (s)", ylabel="y (m)", ylim=(0, 1.8))
    heights.legend(loc="lower right", frameon=False)
    for axes in (above, heights):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "session.mcap"
        record(path)
        plot(read(path), FILE)
    print(FILE)


if __name__ == "__main__":
    main()
