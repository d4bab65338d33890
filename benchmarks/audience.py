"""The clients of a server that is measured: one process for all, on raw sockets.

It only counts frames; a payload is neither unmasked nor decoded. It takes a row's name and a port
from stdin, and answers one number:

    idle        ten sessions are open, until the next line
    upserts     how many of 10,000 upserts have arrived
    broadcast   messages a second, that arrived in 50 sessions together; none may be missing
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

import msgpack
from ceiling import connect, masked

from peer import NAP, Walker

__all__ = ["BROADCAST", "BURST", "IDLE", "SESSIONS"]

#: sessions that idle, and that a stream goes to
IDLE, SESSIONS = 10, 50
#: upserts in a row, and of a stream, and of the one before it that warms up
BURST, BROADCAST, WARM = 10_000, 3_000, 300
#: seconds of silence after which nothing more is coming
_SILENCE = 3.0
_DEADLINE = 60.0


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


def _event(etype: str, value: int) -> bytes:
    now = int(time.time() * 1000)
    payload: bytes = msgpack.packb({"etype": etype, "ts": now, "value": value})
    return payload


def _dial(port: int) -> socket.socket:
    """A server that has told its port may not listen yet."""
    end = time.monotonic() + _DEADLINE
    while True:
        try:
            return connect(f"ws://127.0.0.1:{port}", "/", _event("INIT", 0))
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def main() -> None:
    for line in sys.stdin:
        row, port = json.loads(line)
        if row == "idle":
            audience = Audience(port, IDLE)
            print(IDLE, flush=True)
            sys.stdin.readline()
            audience.close()
        else:
            print((upserts if row == "upserts" else broadcast)(port), flush=True)


if __name__ == "__main__":
    main()
