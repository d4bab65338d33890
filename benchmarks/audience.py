"""The clients of a server that is measured: one process for all, on raw sockets.

It must not be what is slow. So it only counts frames; a payload is neither unmasked nor decoded,
and what it sends was framed before. It takes a row's name, a port and a count from stdin,
and answers one number:

    upserts             how many of 10,000 upserts have arrived
    broadcast           messages a second, that arrived in 50 sessions; none may be missing
    small events        events a second, until a handler has had 20,000 of a pose
    hand events         the same for 3,000 of two hands, 800 floats
    server trips        questions a second that a handler answers, one at a time, by the median
    connections         handshake, INIT, SET, close frame, end: so many a second, one by one
    TLS connections     the same over TLS, with a whole handshake each
    TLS in              MiB a second, over TLS, until a handler has had 64 messages of 1 MiB

For "open" it opens as many sessions as it is told, answers, and keeps them open.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import msgpack
from ceiling import connect, masked
from messages import POSE, pose_value
from peer import NAP, Walker

__all__ = [
    "BROADCAST",
    "BURST",
    "CONNECTIONS",
    "HANDS",
    "IDLE",
    "LARGE",
    "POSES",
    "SESSIONS",
    "TRIPS",
]

#: sessions that idle, and that a stream goes to
IDLE, SESSIONS = 300, 50
#: events that a handler gets, and before them those that warm up; MiB likewise
POSES, HANDS, LARGE = (20_000, 2_000), (3_000, 300), (64, 8)
#: questions, and connections, of which the first tenth warm up
TRIPS, CONNECTIONS = 2_000, 400
#: upserts in a row, and of a stream, and of the one before it that warms up
BURST, BROADCAST, WARM = 10_000, 3_000, 300
#: seconds of silence after which nothing more is coming
_SILENCE = 3.0
_DEADLINE = 60.0
#: bytes of frames that are sent at once, and of a read
_JOINED, _READ = 262_144, 65_536


class Session:
    """One client, and how many messages have arrived."""

    def __init__(self, port: int, poll: select.poll) -> None:
        self.sock = _dial(port)
        self._walker = Walker()
        poll.register(self.sock, select.POLLIN)

    @property
    def count(self) -> int:
        return self._walker.count

    def ask(self, etype: str, value: int) -> None:
        self.sock.sendall(masked(_event(etype, value)))

    def read(self, buffer: bytearray) -> None:
        size = self.sock.recv_into(buffer)
        if not size:
            raise RuntimeError("the server has closed a session")
        self._walker.walk(buffer, size)


class Audience:
    """The sessions of one row."""

    def __init__(self, port: int, size: int) -> None:
        self._buffer = bytearray(262_144)
        self._poll = select.poll()
        opened = [Session(port, self._poll) for _ in range(size)]
        self.sessions = opened
        self._by_fd = {session.sock.fileno(): session for session in opened}
        if self.wait_for(1) != size:
            raise RuntimeError("the server has not opened all sessions")

    def wait_for(self, count: int) -> int:
        """How many messages there are, once each session has ``count`` or nothing more comes."""
        sessions, buffer = self.sessions, self._buffer
        end = time.monotonic() + _DEADLINE
        while any(session.count < count for session in sessions):
            ready = self._poll.poll(_SILENCE * 1000)
            if not ready or time.monotonic() > end:
                break
            for fd, _ in ready:
                self._by_fd[fd].read(buffer)
            time.sleep(NAP)
        return sum(session.count for session in sessions)

    def close(self) -> None:
        for session in self.sessions:
            session.sock.close()


def upserts(port: int) -> float:
    audience = Audience(port, 1)
    audience.sessions[0].ask("BURST", BURST)
    arrived = audience.wait_for(1 + BURST) - 1
    audience.close()
    return arrived


def broadcast(port: int) -> float:
    audience = Audience(port, SESSIONS)
    had = 1
    for count in (WARM, BROADCAST):
        start = time.perf_counter()
        audience.sessions[0].ask("STREAM", count)
        had += count
        arrived = audience.wait_for(had)
        elapsed = time.perf_counter() - start
        if any(session.count != had for session in audience.sessions):
            raise RuntimeError(f"{arrived} of {had * SESSIONS} messages have arrived")
    audience.close()
    return BROADCAST * SESSIONS / elapsed


def events(port: int, etype: str, value: Any, counts: tuple[int, int], tls: bool) -> float:
    """Events a second, until the server's handler has had them all."""
    data = masked(_event(etype, value))
    joined = max(1, _JOINED // len(data))
    with _dial(port, tls) as sock:
        sock.recv(_READ)  # SET
        for count in reversed(counts):
            start = time.perf_counter()
            sock.sendall(masked(_event("COUNT", count)))
            for first in range(0, count, joined):
                sock.sendall(data * min(joined, count - first))
            if not sock.recv(_READ):
                raise RuntimeError("the server has closed a session")
            elapsed = time.perf_counter() - start
    return count / elapsed


def trips(port: int) -> float:
    times, data = [], masked(_event("ASK", 1))
    with _dial(port) as sock:
        sock.recv(_READ)  # SET
        for _ in range(TRIPS):
            start = time.perf_counter()
            sock.sendall(data)
            sock.recv(_READ)
            times.append(time.perf_counter() - start)
    return 1 / median(times[TRIPS // 10 :])


def connections(port: int, tls: bool) -> float:
    """In each: the handshakes, INIT, a SET, a close frame and its answer, the end of the stream."""
    leave = _close_frame()
    for number in range(CONNECTIONS):
        if number == CONNECTIONS // 10:
            start = time.perf_counter()
        with _dial(port, tls) as sock:
            if not sock.recv(_READ):
                raise RuntimeError("the server has closed a session")
            sock.sendall(leave)
            while sock.recv(_READ):
                pass
    return (CONNECTIONS - CONNECTIONS // 10) / (time.perf_counter() - start)


def _close_frame() -> bytes:
    data = bytearray(masked(b"\x03\xe8"))
    data[0] = 0x88
    return bytes(data)


def _hands() -> dict[str, list[float]]:
    """Of each hand 25 joints, and for each a matrix."""
    return {side: [0.001 * i + 0.0005 for i in range(400)] for side in ("left", "right")}


def _event(etype: str, value: int) -> bytes:
    now = int(time.time() * 1000)
    payload: bytes = msgpack.packb({"etype": etype, "ts": now, "value": value})
    return payload


def _dial(port: int, tls: bool = False) -> socket.socket:
    """A server that has told its port may not listen yet."""
    end = time.monotonic() + _DEADLINE
    while True:
        try:
            scheme = "wss" if tls else "ws"
            return connect(f"{scheme}://127.0.0.1:{port}", "/", _event("INIT", 0))
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


_ROWS: dict[str, Callable[[int], float]] = {
    "upserts": upserts,
    "broadcast": broadcast,
    "small events": lambda port: events(port, POSE, pose_value(), POSES, False),
    "hand events": lambda port: events(port, "HAND_MOVE", _hands(), HANDS, False),
    "server trips": trips,
    "connections": lambda port: connections(port, False),
    "TLS connections": lambda port: connections(port, True),
    "TLS in": lambda port: events(port, "IMAGE", bytes(1 << 20), LARGE, True),
}


def main() -> None:
    held = []
    for line in sys.stdin:
        row, port, count = json.loads(line)
        if row == "open":
            held.append(Audience(port, count))
            print(count, flush=True)
        else:
            print(_ROWS[row](port), flush=True)


if __name__ == "__main__":
    main()
