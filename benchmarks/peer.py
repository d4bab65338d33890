"""The server that the clients are measured against: a process of its own, on raw sockets.

It must not be what is slow. So it looks at the headers of frames only: a payload is neither
unmasked nor decoded nor kept, and what it sends was packed before. `ceiling.py` measures how fast
that is. What it does with a connection is in the path of the URI; the first message, which is the
client's INIT, is not counted.

    /count/2000/22000       DONE when 2,000 messages were read, and again at 22,000
    /small/2000/20000       at the first message 2,000 small ones, at the next 20,000
    /large/1/12             the same, of 16 MiB each
    /echo                   a pose for each message
"""

from __future__ import annotations

import base64
import hashlib
import select
import socket
from contextlib import suppress
from functools import cache
from time import sleep

from messages import DONE, REPLY, SMALL, frame, large_frame

__all__ = ["NAP", "Walker"]

#: bytes; one read
_READ = 1 << 20
_buffer = bytearray(_READ)
_view = memoryview(_buffer)
#: seconds between two looks at a connection whose messages are counted. Whoever sends to a process
#: that waits pays for waking it, as much as for the rest of the send; a busy server is not waiting
NAP = 0.0002
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Walker:
    """Counts the binary frames in a stream, whole ones only, from header to header."""

    def __init__(self) -> None:
        self.count = 0
        self.control: list[bytes] = []  # ping and close frames, whole
        self._tail = b""  # the beginning of a header, or of a control frame
        self._skip = 0  # bytes of a payload that are still to come
        self._binary = False  # ... of a frame that counts when they are there

    def walk(self, data: bytes | bytearray, end: int) -> None:
        """The next bytes of the stream, ``data[:end]``."""
        if self._tail:
            data = self._tail + data[:end]
            end = len(data)
            self._tail = b""
        position = self._skip
        if position > end:
            self._skip = position - end
            return
        self._skip = 0
        count = self.count + self._binary
        self._binary = False
        while end - position >= 2:
            first = data[position]
            second = data[position + 1]
            size = second & 127
            start = position + 2 + (second >> 7) * 4
            if size > 125:
                width = 2 if size == 126 else 8
                if end - position < 2 + width:
                    break
                start += width
                if width == 2:
                    size = data[position + 2] << 8 | data[position + 3]
                else:
                    size = int.from_bytes(data[position + 2 : position + 10])
            stop = start + size
            if first == 0x82:
                if stop > end:
                    self._binary = True
                    self._skip = stop - end
                    position = end
                    break
                count += 1
            elif stop > end:
                break
            else:
                self.control.append(bytes(data[position:stop]))
            position = stop
        self.count = count
        self._tail = bytes(data[position:end])


class Connection:
    """One client. ``orders``: at how many messages what is sent."""

    def __init__(self, sock: socket.socket, poll: select.epoll) -> None:
        self.sock = sock
        self._poll = poll
        self._walker = Walker()
        self._seen = 0
        self._out: list[memoryview] = []
        self._head: bytes | None = b""  # of the request; None after it
        self._each = b""  # sent for each message
        self._orders: list[tuple[int, bytes, int]] = []
        self.over = False

    def readable(self) -> None:
        try:
            size = self.sock.recv_into(_view)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self.over = True
        elif self._head is None:
            self._walker.walk(_buffer, size)
            self._answer()
            if self._orders and size < _READ // 16:
                sleep(NAP)
        else:
            self._open(_buffer[:size])

    def _open(self, data: bytes) -> None:
        self._head = head = (self._head or b"") + data
        if b"\r\n\r\n" not in head:
            return
        lines, _, rest = head.partition(b"\r\n\r\n")
        self._head = None
        fields = dict(line.lower().split(b":", 1) for line in lines.split(b"\r\n")[1:])
        case = next(
            ln for ln in lines.split(b"\r\n") if ln.lower().startswith(b"sec-websocket-key")
        )
        key = case.partition(b":")[2].strip()
        assert fields[b"upgrade"].strip() == b"websocket"
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self._arrange(lines.split(b" ")[1].decode())
        self.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self._walker.walk(rest, len(rest))
        self._answer()

    def _arrange(self, path: str) -> None:
        work, *numbers = path.strip("/").split("/")
        if work == "echo":
            self._each = frame(REPLY)
        elif work == "count":
            self._orders = [(int(n) + 1, frame(DONE), 1) for n in numbers]
        else:
            self._orders = [(i + 2, _burst(work), int(n)) for i, n in enumerate(numbers)]

    def _answer(self) -> None:
        count = self._walker.count
        if self._each and count > max(1, self._seen):
            self.send(self._each * (count - max(1, self._seen)))
        self._seen = count
        while self._orders and count >= self._orders[0][0]:
            _, data, times = self._orders.pop(0)
            if len(data) < 65_536:
                self.send(data * times)
            else:
                for _ in range(times):
                    self.send(data)
        for control in self._walker.control:
            self._control(control)
        self._walker.control.clear()

    def _control(self, data: bytes) -> None:
        start = 2 + (data[1] >> 7) * 4
        key = data[2:start] or b"\0"
        payload = bytes(byte ^ key[i % len(key)] for i, byte in enumerate(data[start:]))
        if data[0] == 0x88:
            self.send(frame(payload, 0x88))
            self.over = True
        elif data[0] == 0x89:
            self.send(frame(payload, 0x8A))

    def send(self, data: bytes) -> None:
        self._out.append(memoryview(data))
        if len(self._out) == 1:
            self.writable()

    def writable(self) -> None:
        with suppress(BlockingIOError):
            while self._out:
                sent = self.sock.send(self._out[0])
                self._out[0] = self._out[0][sent:]
                if not self._out[0]:
                    del self._out[0]
        events = select.EPOLLIN | (select.EPOLLOUT if self._out else 0)
        self._poll.modify(self.sock, events)


@cache
def _burst(work: str) -> bytes:
    return large_frame() if work == "large" else frame(SMALL)


def serve() -> None:
    """Serve until stdin's other side kills this process; the first line printed is the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)
    _burst("large")
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections: dict[int, Connection] = {}
    while True:
        for fd, events in poll.poll():
            if fd == listener.fileno():
                sock, _ = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                poll.register(sock, select.EPOLLIN)
                connections[sock.fileno()] = Connection(sock, poll)
                continue
            connection = connections[fd]
            with suppress(OSError):
                if events & select.EPOLLOUT:
                    connection.writable()
                if events & ~select.EPOLLOUT:
                    connection.readable()
            if connection.over:
                del connections[fd]
                poll.unregister(connection.sock)
                connection.sock.close()


if __name__ == "__main__":
    serve()
