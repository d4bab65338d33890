"""Frames a second, and how old they are, of a WebRTC stream in Chromium: this library, and vuer.

    python benchmarks/webrtc.py [--seconds N] [--rounds N] [--codec VP8] [--quick]

The server pushes 30 frames a second, see `webrtc_server.py`. The browser is on the same machine, so
what it shows of the clock tells how old a frame is when it is shown: encoded, sent, put into order,
decoded. The servers take turns, each with a new process and a new page. Needs Chromium, playwright
and vuer. Prints a table, and writes it to WEBRTC.md, unless it is ``--quick``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version as package
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.request import urlopen

import psutil
from report import line, machine
from webrtc_frames import NUMBER
from webrtc_server import RATE

_HERE = Path(__file__).parent
KINDS = ("vuer", "Trio", "asyncio")
SIZES = ((640, 480), (1280, 720))
#: seconds after the first frame that do not count
_SETTLE = 3.0
_FLAGS = ("--no-sandbox", "--disable-quic", "--no-proxy-server", "--disable-background-networking")
#: the offer of the web client, and each frame that is shown: when, and what number is in it
_WATCH = """async () => {
  const number = NUMBER;
  window.shown = [];
  const video = document.createElement("video");
  [video.muted, video.autoplay, video.playsInline] = [true, true, true];
  document.body.append(video);
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const look = () => {
    const at = performance.timeOrigin + performance.now();
    const width = video.videoWidth;
    if (canvas.width !== width) [canvas.width, canvas.height] = [width, 64];
    context.drawImage(video, 0, 0);
    window.shown.push([at, number(context.getImageData(0, 0, width, 64).data, width)]);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  const connection = window.connection = new RTCPeerConnection();
  connection.ontrack = (event) => {
    if (event.track.kind === "video") video.srcObject = new MediaStream([event.track]);
  };
  connection.addTransceiver("video", { direction: "recvonly" });
  connection.addTransceiver("audio", { direction: "recvonly" });
  await connection.setLocalDescription(await connection.createOffer());
  while (connection.iceGatheringState !== "complete") {
    await new Promise((go) => setTimeout(go, 10));
  }
  const { type, sdp } = connection.localDescription;
  const reply = await fetch("/webrtc/offer/camera", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type, sdp }),
  });
  if (!reply.ok) throw new Error(`${reply.status}: ${await reply.text()}`);
  await connection.setRemoteDescription(await reply.json());
}""".replace("NUMBER", NUMBER)


@dataclass(frozen=True)
class Seen:
    """What a browser has shown; ages in milliseconds, ``cpu`` of the server in seconds a second."""

    frames: int
    seconds: float
    ages: list[float]
    cpu: float


@contextmanager
def server(kind: str, width: int, height: int, codec: str) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "webrtc_server.py", kind, str(port), str(width), str(height), codec]
    environment = {**os.environ, "VUER_WORKSPACE": "."}
    process = subprocess.Popen(
        command, cwd=_HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with suppress(OSError):
                urlopen(f"{url}/webrtc/debug", timeout=5).close()
                break
            if process.poll() is not None:
                raise SystemExit(f"the server of {kind} has ended")
            time.sleep(0.1)
        yield url, psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def measure(context: Any, kind: str, size: tuple[int, int], codec: str, seconds: float) -> Seen:
    with server(kind, *size, codec) as (url, process):
        page = context.new_page()
        try:
            page.goto(f"{url}/webrtc/debug")
            page.evaluate(_WATCH)
            page.wait_for_function("window.shown.length > 0", timeout=60_000)
            time.sleep(_SETTLE)
            page.evaluate("window.shown.length = 0")
            used, began = sum(process.cpu_times()[:2]), time.monotonic()
            time.sleep(seconds)
            shown = page.evaluate("window.shown")
            taken = time.monotonic() - began
            cpu = (sum(process.cpu_times()[:2]) - used) / taken
        finally:
            page.close()
    numbers, ages = set(), []
    for at, number in shown:
        age = (at - number) % 2**24
        if number not in numbers and age < 2**23:
            numbers.add(number)
            ages.append(age)
    return Seen(len(numbers), taken, ages, cpu)


def table(samples: dict[tuple[tuple[int, int], str], list[Seen]]) -> list[str]:
    head = ["frames/s", "age, median (ms)", "95 %", "CPU of the server (%)"]
    lines = [line("size", ["server", *head]), line("---", ["---"] * 5)]
    for ((width, height), kind), all_seen in samples.items():
        ages = [age for seen in all_seen for age in seen.ages]
        rates = [seen.frames / seen.seconds for seen in all_seen]
        fields = ["none", "none"]
        if len(ages) > 1:
            fields = [f"{median(ages):.0f}", f"{quantiles(ages, n=20)[-1]:.0f}"]
        rate = f"{median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f})"
        cpu = f"{100 * median(seen.cpu for seen in all_seen):.0f}"
        lines.append(line(f"{width} x {height}", [kind, rate, *fields, cpu]))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--codec", default="VP8", choices=("VP8", "H264"))
    parser.add_argument("--quick", action="store_true", help="3 s, once, and no file")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 3.0, 1
    path = shutil.which("chromium") or shutil.which("google-chrome")
    from playwright.sync_api import sync_playwright

    samples: dict[Any, list[Seen]] = defaultdict(list)
    load = [os.getloadavg()[0]]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        for n in range(options.rounds):
            for size in SIZES:
                for kind in KINDS[n % len(KINDS) :] + KINDS[: n % len(KINDS)]:
                    seen = measure(browser, kind, size, options.codec, options.seconds)
                    samples[size, kind].append(seen)
                    load.append(os.getloadavg()[0])
                    print(json.dumps([kind, *size, seen.frames, round(seen.cpu, 2)]), flush=True)
        chromium = browser.version
        browser.close()
    ordered = {(size, kind): samples[size, kind] for size in SIZES for kind in KINDS}
    text = [
        "# A WebRTC stream in Chromium",
        "",
        f"{RATE:g} frames a second are pushed, {options.codec}, to one page of Chromium {chromium} "
        f"on the same machine. {options.rounds} rounds of {options.seconds:g} s each, in turns; "
        f"the first {_SETTLE:g} s of each do not count. Age is from the push of a frame until it "
        "is shown. Frames a second: the median of the rounds, and their range.",
        "",
        *table(ordered),
        "",
        f"The load of the machine, whose {os.cpu_count()} cores browser and server share with what "
        f"else it does, was {min(load):.1f} to {max(load):.1f} (of one minute).",
        "",
        machine(options.rounds, load[0]).rstrip(),
        f"aiortc {package('aiortc')}, av {package('av')}.",
    ]
    print("\n".join(text))
    if not options.quick:
        (_HERE / "WEBRTC.md").write_text("\n".join(text) + "\n", "utf-8")


if __name__ == "__main__":
    main()
