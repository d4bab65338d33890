"""The check of text as it comes: at which byte it says no, by itself and in both fast parsers."""

from __future__ import annotations

import random
from functools import partial
from itertools import product

import pytest

from tests.unit.test_fast_parser import make_frame
from tests.unit.test_server_fast_parser import make_frame as masked_frame
from tests.utf8_cases import BAD, GOOD, UNFINISHED
from vuer_trio._websocket.fast_parser import FastParser
from vuer_trio._websocket.text_check import TextCheck
from vuer_trio._websocket.transport import LARGE

FIN, TEXT, BINARY, CONTINUATION = 0x80, 1, 2, 0

MaskedFastParser = partial(FastParser, masked=True)


def refused_at(text):
    """The index of the byte at which it is refused; None if it is not."""
    check = TextCheck()
    check.begin(TEXT, False)
    for index in range(len(text)):
        if not check.feed(text[index : index + 1], False):
            return index
    check.begin(FIN | CONTINUATION, True)
    return None if check.feed(b"", True) else len(text)


def test_each_case_of_the_table_is_refused_at_its_byte():
    for name, text in GOOD:
        assert refused_at(text) is None, name
    for name, text, bad in BAD:
        assert refused_at(text) == bad, name
    for name, text in UNFINISHED:
        assert refused_at(text) == len(text), name


def test_what_is_not_refused_can_be_gone_on_with():
    """Whatever the bytes: no beginning of a character is refused, and none that is no such."""
    beginnings = {
        chr(point).encode()[:size]
        for point in (*range(0xD800), *range(0xE000, 0x110000, 16))
        for size in range(1, 5)
    }
    some = (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
    for text in map(bytes, product(range(0xC0, 0x100), some)):
        expected = text in beginnings
        check = TextCheck()
        check.begin(TEXT, False)
        assert check.feed(text, False) == expected, text


def test_only_text_is_looked_at():
    check = TextCheck()
    for first, fragmented in (
        (FIN | BINARY, False),
        (BINARY, False),
        (FIN | CONTINUATION, True),  # of that
        (FIN | CONTINUATION, False),  # of nothing
        (0x40 | TEXT, False),  # a fault of another kind
        (3, False),
    ):
        check.begin(first, fragmented)
        assert not check.follows, (first, fragmented)
    check.begin(TEXT, False)
    assert check.follows
    check.begin(TEXT, True)  # a fault of another kind
    assert not check.follows
    check.begin(CONTINUATION, True)
    assert check.follows


class Recorder:
    def __init__(self, parser):
        self.whole, self.others, self.bad = [], [], 0
        self.parser = parser(100_000, self.whole.append, self.other, self.bad_text)

    def other(self, data):
        self.others.append(data)
        return True

    def bad_text(self):
        self.bad += 1


@pytest.mark.parametrize(
    ("parser", "frame"), [(FastParser, make_frame), (MaskedFastParser, masked_frame)]
)
@pytest.mark.parametrize("before", [0, 5, LARGE])
@pytest.mark.parametrize("form", ["a frame", "fragments"])
def test_a_fast_parser_refuses_at_that_byte_and_takes_nothing_more(parser, frame, before, form):
    for name, text, bad in BAD:
        recorder = Recorder(parser)
        much = b"t" * before
        if form == "a frame":
            whole = frame(TEXT, much + text + b"more")
            stream, left = whole, len(text) + len(b"more") - bad
        else:
            start = frame(TEXT, much, fin=False) + frame(9, b"between")
            whole = frame(CONTINUATION, text + b"more")
            stream, left = start + whole, len(text) + len(b"more") - bad
        good, rest = stream[: len(stream) - left], stream[len(stream) - left :]
        recorder.parser.feed(memoryview(good), 100)
        assert recorder.bad == 0, name
        recorder.parser.feed(memoryview(rest[:1]), 100)
        assert recorder.bad == 1, name
        seen = len(recorder.others)
        recorder.parser.feed(memoryview(rest[1:] + frame(BINARY, b"late")), 100)
        assert (recorder.bad, recorder.whole, len(recorder.others)) == (1, [], seen), name


@pytest.mark.parametrize(
    ("parser", "frame"), [(FastParser, make_frame), (MaskedFastParser, masked_frame)]
)
@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
def test_what_was_looked_at_of_one_frame_is_not_taken_for_the_next(parser, frame, step):
    """Texts that are cut and then whole, before frames of each other kind that are cut, too."""
    binary = random.Random(0).randbytes(300)
    text = "é€🤖".encode() * 3
    frames = [
        frame(TEXT, text),
        frame(9, b"\xff\xff"),
        frame(BINARY, binary),
        frame(TEXT, text),
        frame(BINARY, binary, fin=False),
        frame(CONTINUATION, binary, fin=False),
        frame(10, b"\xff"),
        frame(CONTINUATION, binary),
        frame(TEXT, text[:1], fin=False),
        frame(CONTINUATION, text[1:3], fin=False),
        frame(9, b"\xff"),
        frame(CONTINUATION, text[3:]),
        frame(TEXT, text * 10_000),
        frame(BINARY, binary, fin=False),
        frame(CONTINUATION, binary),
        frame(TEXT, b""),
    ]
    recorder = Recorder(parser)
    stream = b"".join(frames[:-4]) if step < 3 else b"".join(frames)
    for start in range(0, len(stream), step):
        recorder.parser.feed(memoryview(stream[start : start + step]), 100)
    assert recorder.bad == 0
    assert recorder.whole == [text, binary, text] + ([b""] if step >= 3 else [])
