"""What is decrypted, and what ends it, come in the order in which the peer sent them."""

from __future__ import annotations

import re
import ssl
from contextlib import suppress

import pytest
import trio
import trustme

from vuer_trio._net.byte_stream import READ, nowhere
from vuer_trio._net.tls_stream import TLSStream


class Peer:
    """A byte stream, the other side of which is a TLS server in the same place."""

    takes_all = True
    is_encrypted = False

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.sent: list[bytes] = []  # each is read at once

    def records(self, data: bytes) -> bytes:
        """What ``data`` is on the line."""
        self.tls.write(data)
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self._outgoing.read()

    def read_encrypted(self) -> None:
        self.is_encrypted = True

    async def send_all(self, data: bytes) -> None:
        self._incoming.write(data)
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        if self._outgoing.pending:
            self.sent.append(self._outgoing.read())

    def try_send(self, data: bytes) -> int:
        return len(data)

    async def receive(self) -> memoryview:
        await trio.lowlevel.checkpoint()
        return memoryview(self.sent.pop(0) if self.sent else b"")

    async def pump(self, take, room) -> None:
        while take(await self.receive()):
            pass

    async def aclose(self) -> None:
        pass


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def both(request, authority):
    """The peer, and the stream to it."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.maximum_version = request.param
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    peer = Peer(server)
    stream = await TLSStream.open(peer, client, trio.Event, server_hostname="localhost")
    assert peer.is_encrypted
    return peer, stream


async def read_by(how: str, stream: TLSStream) -> tuple[list[bytes], BaseException | None]:
    """All that it gives, and how that ends."""
    found: list[bytes] = []

    def take(data: memoryview) -> bool:
        found.append(bytes(data))
        return True

    try:
        if how == "pump":
            await stream.pump(take, nowhere)
        else:
            while data := await stream.receive():
                found.append(bytes(data))
            found.append(b"")
    except OSError as exc:
        return found, exc
    return found, None


pytestmark = pytest.mark.trio
both_ways = pytest.mark.parametrize("how", ["pump", "receive"])


@both_ways
async def test_records_that_came_together_are_given_together(both, how):
    peer, stream = both
    peer.sent.append(b"".join(peer.records(b"%d," % n) for n in range(100)))
    found, fault = await read_by(how, stream)
    assert found == [b"".join(b"%d," % n for n in range(100)), b""]
    assert fault is None


@both_ways
@pytest.mark.parametrize("size", [READ - 1, READ, READ + 1, 3 * READ + 5])
async def test_what_does_not_fit_follows(both, how, size):
    peer, stream = both
    data = bytes(n % 251 for n in range(size))
    peer.sent.append(peer.records(data))
    found, _ = await read_by(how, stream)
    assert b"".join(found) == data
    assert all(len(part) == READ for part in found[:-2])
    assert found[-1] == b""


@both_ways
@pytest.mark.parametrize("cut", [1, 4, 9, 30])
async def test_a_part_of_a_record_waits_for_the_rest(both, how, cut):
    peer, stream = both
    first, second = peer.records(b"first"), peer.records(b"second " * 5)
    data = first + second
    peer.sent += [data[:cut], data[cut:]]
    found, _ = await read_by(how, stream)
    assert b"".join(found) == b"first" + b"second " * 5


@both_ways
async def test_a_fault_comes_behind_the_bytes_before_it(both, how):
    peer, stream = both
    good, bad = peer.records(b"good"), bytearray(peer.records(b"bad"))
    bad[-1] ^= 1
    peer.sent.append(good + bad)
    found, fault = await read_by(how, stream)
    assert found == [b"good"]
    assert isinstance(fault, ssl.SSLError)
    # a newer OpenSSL has a name of its own for it
    assert re.search("BAD_RECORD_MAC|RECORD_LAYER_FAILURE", str(fault))
    assert await read_by(how, stream) == ([b""], None)  # nothing comes behind it


@both_ways
@pytest.mark.parametrize("said", [True, False], ids=["close_notify", "no word"])
async def test_the_end_comes_behind_the_bytes_before_it(both, how, said):
    peer, stream = both
    peer.sent.append(peer.records(b"good") + (peer.goodbye() if said else b""))
    assert await read_by(how, stream) == ([b"good", b""], None)
    assert await read_by(how, stream) == ([b""], None)
