"""What the peer can do: the rows on a blocking socket, without codec, masking or event loop.

A client whose figures are near these would be measuring the peer.
"""

from __future__ import annotations

import socket
import ssl
import time
from functools import cache
from statistics import median
from urllib.parse import urlsplit

import rows
from messages import LARGE, REPLY, SMALL, frame
from peer import Walker

__all__ = ["connect", "masked", "run"]


def run(row: str, uri: str) -> float:
    """The rate of one row."""
    count, warm = rows.MESSAGES, rows.WARM
    match row:
        case "fire":
            return _out(uri, f"/count/{warm}/{warm + count}", masked(REPLY), warm, count, 64)
        case "send":
            return _out(uri, f"/count/{warm}/{warm + count}", masked(REPLY), warm, count, 1)
        case "iterate":
            return _in(uri, f"/small/{warm}/{count}", SMALL, warm, count)
        case "16 MiB out":
            data, count = masked(bytes(LARGE)), rows.LARGE_MESSAGES
            return _out(uri, f"/count/2/{2 + count}", data, 2, count, 1) * 16
        case "16 MiB in":
            count = rows.LARGE_MESSAGES
            return _in(uri, f"/large/2/{count}", b"", 2, count) * 16
        case "round trips":
            return _trips(uri)
    raise ValueError(row)


def masked(payload: bytes) -> bytes:
    """A frame of a client with a key of zeros."""
    data = bytearray(frame(payload))
    data[1] |= 0x80
    start = {126: 4, 127: 10}.get(data[1] & 127, 2)
    data[start:start] = bytes(4)
    return bytes(data)


def connect(uri: str, path: str, first: bytes = b"INIT") -> socket.socket:
    """Open a WebSocket, and send its first message."""
    address = urlsplit(uri)
    assert address.hostname is not None
    sock = socket.create_connection((address.hostname, address.port or 80))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if address.scheme == "wss":
        sock = _tls().wrap_socket(sock)
    sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert sock.recv(4096).endswith(b"\r\n\r\n")
    sock.sendall(masked(first))
    return sock


@cache
def _tls() -> ssl.SSLContext:
    """Whoever is measured shows any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _out(uri: str, path: str, data: bytes, warm: int, count: int, joined: int) -> float:
    with connect(uri, path) as sock:
        for number in (warm, count):
            start = time.perf_counter()
            for first in range(0, number, joined):
                sock.sendall(data * min(joined, number - first))
            assert sock.recv(4096)
            elapsed = time.perf_counter() - start
    return count / elapsed


def _in(uri: str, path: str, payload: bytes, warm: int, count: int) -> float:
    with connect(uri, path) as sock:
        walker, buffer = Walker(), bytearray(262_144)
        for number in (warm, count):
            sock.sendall(masked(b"GO"))
            start = time.perf_counter()
            walker.count = 0
            while walker.count < number:
                walker.walk(buffer, sock.recv_into(buffer))
            elapsed = time.perf_counter() - start
    return count / elapsed


def _trips(uri: str) -> float:
    times, data = [], masked(REPLY)
    with connect(uri, "/echo") as sock:
        for _ in range(rows.TRIPS):
            start = time.perf_counter()
            sock.sendall(data)
            sock.recv(4096)
            times.append(time.perf_counter() - start)
    return 1 / median(times)
