"""The parts of the command that need no network: JSON, rates, percentiles, explanations."""

from __future__ import annotations

import json
import math
import ssl
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import ExtType, Timestamp

from vuer_trio._net.address import parse_address
from vuer_trio.cli.connection import with_scheme
from vuer_trio.cli.diagnosis import (
    Reply,
    closed,
    dns_failed,
    handshake_failed,
    port_failed,
    tls_failed,
    with_address,
)
from vuer_trio.cli.json_text import BadJSON, brief, dump, load, printable
from vuer_trio.cli.ping import percentile, summary
from vuer_trio.cli.rates import OTHERS, Rates
from vuer_trio.cli.send import whole_event

# ---- JSON

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["$bytes", "$float", "$map", "nan"])
    | st.binary()
    | st.builds(ExtType, st.integers(0, 127), st.binary())
    | st.builds(Timestamp, st.integers(0, 2**33), st.integers(0, 999_999_999))
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3) | st.sampled_from(
    ["$bytes", "$float", "$ext", "$map"]
)
DATA = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


@given(DATA)
def test_what_is_dumped_can_be_loaded(data):
    text = dump(data)
    assert text.isascii()
    assert "\n" not in text
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert load(text, "here") == data


def test_what_json_lacks():
    assert dump([b"\x00\xff", math.inf, math.nan]) == (
        '[{"$bytes":"AP8="},{"$float":"inf"},{"$float":"nan"}]'
    )
    assert dump({"$bytes": "x"}) == '{"$map":[["$bytes","x"]]}'
    assert dump({"$bytes": "x", "more": 1}) == '{"$bytes":"x","more":1}'
    assert math.isnan(load('{"$float": "nan"}', ""))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "here, column 1: Expecting value"),
        ('{"a":\n\n }', "here, line 3, column 2: Expecting value"),
        ("[" * 100_000, "here: nested too deeply"),
        ("1" * 5000, "here: Exceeds the limit"),
        ('{"$bytes": 5}', "here: $bytes must be base64 in a string"),
        ('{"a": {"$float": "big"}}', 'here: a.$float must be "nan", "inf" or "-inf"'),
        ('[{"$ext": [1]}]', "here: [0].$ext must be a number and base64"),
        ('{"$ext": [-1, "AA=="]}', "here: $ext: "),
        ('{"$ext": [500, "AA=="]}', "here: $ext: "),
        ('{"$map": [["a"]]}', "here: $map must be a list of pairs"),
    ],
)
def test_text_that_is_not_right(text, said):
    with pytest.raises(BadJSON) as caught:
        load(text, "here")
    assert str(caught.value).startswith(said)


@given(DATA, st.integers(1, 60))
def test_a_brief_value_fits(data, limit):
    assert len(brief(data, limit)) <= limit
    for text in (brief(data), brief(data, limit)):
        assert printable(text) == text
    if len(brief(data)) <= limit:
        assert brief(data, limit) == brief(data)


def test_a_brief_value_looks_no_further_than_it_shows():
    class Endless(dict):
        def __iter__(self):
            while True:
                yield "key"

        def __getitem__(self, key):
            return list(range(10))

    assert brief(Endless(), 30) == '{"key": [0, 1, 2, 3, 4, 5, 6,…'
    assert brief("x" * 10**6, 5) == '"xxx…'
    assert brief({"a": [None, True, 1.5, b"12"]}) == '{"a": [null, true, 1.5, <2 bytes>]}'


def test_whole_events():
    event = whole_event({"etype": "A", "value": 1, "key": "k", "ts": 5}, "here")
    assert event.to_wire() == {"etype": "A", "value": 1, "key": "k", "ts": 5}


# ---- rates, percentiles


def test_rates_look_back_some_seconds():
    rates = Rates(100.0)
    assert rates.now(100.0) == {}
    for n in range(40):  # ten seconds, 8 a second
        rates.add("A")
        rates.add("A")
        now = rates.now(100 + (n + 1) / 4)
        assert now["A"] == 8.0
    rates.add("B")
    assert rates.now(111.0)["B"] == pytest.approx(1 / 3)
    for n in range(20):
        later = rates.now(111 + n / 4)
    assert later == {"A": 0.0, "B": 0.0}


def test_the_summary_has_the_most_frequent_first():
    rates = Rates(5.0)
    assert rates.summary(5.0) == ["0 events in 0.0 s"]
    for etype, n in (("RARE", 1), ("OFTEN", 1000)):
        for _ in range(n):
            rates.add(etype)
    assert rates.summary(15.0) == [
        "1,001 events in 10.0 s",
        "  OFTEN  1,000  100.0/s",
        "  RARE       1    0.1/s",
    ]


def test_types_without_end_are_counted_together():
    rates = Rates(0.0)
    for n in range(3000):
        rates.add(f"REPLY@{n}")
    assert len(rates.counts) == 1001
    assert rates.counts[OTHERS] == 2000
    assert rates.counts.total() == 3000


def test_percentiles():
    hundred = [float(n) for n in range(1, 101)]
    assert [percentile(hundred, p) for p in (1, 50, 90, 99, 100)] == [1, 50, 90, 99, 100]
    assert percentile([7.0], 1) == percentile([7.0], 99) == 7.0
    assert summary([]) == {}
    assert summary([3.0, 1.0, 2.0]) == {"min": 1, "p50": 2, "p90": 3, "p99": 3, "max": 3}


# ---- what the doctor says


def address(uri="ws://robot.local:8013/scene"):
    return parse_address(uri)


def test_an_address_with_something_changed():
    assert with_address(address(), secure=True) == "wss://robot.local:8013/scene"
    assert with_address(address(), port=1, resource="/") == "ws://robot.local:1"
    assert with_address(address("wss://[::1]:5/a?b"), secure=False) == "ws://[::1]:5/a?***"
    assert with_scheme("a:1") == "ws://a:1"
    assert with_scheme("wss://a:1") == "wss://a:1"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("ws://robot.local", "mDNS"),
        ("ws://robot", "/etc/hosts"),
        ("ws://robot.example", "Try the address in digits"),
    ],
)
def test_names(uri, said):
    assert said in dns_failed(address(uri), "unknown").advice


def test_ports():
    assert "try ws://robot.local:8012/scene" in port_failed(address(), "refused", True, True).advice
    refused = port_failed(address(), "refused", True, False)
    assert "nothing listens at port 8013" in refused.advice
    assert "names no port" not in refused.advice
    lost = port_failed(address("wss://robot.local"), "no answer", False, False)
    assert "firewall" in lost.advice
    assert "names no port, and wss:// alone means 443" in lost.advice


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "the words of OpenSSL"
    return error


@pytest.mark.parametrize(
    ("code", "what", "advice"),
    [
        (9, "not valid yet", "clocks"),
        (10, "expired", "Renew"),
        (18, "self-signed", "--insecure"),
        (19, "authority of the server's own", "--ca-cert"),
        (20, "does not know", "--ca-cert"),
        (21, "did not come with it", "--ca-cert"),
        (62, "another name than robot.local", "server_hostname="),
        (64, "another name", "--insecure"),
        (23, "the words of OpenSSL", "--ca-cert"),
    ],
)
def test_certificates(code, what, advice):
    # With whatever a probe without TLS has found: who has a certificate speaks TLS.
    found = tls_failed(address("wss://robot.local:1"), certificate_error(code), Reply(400))
    assert what in found.what
    assert advice in found.advice


def test_other_faults_of_tls():
    wss = address("wss://robot.local:1")
    assert "says nothing" in tls_failed(wss, None, None).what
    alert = ssl.SSLError()
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert "a certificate of the client's" in tls_failed(wss, alert, None).advice
    assert "Does this port speak TLS?" in tls_failed(wss, OSError("reset"), Reply(None)).advice


def test_handshakes():
    def said(reply: Reply | None, uri: str = "ws://a:1", **more: bool) -> str:
        found = handshake_failed(
            address(uri), "why", reply, more.get("tls", False), more.get("at_root", False)
        )
        return f"{found.what}. {found.advice}"

    assert "try wss://a:1" in said(None, tls=True)
    assert "says nothing" in said(None)
    assert "the server hung up: why" in said(Reply(None))
    assert "'SSH-2.0'" in said(Reply(None, raw=b"SSH-2.0\r\nmore"))
    assert "try ws://a:1" in said(Reply(404), "ws://a:1/x", at_root=True)
    assert "Neither /x nor / has" in said(Reply(404), "ws://a:1/x")
    assert "HTTP 404 (nginx)" in said(Reply(404, {"server": "nginx"}))
    assert "\x1b" not in said(Reply(404, {"server": "\x1b[2J"}))
    assert "redirects clients to /there" in said(Reply(301, {"location": "/there"}))
    assert "is not a WebSocket's" in said(Reply(101))
    for status in (200, 400, 401, 403, 407, 418, 426, 429, 500, 501, 502, 503, 504, 599):
        assert f"HTTP {status}" in said(Reply(status))


def test_closes():
    assert "forever()" in closed(1000, "").advice
    assert closed(1011, "boom").what == "the server closed the connection with 1011: boom"
    assert closed(1008, "").advice == "It does not allow this client."
    assert closed(4321, "").advice == "The application's own code."


# ---- what a start costs


def test_the_help_loads_neither_rich_nor_a_transport():
    program = (
        "import sys, vuer_trio.cli.program as p; p.build_parser().format_help()\n"
        "names = {'rich.console', 'prompt_toolkit', 'websockets', 'trio_websocket', 'anyio'}\n"
        "assert not names & set(sys.modules), names & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
