"""Wires: a socket or any stream, read and written the same way, and broken the same way."""

from __future__ import annotations

import errno
import socket

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from vuer_trio._net.byte_stream import READ, STEP, nowhere
from vuer_trio._net.trio_streams import SocketStream, TrioStream

pytestmark = pytest.mark.trio
DEADLINE = 60  # seconds; only broken code gets there


@pytest.fixture
def pair():
    """A wire on one end of a connection, and the other end."""
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    listener.close()
    theirs.settimeout(DEADLINE)
    yield ours, theirs
    ours.close()
    theirs.close()


class Taker:
    """Takes until it has ``enough`` bytes, or the end."""

    def __init__(self, enough):
        self.enough = enough
        self.got = b""
        self.ended = False

    def __call__(self, data):
        assert not self.ended, "nothing follows the end"
        self.got += bytes(data)
        self.ended = not data
        return len(self.got) < self.enough and not self.ended


async def test_a_socket_is_read_as_far_as_it_goes(pair):
    wire, theirs = SocketStream(pair[0]), pair[1]
    with trio.fail_after(DEADLINE):
        theirs.sendall(b"hello")
        assert bytes(await wire.receive()) == b"hello"
        for size in (1, READ - 1, READ, READ + 1, 3 * READ):
            theirs.sendall(b"x" * size)
            take = Taker(size)
            await wire.pump(take, nowhere)
            assert take.got == b"x" * size
        theirs.sendall(b"last")
        theirs.shutdown(socket.SHUT_WR)
        take = Taker(1000)
        await wire.pump(take, nowhere)
        assert (take.got, take.ended) == (b"last", True)
        assert bytes(await wire.receive()) == b""


async def test_a_pump_stops_where_it_is_told_to_and_may_be_called_again(pair):
    wire, theirs = SocketStream(pair[0]), pair[1]
    with trio.fail_after(DEADLINE):
        theirs.sendall(b"x" * 1000)
        first = Taker(1)
        await wire.pump(first, nowhere)
        with trio.move_on_after(0):
            await wire.pump(Taker(1), nowhere)
        second = Taker(1001 - len(first.got))
        theirs.sendall(b"y")
        await wire.pump(second, nowhere)
        assert first.got + second.got == b"x" * 1000 + b"y"


async def test_a_full_socket_takes_nothing_at_once_and_everything_in_time(pair):
    wire, theirs = SocketStream(pair[0]), pair[1]
    sent = 0
    while taken := wire.try_send(b"x" * 65_536):
        sent += taken
    assert wire.try_send(b"x") == 0
    rest = b"y" * 300_000
    received = bytearray()

    async def read():
        while len(received) < sent + len(rest):
            received.extend(await trio.to_thread.run_sync(theirs.recv, 1 << 20))

    with trio.fail_after(DEADLINE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wire.send_all, rest)
            await wait_all_tasks_blocked()
            nursery.start_soon(read)
    assert received == b"x" * sent + rest


async def test_what_is_sent_last_survives_a_close_with_unread_data(pair):
    wire, theirs = SocketStream(pair[0]), pair[1]
    theirs.sendall(b"never read" * 1000)
    with trio.fail_after(DEADLINE):
        await wire.send_all(b"last words")
        await wire.aclose()
        await wire.aclose()
    assert theirs.recv(100) == b"last words"
    assert theirs.recv(100) == b"", "an end, not a reset"


async def test_a_socket_closes_even_if_cancelled(pair):
    wire, theirs = SocketStream(pair[0]), pair[1]
    with trio.CancelScope() as scope:
        scope.cancel()
        await wire.aclose()
    assert theirs.recv(100) == b""


async def test_who_waits_in_a_socket_that_is_closed_gets_an_oserror(pair):
    wire = SocketStream(pair[0])
    while wire.try_send(b"x" * 65_536):
        pass
    raised = []

    async def expect(method, *args):
        with pytest.raises(ConnectionAbortedError, match="closed by this side"):
            await method(*args)
        raised.append(method)

    with trio.fail_after(DEADLINE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect, wire.receive)
            nursery.start_soon(expect, wire.send_all, b"more")
            await wait_all_tasks_blocked()
            await wire.aclose()
        assert len(raised) == 2
        await expect(wire.receive)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await wire.send_all(b"more")


async def test_a_socket_that_was_reset_raises_an_oserror(pair):
    wire, theirs = SocketStream(pair[0]), pair[1]
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    with trio.fail_after(DEADLINE):
        with pytest.raises(ConnectionResetError):
            await wire.receive()
        with pytest.raises(BrokenPipeError):
            await wire.send_all(b"x")
        await wire.aclose()


# ---- any stream


class Stream(trio.abc.Stream):
    """Does what its attributes say."""

    def __init__(self):
        self.sent = []
        self.error = None
        self.seconds = 0  # that one send takes
        self.closed = False

    async def send_all(self, data):
        if self.error is not None:
            raise self.error
        await trio.sleep(self.seconds)
        self.sent.append(bytes(data))

    async def receive_some(self, max_bytes=None):
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        return b"x" * max_bytes

    async def wait_send_all_might_not_block(self):
        raise NotImplementedError

    async def aclose(self):
        self.closed = True
        if self.error is not None:
            raise self.error
        await trio.lowlevel.checkpoint()


async def test_a_stream_is_read_in_the_same_portions():
    wire = TrioStream(Stream())
    assert len(await wire.receive()) == READ
    take = Taker(3 * READ)
    await wire.pump(take, nowhere)
    assert len(take.got) == 3 * READ
    assert wire.try_send(b"x") == 0, "a stream takes nothing in sync code"


async def test_progress_is_when_bytes_last_left(autojump_clock):
    stream = Stream()
    wire = TrioStream(stream)
    start = wire.progress
    assert start == trio.current_time()
    stream.seconds = 3
    seen = []

    async def watch():
        for _ in range(10):
            await trio.sleep(1)
            seen.append(wire.progress - start)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await trio.sleep(0.5)
        await wire.send_all(b"x" * (2 * STEP + 1))  # three writes
    assert list(map(len, stream.sent)) == [STEP, STEP, 1]
    assert seen == [0, 0, 0, 3.5, 3.5, 3.5, 6.5, 6.5, 6.5, 9.5]


@pytest.mark.parametrize("error", [trio.BrokenResourceError, trio.ClosedResourceError])
@pytest.mark.parametrize("method", ["receive", "send_all"])
async def test_a_broken_stream_raises_an_oserror(error, method):
    stream = Stream()
    wire = TrioStream(stream)
    args = () if method == "receive" else (b"x",)
    stream.error = error("it broke")
    with pytest.raises(ConnectionResetError, match="it broke"):
        await getattr(wire, method)(*args)
    stream.error = error()
    with pytest.raises(ConnectionResetError, match="the stream broke"):
        await getattr(wire, method)(*args)
    stream.error.__cause__ = cause = OSError(errno.EPIPE, "pipe")
    with pytest.raises(BrokenPipeError) as caught:
        await getattr(wire, method)(*args)
    assert caught.value is cause


async def test_a_stream_closes_even_if_cancelled_or_broken():
    for error in (None, trio.BrokenResourceError()):
        stream = Stream()
        stream.error = error
        with trio.CancelScope() as scope:
            scope.cancel()
            await TrioStream(stream).aclose()
        assert stream.closed


async def test_closing_a_stream_does_not_wait_for_the_other_side():
    class Patient(Stream):
        async def aclose(self):
            try:
                await trio.sleep_forever()
            finally:
                self.closed = True

    stream = Patient()
    with trio.fail_after(DEADLINE):
        await TrioStream(stream).aclose()
    assert stream.closed


class Log(SocketStream):
    """Notes when it waits for the socket."""

    def __init__(self, sock, log):
        super().__init__(sock)
        self._log = log

    async def _readable(self):
        self._log.append("wait")
        await super()._readable()


@pytest.mark.parametrize("quick", [60, 0])
async def test_who_is_woken_by_a_quick_peer_runs_before_the_socket_is_armed(
    pair, monkeypatch, quick
):
    log = []
    monkeypatch.setattr("vuer_trio._net.trio_streams._QUICK", quick)
    wire, theirs = Log(pair[0], log), pair[1]
    arrived = trio.Event()

    def take(data):
        log.append("read")
        arrived.set()
        return True

    with trio.fail_after(DEADLINE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wire.pump, take, nowhere)
            for _ in range(40):  # that Trio turns no batch round has a chance of 2 ** -40
                theirs.sendall(b"ping")
                await arrived.wait()
                log.append("woken")
                arrived = trio.Event()
                await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    rest = log[4:]  # without the first trip, before which there was no read
    trips = [tuple(rest[at : at + 3]) for at in range(0, len(rest), 3)]
    wanted = ("read", "woken", "wait") if quick else ("read", "wait", "woken")
    assert trips == [wanted] * 39
