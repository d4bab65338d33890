"""A slow line: two network namespaces, and a relay of packets between them.

The rate and the queue are the kernel's (``tc tbf`` on the way out of the server's namespace), or,
of a line that is *far*, the relay's. Delay and loss come from the relay, a process that reads
packets from one TUN device and writes them to the other, as a kernel without netem can do neither.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Event, Process
from typing import Any

__all__ = ["SERVER", "VIEWER", "VIEWER_DEVICE", "Line", "NoLine", "ends", "inside"]

#: what tells lines apart that are there at the same time, each made by a process of its own
_NUMBER = os.environ.get("LINE_NUMBER", "")
#: the namespaces, their devices, and the address of the server
SERVER, VIEWER = f"vuer-trio-server{_NUMBER}", f"vuer-trio-viewer{_NUMBER}"
_SERVER_DEVICE, VIEWER_DEVICE = f"vuer-server{_NUMBER}", f"vuer-viewer{_NUMBER}"
ADDRESS = "10.213.7.1"
_OTHER = "10.213.7.2"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_MTU = 1500


class NoLine(Exception):
    """This machine, or this user, can make none; the message says why."""


@dataclass(frozen=True)
class Line:
    """``rate`` in Mbit/s, ``queue`` and ``rtt`` in milliseconds, ``loss`` in percent; towards the
    viewer, while the way back has no limit and no loss. The narrow place of one that is ``far`` is
    in another machine, as an access point or a modem, whose queue the server's kernel does not see:
    TCP fills it, while in its own it keeps a millisecond or two."""

    rate: float
    queue: int
    rtt: int = 0
    loss: float = 0.0
    far: bool = False

    def __str__(self) -> str:
        where = ", far" if self.far else ""
        return f"{self.rate:g} Mbit/s, {self.queue} ms{where}, {self.rtt} ms, {self.loss:g} %"


def inside(namespace: str, *command: str) -> list[str]:
    """A command that runs there."""
    return ["ip", "netns", "exec", namespace, *command]


@contextmanager
def ends(line: Line) -> Iterator[str]:
    """Make both namespaces, and the line; yields the address of the server's end.

    Raises NoLine.
    """
    if os.geteuid() != 0:
        raise NoLine("network namespaces need root")
    for tool in ("ip", "tc"):
        if shutil.which(tool) is None:
            raise NoLine(f"there is no {tool!r}; install iproute2")
    _remove()
    devices: list[int] = []
    stop = Event()
    try:
        try:
            _make(line, devices)
        except (OSError, subprocess.CalledProcessError) as exc:
            raise NoLine(f"this kernel makes no line: {exc}") from exc
        relay = Process(target=_relay, args=(*devices, line, stop), daemon=True)
        relay.start()
        try:
            yield ADDRESS
        finally:
            stop.set()
            relay.join()
    finally:
        for device in devices:
            os.close(device)
        _remove()


def _make(line: Line, devices: list[int]) -> None:
    for namespace, device, address in (
        (SERVER, _SERVER_DEVICE, ADDRESS),
        (VIEWER, VIEWER_DEVICE, _OTHER),
    ):
        _run("ip", "netns", "add", namespace)
        devices.append(_tun(device, namespace, f"{address}/24"))
    if line.far:
        return
    # A burst of 2 ms, and two packets at least, or the ticks of the timer would slow it down.
    burst = max(2 * _MTU, round(line.rate * 1e6 / 8 / 500))
    _run(
        *inside(SERVER, "tc", "qdisc", "add", "dev", _SERVER_DEVICE, "root", "tbf"),
        *("rate", f"{line.rate:g}mbit", "burst", str(burst), "latency", f"{line.queue}ms"),
    )


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _remove() -> None:
    for namespace in (SERVER, VIEWER):
        with suppress(subprocess.CalledProcessError):
            _run("ip", "netns", "del", namespace)


def _tun(name: str, namespace: str, address: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    _run("ip", "link", "set", name, "netns", namespace)
    _run(*inside(namespace, "ip", "addr", "add", address, "dev", name))
    _run(*inside(namespace, "ip", "link", "set", name, "up", "mtu", str(_MTU)))
    _run(*inside(namespace, "ip", "link", "set", "lo", "up"))
    return device


def _relay(server: int, viewer: int, line: Line, stop: Any) -> None:
    """Pass packets on, each after half of the round trip; those that are lost, not at all."""
    delay = line.rtt / 2000
    free_at = 0.0  # when a far line has sent all that it has
    byte = 8 / (line.rate * 1e6)
    chance = random.Random(7)
    late: list[tuple[float, int, int, bytes]] = []
    number = 0
    poll = select.poll()
    for device in (server, viewer):
        poll.register(device, select.POLLIN)
    while not stop.is_set():
        wait = 100.0 if not late else max(0.0, (late[0][0] - time.monotonic()) * 1000)
        for device, _ in poll.poll(min(wait, 100.0)):
            other = viewer if device == server else server
            for _ in range(64):
                try:
                    packet = os.read(device, 65_536)
                except BlockingIOError:
                    break
                if device == server and line.loss and chance.random() * 100 < line.loss:
                    continue
                at = time.monotonic()
                if line.far and device == server:
                    if free_at - at > line.queue / 1000:
                        continue
                    at = free_at = max(free_at, at) + len(packet) * byte
                if delay or line.far:
                    number += 1
                    heapq.heappush(late, (at + delay, number, other, packet))
                else:
                    _write(other, packet)
        now = time.monotonic()
        while late and late[0][0] <= now:
            _, _, other, packet = heapq.heappop(late)
            _write(other, packet)


def _write(device: int, packet: bytes) -> None:
    with suppress(OSError):  # a device that is down loses it, as a line does
        os.write(device, packet)
