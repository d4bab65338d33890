"""The codec of Roomz: recorded packets, and everything that is no packet."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import DATA
from vuer_trio import ProtocolError
from vuer_trio._websocket.transport import Text
from vuer_trio.roomz.packets import Kind, Packet, decode, encode_event

FRAMES = json.loads((DATA / "roomz.json").read_text("utf-8"))
PACKETS = [
    frame["raw"]
    for frame in FRAMES
    if frame["direction"].startswith("server->client") and frame["direction"].endswith("WS")
    if frame["raw"] is not None and frame["note"] != "opcode 8"
]
SENT = [
    frame["raw"]
    for frame in FRAMES
    if frame["direction"].startswith("client") and frame["direction"].endswith("WS")
    if str(frame["raw"]).startswith("42") and frame["raw"][2:3].isdigit()
]


def text(packet: str) -> Text:
    return Text(packet.encode("utf-8", "surrogatepass"))


#: digits of the two layers, and what they mean
MEANINGS = {
    "0": Kind.OPEN,
    "2": Kind.PING,
    "3": Kind.NOTHING,
    "6": Kind.NOTHING,
    "40": Kind.CONNECTED,
    "42": Kind.EVENT,
    "43": Kind.REPLY,
    "44": Kind.REFUSED,
    "44/": Kind.NOTHING,  # of another namespace
}


@pytest.mark.parametrize("packet", sorted(set(PACKETS)))
def test_every_packet_that_the_server_sent(packet):
    known = [meaning for digits, meaning in MEANINGS.items() if packet.startswith(digits)]
    assert decode(text(packet)).kind is known[-1]


def test_there_are_enough_of_them():
    assert {decode(text(packet)).kind for packet in PACKETS} == set(MEANINGS.values())
    assert len(PACKETS) > 80
    assert len(SENT) > 40


@pytest.mark.parametrize(
    ("packet", "meaning"),
    [
        ('44{"message":"Connection rejected by server"}', "Connection rejected by server"),
        ('44"Unable to connect"', "Unable to connect"),
        ("44", "no reason given"),
        ("44[1]", "no reason given"),
        ('44{"message":5}', "no reason given"),
    ],
)
def test_a_refusal_in_all_its_forms(packet, meaning):
    assert decode(text(packet)) == Packet(Kind.REFUSED, meaning)


@pytest.mark.parametrize(
    ("packet", "meaning"),
    [
        ('42["message",{"a":1}]', Packet(Kind.EVENT, ("message", {"a": 1}))),
        ('42["message",{"a":1},2]', Packet(Kind.EVENT, ("message", {"a": 1}))),
        ('427["message"]', Packet(Kind.EVENT, ("message", {}))),
        ('42/,["message",{}]', Packet(Kind.EVENT, ("message", {}))),
        ('42/other,["message",{}]', Packet(Kind.NOTHING)),
        ("4310[]", Packet(Kind.REPLY, None, 10)),
        ("4310[5,6]", Packet(Kind.REPLY, 5, 10)),
        ("41", Packet(Kind.LEFT)),
        ("1", Packet(Kind.CLOSE)),
        ("2probe", Packet(Kind.PING)),
    ],
)
def test_what_packets_mean(packet, meaning):
    assert decode(text(packet)) == meaning


@pytest.mark.parametrize(
    "packet",
    [
        *("", "9", "hello", "x", "\N{SUPERSCRIPT TWO}", "7", "b4NDI=", "-1"),
        *("4", "47", "4\N{SUPERSCRIPT TWO}", "4hello", "4{}", '4["message",{}]'),
        *("0", "0[]", "0nonsense", '0"x"', "0{"),
        *("42", "42{}", "42[]", "42[5]", '42["x"', '42["message",5]', '42[{"a":1}]', '42"x"'),
        *("43[1]", "43", "435", '435{"a":1}', "43" + "1" * 200 + "[1]"),
        *('451-["message",{"_placeholder":true,"num":0}]', "461-0[{}]", "45" + "9" * 30 + "-[]"),
        '42["message",' + '{"a":' * 5000 + "1" + "}" * 5000 + "]",
        '42["message",' + "[" * 100_000,
        '42["message",{"n":' + "9" * 10_000 + "}]",
    ],
)
def test_what_is_no_packet(packet):
    with pytest.raises(ProtocolError) as wrong:
        decode(text(packet))
    assert wrong.value.frame == text(packet)
    assert len(str(wrong.value)) < 1000


def test_a_binary_message_and_one_that_is_not_utf_8():
    with pytest.raises(ProtocolError, match="binary"):
        decode(b"2")
    with pytest.raises(ProtocolError, match="malformed"):
        decode(Text(b"42\xff"))


@given(st.text() | st.from_regex(r"\A[0-6][0-9]?[-/,\[\]{}\"0-9a-z_]*\Z"))
def test_whatever_it_is_it_is_a_packet_or_a_protocol_error(packet):
    try:
        decoded = decode(text(packet))
    except ProtocolError:
        return
    if decoded.kind is Kind.EVENT:
        name, data = decoded.data
        assert isinstance(name, str)
        assert isinstance(data, dict)
    elif decoded.kind is Kind.OPEN:
        assert isinstance(decoded.data, dict)
    elif decoded.kind is Kind.REPLY:
        assert isinstance(decoded.number, int)


def test_what_is_sent_is_what_the_reference_was_recorded_to_send():
    compared = 0
    for packet in SENT:
        number, _, _ = packet[2:].partition("[")
        try:
            name, data = json.loads(packet[2 + len(number) :])
        except ValueError:
            continue  # sent on purpose with no data, with two, or cut short in the record
        if isinstance(data, dict):
            sent = encode_event(name, data, int(number))
            assert type(sent) is Text
            assert json.loads(sent[2 + len(number) :]) == [name, data]
            assert sent.startswith(f"42{number}[".encode())
            compared += 1
    assert compared > 25
