"""Text that is not UTF-8 closes with 1007, on every transport, in both roles, at its first bad byte
(RFC 6455 §8.1); and text that is UTF-8 arrives, however it is cut."""

from __future__ import annotations

import pytest

from tests.behaviour.far_end import ROLES, far_ends
from tests.behaviour.raw_client import BINARY, CONTINUATION, PING, TEXT
from tests.utf8_cases import GOOD, SOME_BAD, UNFINISHED

pytestmark = pytest.mark.anyio
roles = pytest.mark.parametrize("role", ROLES)
#: bytes before a text, so that its frame is large: what comes of it is not waited for then
MUCH = b"t" * 70_000


def a_frame(far, text):
    return far.frame(text, TEXT)


def fragments(far, text, *, last=True):
    """A byte to a frame."""
    parts = [text[i : i + 1] for i in range(len(text))] or [b""]
    frames = [far.frame(parts[0], TEXT, fin=last and len(parts) == 1)]
    for index, part in enumerate(parts[1:], 2):
        frames.append(far.frame(part, CONTINUATION, fin=last and index == len(parts)))
    return b"".join(frames)


def with_pings(far, text):
    """A fragment, a ping, an empty fragment, and the rest."""
    half = len(text) // 2
    return (
        far.frame(text[:half], TEXT, fin=False)
        + far.frame(b"between", PING)
        + far.frame(b"", CONTINUATION, fin=False)
        + far.frame(text[half:], CONTINUATION)
    )


def large(far, text):
    return far.frame(MUCH + text, TEXT)


FORMS = {"a frame": a_frame, "fragments": fragments, "pings": with_pings, "large": large}


@roles
@pytest.mark.parametrize("form", FORMS)
async def test_text_that_is_utf_8_arrives_however_it_is_cut(backend, role, form):
    async with far_ends(backend, role) as opened, opened() as far:
        for name, text in GOOD:
            far.sink.messages.clear()
            await far.send(FORMS[form](far, text) + far.frame(b"behind", BINARY))
            await far.until(lambda: len(far.sink.messages) == 2)
            expected = (MUCH if form == "large" else b"") + text
            assert far.sink.messages == [(True, expected), (False, b"behind")], name


@roles
@pytest.mark.parametrize("form", FORMS)
async def test_text_that_is_not_utf_8_is_closed_with_1007_and_not_delivered(backend, role, form):
    async with far_ends(backend, role) as opened:
        for name, text in [case[:2] for case in (*SOME_BAD, *UNFINISHED)]:
            async with opened() as far:
                await far.send(far.frame(b"before", BINARY) + FORMS[form](far, text))
                await far.send(far.frame(b"behind", BINARY))
                code, _ = await far.close_frame()
                assert code == 1007, name
                await far.until(lambda far=far: far.sink.close_info is not None)
                assert far.sink.messages == [(False, b"before")], name
                assert (far.sink.close_info.by, far.sink.close_info.code) == ("us", 1007), name


@roles
@pytest.mark.parametrize("form", ["fragments", "chops", "large chops"])
async def test_it_is_closed_at_the_first_byte_that_no_text_goes_on_with(backend, role, form):
    """Nothing comes behind that byte: neither the rest of the text, nor of its frame."""
    async with far_ends(backend, role) as opened:
        for name, text, bad in SOME_BAD:
            async with opened() as far:
                until = bad + 1
                if form == "fragments":
                    begun = fragments(far, text[:until], last=False)
                else:
                    more = MUCH if form == "large chops" else b"more"
                    frame = far.frame(text + more, TEXT)
                    begun = frame[: len(frame) - len(text + more) + until]
                await far.send(begun)
                code, _ = await far.close_frame()
                assert code == 1007, name


@roles
async def test_a_text_is_not_refused_before_that_byte(backend, role):
    async with far_ends(backend, role) as opened:
        for name, text in UNFINISHED:
            async with opened() as far:
                begun = fragments(far, text, last=False)
                await far.send(begun + far.frame(b"still here?", PING))
                await far.send(far.frame(b"", CONTINUATION))  # now it has ended within a character
                code, _ = await far.close_frame()
                assert code == 1007, name
                assert far.sink.messages == [], name


@roles
async def test_binary_messages_may_be_anything_in_fragments_and_behind_texts(backend, role):
    async with far_ends(backend, role) as opened, opened() as far:
        await far.send(fragments(far, "é".encode()))
        await far.send(far.frame(b"\xff", BINARY, fin=False) + far.frame(b"\xfe", CONTINUATION))
        await far.send(far.frame(b"\xc3", TEXT, fin=False))
        await far.send(far.frame(b"\xa9", CONTINUATION) + far.frame(b"\xff", BINARY))
        await far.until(lambda: len(far.sink.messages) == 4)
        text, binary = (True, "é".encode()), [(False, b"\xff\xfe"), (False, b"\xff")]
        assert far.sink.messages == [text, binary[0], text, binary[1]]


@pytest.mark.needs("compression")
@pytest.mark.parametrize("cut", [0, 1, 2, 5])
async def test_compressed_text_is_checked_too(backend, open_client, cut):
    from tests.scripted_server import serve_peer
    from vuer_trio import ConnectionClosed

    async def script(conn):
        await conn.accept()
        text = b"\xce\xba\xed\xa0\xbd"
        conn.protocol.send_text(text[:cut], cut == len(text))
        if cut < len(text):
            conn.protocol.send_continuation(text[cut:], True)
        await conn._write_all(conn.protocol.data_to_send())
        await conn.wait_ended()
        assert conn.close_code == 1007

    async with serve_peer(script, compression=True) as peer:
        async with open_client(peer.uri, compression="deflate") as client:
            with pytest.raises(ConnectionClosed) as error:
                await client.recv()
            assert error.value.code == 1007
        await peer.join()
