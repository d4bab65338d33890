"""What RFC 6455 forbids, frame by frame, and what it allows: on every transport, in both roles."""

from __future__ import annotations

import struct

import pytest

from tests.behaviour.far_end import ROLES, far_ends
from tests.behaviour.raw_client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

pytestmark = pytest.mark.anyio
roles = pytest.mark.parametrize("role", ROLES)

FIRST, MIDDLE, LAST = {"fin": False}, {"fin": False}, {"fin": True}


def close(code, reason=b""):
    return (CLOSE, struct.pack("!H", code) + reason)


def _bad_reserved_bits():
    for bits in (0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70):
        for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
            yield f"reserved bits {bits:#x} on opcode {opcode}", [(opcode, b"", {"bits": bits})]
    yield "reserved bits on text", [(TEXT, b"some", {"bits": 0x20})]
    yield "reserved bits on a fragment", [(TEXT, b"a", FIRST), (0, b"b", {"bits": 0x10})]


def _bad_opcodes():
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield f"opcode {opcode}", [(opcode, b"")]
        yield f"opcode {opcode}, with a payload", [(opcode, b"what is this")]
        yield f"opcode {opcode} within a message", [(TEXT, b"a", FIRST), (opcode, b"b")]


def _bad_fragments():
    yield "a last fragment of nothing", [(CONTINUATION, b"of what?")]
    yield "an empty last fragment of nothing", [(CONTINUATION, b"")]
    yield "a fragment of nothing", [(CONTINUATION, b"of what?", MIDDLE), (CONTINUATION, b"")]
    yield "a fragment after the last one", [
        (TEXT, b"a", FIRST), (CONTINUATION, b"b"), (CONTINUATION, b"c"),
    ]  # fmt: skip
    for opcode in (TEXT, BINARY):
        yield f"opcode {opcode} within a text", [(TEXT, b"a", FIRST), (opcode, b"b")]
        yield f"opcode {opcode} within bytes", [(BINARY, b"a", FIRST), (opcode, b"b", FIRST)]


def _bad_control_frames():
    for opcode in (PING, PONG):
        yield f"opcode {opcode} of 126 bytes", [(opcode, b"x" * 126)]
        yield f"opcode {opcode} of 70,000 bytes", [(opcode, b"x" * 70_000)]
        yield f"opcode {opcode} in fragments", [(opcode, b"a", FIRST), (CONTINUATION, b"b")]
    yield "a close frame of 126 bytes", [close(1000, b"x" * 124)]
    yield "a close frame in fragments", [(CLOSE, b"\x03", FIRST), (CONTINUATION, b"\xe8")]


def _bad_closes():
    yield "a close frame of one byte", [(CLOSE, b"\x03")]
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        yield f"close code {code}", [close(code)]
        yield f"close code {code} and a reason", [close(code, b"because")]


BAD = dict(
    case
    for cases in (
        _bad_reserved_bits(),
        _bad_opcodes(),
        _bad_fragments(),
        _bad_control_frames(),
        _bad_closes(),
    )
    for case in cases
)
#: of a close frame
BAD_REASONS = {
    "a close reason that is not UTF-8": [close(1000, b"\xce\xba\xed\xa0\x80edited")],
    "a close reason that ends within a character": [close(1000, b"\xe2\x82")],
}
GOOD_CLOSES = {
    1005: [(CLOSE, b"")],
    **{
        code: [close(code, reason)]
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
        for reason in [b"" if code % 2 else "bye, Grüße".encode()]
    },
}


async def outcome(far, frames):
    """Behind a message: what our side's close frame says."""
    data = [far.frame(b"before", BINARY)]
    for opcode, payload, *how in frames:
        data.append(far.frame(payload, opcode, **(how[0] if how else {})))
    await far.send(b"".join([*data, far.frame(b"behind", BINARY)]))
    answer = await far.close_frame()
    await far.until(lambda: far.sink.close_info is not None)
    return answer


async def check(backend, role, cases, expected, by):
    different = {}
    async with far_ends(backend, role) as opened:
        for name, frames in cases.items():
            async with opened() as far:
                answer = await outcome(far, frames)
                assert far.sink.messages[0] == (False, b"before"), name
                assert (False, b"behind") not in far.sink.messages, name
                code = None if answer is None else answer[0]
                close_info = far.sink.close_info
                if (code, close_info.by, close_info.code) != (expected(name), by, expected(name)):
                    different[name] = (code, close_info.by, close_info.code)
    assert different == {}


@roles
async def test_what_is_forbidden_is_a_protocol_error(backend, role):
    await check(backend, role, BAD, lambda name: 1002, "us")


@roles
async def test_a_close_reason_is_text(backend, role):
    await check(backend, role, BAD_REASONS, lambda name: 1007, "us")


@roles
async def test_a_good_close_is_answered_with_its_code(backend, role):
    await check(backend, role, GOOD_CLOSES, lambda code: code, "peer")


@roles
@pytest.mark.parametrize("size", [5, 300, 70_000])
async def test_masks_belong_to_what_a_client_sends(backend, role, size):
    async with far_ends(backend, role) as opened:
        for opcode in (BINARY, TEXT, PING):
            async with opened() as far:
                await far.send(far.wrong_frame(b"x" * (size if opcode != PING else 5), opcode))
                code, _ = await far.close_frame()
                assert code == 1002


@roles
async def test_control_frames_come_between_fragments_and_are_answered_in_order(backend, role):
    async with far_ends(backend, role) as opened, opened() as far:
        data = far.frame(b"a", TEXT, fin=False) + far.frame(b"1", PING)
        data += far.frame(b"", CONTINUATION, fin=False) + far.frame(b"2" * 125, PING)
        data += far.frame(b"unasked", PONG) + far.frame(b"", PING)
        await far.send(data + far.frame(b"b", CONTINUATION))
        await far.until(lambda: far.sink.messages)
        assert far.sink.messages == [(True, b"ab")]
        await far.until(lambda: b"unasked" in far.sink.pongs)
        assert await far.pongs(3) == [b"1", b"2" * 125, b""]


@roles
async def test_nothing_behind_a_close_frame_is_received(backend, role):
    async with far_ends(backend, role) as opened, opened() as far:
        frames = [close(1000), (TEXT, b"late"), (PING, b"late"), close(1001)]
        await far.send(b"".join(far.frame(payload, opcode) for opcode, payload in frames))
        assert await far.close_frame() == (1000, b"")
        await far.until(lambda: far.sink.close_info is not None)
        assert far.sink.messages == []


@roles
async def test_a_close_frame_ends_a_message_that_is_not_whole(backend, role):
    async with far_ends(backend, role) as opened, opened() as far:
        await far.send(far.frame(b"a", TEXT, fin=False) + far.frame(b"\x03\xe8", CLOSE))
        await far.send(far.frame(b"b", CONTINUATION))
        assert (await far.close_frame())[0] == 1000
        await far.until(lambda: far.sink.close_info is not None)
        assert (far.sink.close_info.by, far.sink.close_info.code) == ("peer", 1000)
        assert far.sink.messages == []
