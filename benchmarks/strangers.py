"""Strangers who attack a server or a relay: a process of its own, on raw sockets.

    python strangers.py pings 8012 8 6.0       # the attack, the port, how many, for how long

It prints ``ready`` when the attack has begun, and at its end what the strangers got, as JSON: a
count of each ending.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgpack

__all__ = ["TEXT", "Attack", "attacks", "event", "frame", "join", "read_frame", "register"]

BINARY, TEXT, CONTINUATION, CLOSE, PING, PONG = 2, 1, 0, 8, 9, 10
HEAD = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
#: bytes a second of one flooding stranger, and how much of it is sent at a time
_RATE, _STEP = 1_000_000, 60_000
#: bytes of the socket's receive buffer of who does not read
_SMALL_BUFFER = 4096
#: names that a stranger takes of a relay, if he gets them
_NAMES = 11_000


def frame(payload: bytes, opcode: int = BINARY, *, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros, which is a mask as any other."""
    size, first = len(payload), (0x80 if fin else 0) | opcode
    if size < 126:
        header = bytes((first, 0x80 | size))
    elif size < 65_536:
        header = bytes((first, 0xFE)) + size.to_bytes(2)
    else:
        header = bytes((first, 0xFF)) + size.to_bytes(8)
    return header + bytes(4) + payload


def event(etype: str, value: object = None) -> bytes:
    return frame(msgpack.packb({"etype": etype, "ts": 1, "value": value}))


def dial(port: int, *, buffer: int | None = None) -> socket.socket:
    sock = socket.socket()
    if buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def join(port: int, path: str = "/", *, buffer: int | None = None) -> socket.socket:
    """Open a WebSocket. Raises ConnectionError, with the status, when it is refused."""
    sock = dial(port, buffer=buffer)
    sock.sendall(HEAD.format(path=path).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        byte = sock.recv(1)
        if not byte:
            raise ConnectionError("closed")
        head += byte
    status = head.split(b" ", 2)[1].decode()
    if status != "101":
        sock.close()
        raise ConnectionError(status)
    return sock


def read_frame(sock: socket.socket) -> tuple[int, bytes]:
    """One frame of a server."""
    header = _read(sock, 2)
    size = header[1]
    if size > 125:
        size = int.from_bytes(_read(sock, 2 if size == 126 else 8))
    return header[0] & 15, _read(sock, size)


def _read(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return bytes(data)


def register(port: int) -> str:
    """A token of a relay's. Raises ConnectionError, with the status, when it is refused."""
    with dial(port) as sock:
        sock.sendall(b"POST /register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        reply = b""
        while part := sock.recv(65_536):
            reply += part
    head, _, body = reply.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1].decode()
    if status != "200":
        raise ConnectionError(status)
    token: str = json.loads(body)["token"]
    return token


class Strangers:
    """One attack. ``got`` counts how each of its connections ended."""

    def __init__(self, port: int, count: int, seconds: float) -> None:
        self.port = port
        self.count = count
        self.seconds = seconds
        self.end = 0.0
        self.got: Counter[str] = Counter()

    def ready(self) -> None:
        """It begins now, for whoever measures."""
        self.end = time.monotonic() + self.seconds
        print("ready", flush=True)

    def wait_only(self) -> None:
        """No attack, for comparison."""
        self.ready()
        self.wait()

    def wait(self) -> None:
        time.sleep(max(0.0, self.end - time.monotonic()))

    # ---- floods

    def flood(
        self, unit: bytes, first: bytes = b"", *, path: str = "/", opened: bool = True
    ) -> None:
        """``unit`` over and over, 1 MB a second of each stranger."""
        step = unit * max(1, _STEP // len(unit))
        sockets = [join(self.port, self._path(path)) for _ in range(self.count)]
        for sock in sockets:
            sock.sendall((event("INIT", {"client": "stranger"}) if opened else b"") + first)
        self.ready()
        threads = [threading.Thread(target=self._pour, args=(sock, step)) for sock in sockets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _path(self, path: str) -> str:
        return path.format(token=register(self.port)) if "{token}" in path else path

    def _pour(self, sock: socket.socket, step: bytes) -> None:
        reader = threading.Thread(target=self._drain, args=(sock,), daemon=True)
        reader.start()
        try:
            sock.settimeout(self.seconds + 10)
            while (now := time.monotonic()) < self.end:
                sock.sendall(step)
                time.sleep(max(0.0, len(step) / _RATE - (time.monotonic() - now)))
        except OSError:
            reader.join(2)
            return
        self.got["served"] += 1
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    def _drain(self, sock: socket.socket) -> None:
        """Read what comes, until the close frame."""
        try:
            while True:
                opcode, payload = read_frame(sock)
                if opcode == CLOSE:
                    self.got[f"closed with {int.from_bytes(payload[:2])}"] += 1
                    return
        except OSError:
            if time.monotonic() < self.end:
                self.got["cut off"] += 1

    # ---- one message that is expensive

    def bomb(self, data: bytes, *, path: str = "/", opened: bool = True) -> None:
        sockets = [join(self.port, self._path(path)) for _ in range(self.count)]
        for sock in sockets:
            if opened:
                sock.sendall(event("INIT", {"client": "stranger"}))
        self.ready()
        threads = [threading.Thread(target=self._throw, args=(sock, data)) for sock in sockets]
        for thread in threads:
            thread.start()
        self.wait()
        for sock, thread in zip(sockets, threads, strict=True):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            thread.join(1)
        left = self.count - sum(self.got.values())
        if left > 0:
            self.got["served"] += left

    def _throw(self, sock: socket.socket, data: bytes) -> None:
        reader = threading.Thread(target=self._drain, args=(sock,), daemon=True)
        reader.start()
        sock.settimeout(60)
        with suppress(OSError):
            sock.sendall(data)
        reader.join(self.seconds)

    # ---- sockets that do nothing, or little

    def silent(self, *, init: object = None, pong: bool = False) -> None:
        """Open sessions that never read; with ``pong`` they show a sign of life each second."""
        sockets: list[socket.socket] = []
        for _ in range(self.count):
            try:
                sock = join(self.port, buffer=_SMALL_BUFFER)
                if init is not None:
                    sock.sendall(event("INIT", init))
                sockets.append(sock)
            except OSError as exc:
                self.got[f"refused with {exc}"] += 1
        self.ready()
        while time.monotonic() < self.end:
            time.sleep(1)
            for sock in sockets if pong else ():
                with suppress(OSError):
                    sock.sendall(frame(b"", PONG))
        for sock in sockets:
            self.got[_fate(sock)] += 1

    def pages(self) -> None:
        """Ask for a large file, and read 1 kB a second of it."""
        sockets = []
        for _ in range(self.count):
            try:
                sock = dial(self.port, buffer=_SMALL_BUFFER)
                sock.sendall(b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
                sockets.append(sock)
            except OSError as exc:
                self.got[f"refused: {exc}"] += 1
        self.ready()
        while time.monotonic() < self.end:
            time.sleep(1)
            for sock in sockets:
                sock.setblocking(False)
                with suppress(OSError):
                    sock.recv(1024)
        for sock in sockets:
            self.got[_fate(sock)] += 1

    def handshakes(self) -> None:
        """Send a request a byte at a time."""
        head = HEAD.format(path="/").encode()
        sockets = []
        for _ in range(self.count):
            with suppress(OSError):
                sockets.append(dial(self.port))
        self.ready()
        for byte in head:
            if time.monotonic() > self.end:
                break
            for sock in sockets:
                with suppress(OSError):
                    sock.send(bytes((byte,)))
            time.sleep(0.2)
        self.wait()
        for sock in sockets:
            self.got[_fate(sock)] += 1

    def registrations(self) -> None:
        """Take as many names of a relay as it gives."""
        self.ready()
        for _ in range(_NAMES):
            try:
                register(self.port)
            except OSError as exc:
                self.got[f"refused with {exc}"] += 1
            else:
                self.got["registered"] += 1
            if time.monotonic() > self.end:
                break


def _fate(sock: socket.socket) -> str:
    """What became of a connection, of which nothing was read: only its end is looked for."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    return "ended by the server" if poll.poll(0) else "still there"


_AGENT = "/arc?token={token}"
_MIB = 1 << 20


def _values(size: int, value: bytes, *, deep: int = 0) -> bytes:
    """An event whose value is a list of ``size`` bytes' worth of a small value."""
    count = size // len(value)
    body = msgpack.packb({"etype": "X", "ts": 1, "value": None})[:-1]
    return frame(body + b"\x91" * deep + b"\xdd" + count.to_bytes(4) + value * count)


def _json(size: int, unit: bytes) -> bytes:
    inner = b",".join([unit] * (size // (len(unit) + 1)))
    return frame(b'{"to":["*"],"payload":[' + inner + b"]}", TEXT)


@dataclass(frozen=True)
class Attack:
    """What strangers do."""

    run: Callable[[Strangers], None]
    #: how many of them at a time
    counts: tuple[int, ...] = (1, 8)
    kind: str = "server"
    #: for how long; and bytes of each message that the server broadcasts, 30 a second
    seconds: float = 5.0
    ticks: int = 20_000


def _flood(unit: bytes, first: bytes = b"") -> Attack:
    return Attack(lambda strangers: strangers.flood(unit, first))


def _agents_flood(unit: bytes) -> Attack:
    return Attack(lambda s: s.flood(unit, path=_AGENT, opened=False), kind="relay")


def _bomb(data: bytes, *counts: int) -> Attack:
    return Attack(lambda strangers: strangers.bomb(data), counts or (1, 8))


def _agents_bomb(data: bytes, *counts: int) -> Attack:
    return Attack(lambda s: s.bomb(data, path=_AGENT, opened=False), counts, "relay")


def attacks() -> dict[str, Attack]:
    """All of them, by name; made where they are wanted, as some weigh 64 MiB."""
    never = {"client": "stranger"}
    return {
        "none": Attack(Strangers.wait_only, (0,)),
        "empty messages": _flood(frame(b"")),
        "small events": _flood(event("X")),
        "pings": _flood(frame(b"", PING)),
        "pongs": _flood(frame(b"", PONG)),
        "empty fragments": _flood(
            frame(b"", CONTINUATION, fin=False), frame(b"", BINARY, fin=False)
        ),
        "a message of 16 MiB, {} in a list": _bomb(_values(16 * _MIB - 64, b"\x80")),
        "a message of 64 MiB, {} in a list": _bomb(_values(64 * _MIB, b"\x80"), 1),
        "a message of 16 MiB, floats": _bomb(_values(16 * _MIB - 64, b"\xcb" + bytes(8))),
        "a message nested 10,000 deep": _bomb(_values(1, b"\xc0", deep=10_000), 1),
        "sessions without INIT": Attack(Strangers.silent, (999,)),
        "never reads what is broadcast": Attack(
            lambda s: s.silent(init=never, pong=True), seconds=20, ticks=400_000
        ),
        "never reads a shared scene": Attack(
            lambda s: s.silent(init={"client": "store"}, pong=True), (150,)
        ),
        "reads a page at 1 kB a second": Attack(Strangers.pages, (1170,)),
        "a handshake, byte by byte": Attack(Strangers.handshakes, (1000,)),
        "relay: none": Attack(Strangers.wait_only, (0,), "relay"),
        "relay: pings": _agents_flood(frame(b"", PING)),
        "relay: bad messages": _agents_flood(frame(b"{", TEXT)),
        "relay: a message of 28 MiB, [] in a list": _agents_bomb(_json(28 * _MIB, b"[]"), 1),
        "relay: a message of 1 MiB, [] in a list": _agents_bomb(_json(_MIB - 64, b"[]"), 1, 8),
        "relay: 11,000 registrations": Attack(Strangers.registrations, (1,), "relay", 15),
    }


def main() -> None:
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 16_384), limit))
    name, port, count, seconds = sys.argv[1:]
    strangers = Strangers(int(port), int(count), float(seconds))
    attacks()[name].run(strangers)
    print(json.dumps(strangers.got), flush=True)
    sys.stdout.flush()
    os._exit(0)  # threads may still read from sockets that nobody closes


if __name__ == "__main__":
    main()
