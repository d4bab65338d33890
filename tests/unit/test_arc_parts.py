"""The small parts of agents and relays: addresses, messages, numbers, errors, options."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from collections.abc import Mapping

import anyio
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import vuer_trio.arc as arc
from tests.behaviour.transport_harness import serving
from vuer_trio import ConnectionFailed, EncodeError, Fifo, Latest, ProtocolError, VuerError
from vuer_trio._net.http_request import BadRequest
from vuer_trio._runtime import runtime
from vuer_trio._websocket.frames import prepare
from vuer_trio._websocket.transport import Text
from vuer_trio.arc import ARCMessage, Filter, RateLimit
from vuer_trio.arc.address import parse_register_url, parse_relay_url
from vuer_trio.arc.control import control_in
from vuer_trio.arc.message import encode_fields, encode_message, parse_message
from vuer_trio.arc.questions import Ask, Questions
from vuer_trio.arc.relay.reading import Unreadable, is_falsy, read_json
from vuer_trio.arc.relay.registry import Refusal, RegistrationLimit, Registry
from vuer_trio.arc.relay.switch import Switch
from vuer_trio.testing import cancel_everywhere


def test_everything_public_is_there():
    assert sorted(arc.__all__) == arc.__all__
    assert all(hasattr(arc, name) for name in arc.__all__)


def parameters(function):
    """Name: default, of all but ``self``; keywords in a tuple of their own."""
    found = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    keywords = {p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY}
    return {p.name: p.default for p in found if p.kind is p.POSITIONAL_OR_KEYWORD}, keywords


def test_the_signatures_are_the_designs():
    none = inspect.Parameter.empty
    positional, keywords = parameters(arc.ARCClient)
    assert positional == {"relay_url": None}
    assert {"agent_id", "token", "register_url", "reconnect"} <= {
        name for name, default in keywords.items() if default is None
    }
    assert keywords["rate_limit"] == RateLimit(100, per=60)
    assert keywords["reregister"] is False
    client = arc.ARCClient
    assert arc.open_arc_client is client
    for method, wanted in {
        client.register: ({"agent_id": None}, {}),
        client.connect: ({"nursery": None}, {}),
        client.send: ({"to": none, "payload": none, "message_type": None}, {"ref": None}),
        client.broadcast: ({"payload": none, "message_type": None}, {}),
        client.direct: ({"target_id": none, "payload": none, "message_type": None}, {}),
        client.reply: ({"message": none, "payload": none, "message_type": "answer"}, {}),
        client.list_subscriptions: ({}, {}),
        client.recv: ({"timeout": None}, {}),
        client.listen: ({"handler": None}, {"filter": None}),
    }.items():
        assert parameters(method) == wanted, method
    asked, _ = parameters(client.ask)
    assert (list(asked), asked["timeout"]) == (["question", "to", "timeout"], 30)
    assert list(asked["to"]) == ["*"]
    positional, keywords = parameters(arc.serve_arc_relay)
    assert positional == {"host": "localhost", "port": 8080}
    assert (keywords["max_message_size"], keywords["rate_limit"]) == (1 << 20, None)
    assert "task_status" in keywords


# ---- addresses


@pytest.mark.parametrize(
    ("url", "uri", "base", "next_base"),
    [
        ("http://h:8080", "ws://h:8080/arc", "http://h:8080", "http://h:8081"),
        ("https://h", "wss://h/arc", "https://h", "https://h:444"),
        ("ws://h:1/", "ws://h:1/arc", "http://h:1", "http://h:2"),
        ("wss://h/arc", "wss://h/arc", "https://h", "https://h:444"),
        ("http://h/x/arc/", "ws://h/x/arc", "http://h/x", "http://h:81/x"),
        ("h", "ws://h/arc", "http://h", "http://h:81"),
        ("localhost:8080", "ws://localhost:8080/arc", "http://localhost:8080", None),
        ("http://[::1]:5", "ws://[::1]:5/arc", "http://[::1]:5", "http://[::1]:6"),
    ],
)
def test_forms_of_a_url(url, uri, base, next_base):
    address = parse_relay_url(url)
    assert (address.uri, address.base) == (uri, base)
    assert address.next_base == (next_base or "http://localhost:8081")


@pytest.mark.parametrize(
    "url", ["http://", "ftp://h", "http://h:x", "http://h h", "http://h#a", ""]
)
def test_what_is_no_url(url):
    with pytest.raises(ValueError, match="relay_url must be the URL of a relay, got"):
        parse_relay_url(url)


def test_where_to_register():
    assert parse_register_url("http://h:1") == "http://h:1/register"
    assert parse_register_url("https://h/a/b") == "https://h/a/b"
    with pytest.raises(TypeError):
        parse_register_url(7)  # type: ignore[arg-type]


# ---- messages


def test_a_message_is_a_mapping_of_what_came():
    fields = {"id": "i", "from": "a", "to": ["b", 1], "payload": {"x": 1}, "ts": 5, "priority": 2}
    message = parse_message(json.dumps(fields).encode())
    assert dict(message) == fields
    assert message == fields
    assert len(message) == 6
    assert message.extra == {"priority": 2}
    assert (message.to, message.payload, message.ts) == (["b"], {"x": 1}, 5)
    assert repr(message) == "<ARCMessage from a to b>"
    assert "x" not in repr(ARCMessage({"payload": "x"}))
    odd = ARCMessage({"id": 1, "from": [], "to": "b", "type": {}, "ref": 0, "ts": True})
    assert (odd.id, odd.sender, odd.to, odd.type, odd.ref, odd.ts) == (None, None, [], *[None] * 3)
    with pytest.raises(TypeError):
        message["id"] = 1  # type: ignore[index]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"7", b"null", b'"x"', b"[" * 90_000])
def test_what_is_no_message(data):
    with pytest.raises(ProtocolError) as error:
        parse_message(bytearray(data))
    assert error.value.frame == data


def test_how_a_message_is_written():
    assert encode_message(["b"], None) == b'{"to":["b"],"payload":null}'
    data = encode_message(["b"], "é", "t", "r", {"x": 1})
    assert data == '{"to":["b"],"type":"t","ref":"r","payload":"é","x":1}'.encode()
    assert type(data) is Text
    assert json.loads(encode_fields({"a": "\ud83d é"})) == {"a": "\ud83d é"}
    with pytest.raises(EncodeError, match="cannot carry"):
        encode_fields({"a": {1, 2}})


def test_filters():
    message = ARCMessage({"from": "a", "type": "t", "payload": 3})
    assert Filter()(message)
    assert Filter(sender="a", type=["s", "t"])(message)
    assert not Filter(sender=["b"])(message)
    assert not Filter(type="s")(message)
    assert not Filter(predicate=lambda m: m.payload > 3)(message)


def test_a_text_is_framed_once_for_all():
    for size in (5, 200, 70_000):
        framed = prepare(Text(b"x" * size))
        assert framed[0] == 0x81
        assert framed.payload == b"x" * size
        assert type(framed.payload) is Text
        assert type(prepare(b"x" * size).payload) is not Text


# ---- errors


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (arc.AgentIdTaken("m", status=400, code="c"), {"status": 400, "code": "c"}),
        (arc.InvalidAgentId("m", status=400), {"status": 400, "code": ""}),
        (arc.AuthenticationError("m", uri="u", status=401), {"uri": "u", "status": 401}),
        (arc.RateLimited("m", uri="u"), {"uri": "u", "retry_after": None}),
    ],
)
def test_errors_can_be_pickled_and_copied(error, fields):
    assert isinstance(error, VuerError)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(twin), str(twin)) == (type(error), "m")
        assert {name: getattr(twin, name) for name in fields} == fields
    assert type(error).__module__ == "vuer_trio.arc"
    assert isinstance(error, arc.RegistrationError | ConnectionFailed)


# ---- what a relay reads


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[12345678901234567890,1e400,1.0,-0]", [12345678901234567000, None, 1.0, 0]),
        ("[9007199254740993, 9007199254740992]", [9007199254740992, 9007199254740992]),
        ("[-1e400, 1e20, 1234567890123456]", [None, 1e20, 1234567890123456]),
        ("1" + "0" * 30, 1e30),
        ("1" + "0" * 400, None),
        ('{"a":1,"a":2}', {"a": 2}),
    ],
)
def test_numbers_are_doubles(text, value):
    assert read_json(text) == value
    json.dumps(read_json(text), allow_nan=False)


@pytest.mark.parametrize("text", ["", "NaN", "[Infinity]", "\ufeff{}", "{'a':1}", "[" * 90_000])
def test_what_is_no_json(text):
    with pytest.raises(Unreadable):
        read_json(text)


def test_what_is_falsy():
    assert all(map(is_falsy, (None, False, 0, 0.0, "")))
    assert not any(map(is_falsy, ({}, [], "0", 1, True)))


def test_a_registry():
    registry = Registry(3)
    agent_id, token = registry.register(None)
    assert registry.owner(token) == agent_id
    for bad in (
        "ab",
        "a" * 65,
        "-abc",
        "abc-",
        "Abc",
        "a_b",
        "*",
        "relay",
        12345,
        ["abc"],
        "abc\n",
    ):
        with pytest.raises(Refusal) as refusal:
            registry.register(bad)
        assert (refusal.value.status, refusal.value.code) == (400, "invalid_agent_id")
    _, other = registry.register("abc")
    with pytest.raises(Refusal, match="already registered"):
        registry.register("abc")
    assert registry.owner(other) == "abc"
    _, third = registry.register("a" * 64)
    assert registry.owner(third) == "a" * 64
    with pytest.raises(Refusal) as refusal:
        registry.register(None)
    assert refusal.value.status == 503
    assert registry.revoke("abc")
    assert not registry.revoke("abc")
    assert registry.owner(token) == agent_id


@pytest.mark.no_cover
def test_ids_that_are_not_used_give_way_and_are_forgotten():
    now = [0.0]
    registry = Registry(3, patience=10, clock=lambda: now[0])
    tokens = {name: registry.register(name)[1] for name in ("used", "oldest", "newest")}
    assert registry.owner(tokens["used"]) == "used"
    registry.register("more")
    assert registry.agents == ["used", "newest", "more"]
    assert registry.owner(tokens["oldest"]) is None
    now[0] = 9.9
    registry.register("late")
    assert registry.agents == ["used", "more", "late"]
    now[0] = 10
    assert registry.agents == ["used", "late"]
    assert registry.register("newest")[1] != tokens["newest"]
    now[0] = 1000
    assert registry.owner(tokens["newest"]) is None
    assert registry.agents == ["used"]
    assert registry.owner(tokens["used"]) == "used"
    for n in range(100_000):
        registry.register(f"agent-{n}")
    assert registry.agents == ["used", "agent-99998", "agent-99999"]
    assert len(registry._tokens) == 3


def test_ids_of_agents_that_are_away_give_way_when_there_is_no_room():
    now = [0.0]
    registry = Registry(4, 2, patience=10, clock=lambda: now[0])
    for name in ("one", "two"):
        registry.register(name, "there")
        registry.use(name)
    registry.leave("two")
    now[0] = 10.0
    registry.use("two")
    registry.leave("two")
    registry.leave("nobody")
    now[0] = 19.0
    with pytest.raises(Refusal, match="no more agents from your address"):
        registry.register("three", "there")
    now[0] = 20.0
    other = Registry(4, 2, patience=10, clock=lambda: now[0])
    other.load(registry.dump())
    for one in (registry, other):
        one.register("elsewhere", "here")  # there is room
        one.register("three", "there")
        assert one.agents == ["one", "elsewhere", "three"]  # the one that is connected stays
        one.use("three")
        with pytest.raises(Refusal, match="no more agents from your address"):
            one.register("four", "there")
        one.leave("one")
        one.use("one")
        now[0] += 9.0
        one.use("elsewhere")
        one.leave("elsewhere")
        one.register("five")
        with pytest.raises(Refusal, match="no more agents"):
            registry_full(one, now)
        now[0] = 20.0


def registry_full(registry, now):
    registry.use("five")
    registry.leave("five")
    now[0] += 5.0
    registry.register("six")


def test_one_address_has_its_share_of_the_ids():
    registry = Registry(10, 2)
    tokens = [registry.register(f"his-{n}", "10.0.0.1")[1] for n in range(3)]
    assert registry.agents == ["his-1", "his-2"]
    for token in tokens[1:]:
        registry.owner(token)
    with pytest.raises(Refusal, match="from your address") as refusal:
        registry.register("his-3", "10.0.0.1")
    assert (refusal.value.status, refusal.value.code) == (429, "too_many_agents")
    registry.register("hers", "10.0.0.2")
    for n in range(5):
        registry.register(f"local-{n}")
    registry.revoke("his-1")
    registry.register("his-3", "10.0.0.1")
    assert len(registry.agents) == 8


@pytest.mark.trio
async def test_each_address_has_a_window_of_its_own(autojump_clock):
    limit = RegistrationLimit(runtime(), RateLimit(2, per=10))

    def admitted(host):
        return limit.window(host).try_admit()

    assert [admitted("10.0.0.1") for _ in range(3)] == [True, True, False]
    assert [admitted("10.0.0.2") for _ in range(3)] == [True, True, False]
    assert [admitted(f"2001:db8::{n}") for n in range(3)] == [True, True, False]
    assert [admitted(host) for host in ("127.0.0.1", "::1", None)] == [True, True, False]
    for n in range(10_000):
        admitted(f"10.1.{n // 256}.{n % 256}")
    assert len(limit._windows) == 4096
    await trio.sleep(10)
    assert admitted("10.1.39.15")


@pytest.mark.trio
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"port": "x"}, TypeError),
        ({"port": 70_000}, ValueError),
        ({"max_message_size": 0}, ValueError),
        ({"register_limit": 5}, TypeError),
        ({"register_secret": b"x"}, TypeError),
        ({"register_secret": "two words"}, ValueError),
        ({"register_timeout": 0}, ValueError),
        ({"max_agents_per_host": 0}, ValueError),
        ({"origins": "https://a.example"}, TypeError),
        ({"hosts": "a.example"}, TypeError),
        ({"rate_limit": 5}, TypeError),
        ({"outbox": Latest()}, TypeError),
        ({"heartbeat": "x"}, TypeError),
        ({"nonsense": 1}, TypeError),
        ({"transport": "pigeon"}, ValueError),
    ],
)
async def test_options_of_a_relay_that_can_not_be(options, error):
    with pytest.raises(error):
        async with arc.open_arc_relay(**options):
            pass


def test_defaults_are_values():
    assert RateLimit(100, per=60) == RateLimit(100)
    assert Fifo(3) == Fifo(3)


# ---- bodies of requests

BODIES = [
    (b"Content-Length: 5\r\n\r\nhello", b"hello"),
    (b"Content-Length: 0\r\n\r\n", b""),
    (b"\r\n", b""),
    (b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello"),
    (b"Content-Length: 100\r\n\r\n" + b"x" * 100, b"x" * 100),
    (b"Content-Length: 101\r\n\r\n" + b"x" * 101, 413),
    (b"Transfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n", 413),
    (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"Content-Length: 5\r\n\r\nhel", "left"),
]


@pytest.mark.anyio
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("rest", "wanted"), BODIES)
async def test_a_body(backend, rest, wanted, whole):
    found = []

    async def greet(server, incoming):
        try:
            found.append(await incoming.read_body(100))
        except BadRequest as exc:
            found.append(exc.status)
        except OSError:
            found.append("left")
        await incoming.answer(200, (), b"ok")

    async with serving(backend, greet) as server:
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            data = b"POST /x HTTP/1.1\r\nHost: h\r\n" + rest
            for part in [data] if whole else [data[i : i + 1] for i in range(len(data))]:
                await stream.send(part)
            if wanted == "left":
                await stream.send_eof()
            received = b""
            with anyio.fail_after(60):
                try:
                    while True:
                        received += await stream.receive()
                except anyio.EndOfStream:
                    pass
    assert found == [wanted]
    assert received.endswith(b"ok")
    assert received.startswith(b"HTTP/1.1 200")


@pytest.mark.anyio
async def test_a_body_that_waits_to_be_asked_for(backend):
    found = []

    async def greet(server, incoming):
        found.append(await incoming.read_body(100))
        await incoming.answer(200, (), b"ok")

    head = b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    async with serving(backend, greet) as server:
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            with anyio.fail_after(60):
                await stream.send(head)
                assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
                await stream.send(b"hello")
                assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
    assert found == [b"hello"]


# ---- registering, cancelled everywhere


@pytest.mark.trio
async def test_a_cancellation_of_registering_anywhere_leaves_nothing_behind():
    async with arc.open_arc_relay() as relay:

        async def scenario(here):
            client = arc.ARCClient(relay.url)
            async with here:
                await client.register()
            assert (client.token is not None) == (not here.cancelled)
            if not here.fired:
                assert client.agent_id in relay.stats()["registry"]["agents"]

        assert await cancel_everywhere(scenario) > 3


# ---- answers


@pytest.mark.trio
async def test_an_answer_that_nobody_has_taken_is_a_message_like_any_other():
    back = []
    asks = Questions(lambda: None, back.extend)
    ask = Ask(asks, runtime(), "question", "answer", hides_echo=True, awaited=None, limit=None)
    answers = [
        ARCMessage({"from": "a", "type": "answer", "ref": ask.ref, "payload": n}) for n in "xyz"
    ]
    with ask:
        assert all(asks.sees(answer, "me") for answer in answers)
        assert await ask.answer() is answers[0]
    assert back == answers[1:]
    assert len(asks) == 0
    assert not asks.sees(answers[0], "me")


@pytest.mark.trio
async def test_the_echo_of_a_question_is_nobody_s_message_even_if_it_comes_after_the_question():
    asks = Questions(lambda: None, list)

    def ended(*, hides_echo=True):
        ask = Ask(
            asks, runtime(), "question", "answer", hides_echo=hides_echo, awaited=None, limit=None
        )
        with ask:
            pass  # cancelled, or timed out
        return ask.ref

    def message(ref, sender="me", kind="question"):
        return ARCMessage({"id": "1", "from": sender, "type": kind, "ref": ref, "payload": "?"})

    ref = ended()
    assert not asks.sees(message(ref, sender="other"), "me")
    assert not asks.sees(message(ref, kind="answer"), "me")
    assert asks.sees(message(ref), "me")
    assert not asks.sees(message(ref), "me"), "there is one echo"
    assert not asks.sees(message(ended(hides_echo=False)), "me"), "it was asked, too"
    refs = [ended() for _ in range(1001)]
    assert not asks.sees(message(refs[0]), "me"), "what never comes does not pile up"
    assert all(asks.sees(message(ref), "me") for ref in refs[1:])


# ---- whatever anybody sends

WORDS = ["*", "relay", "a", "me", "subscribe", "unsubscribe", "list_subscriptions", "subscribed"]
WORDS += ["subscriptions", "welcome", "error", "pong", "answer", "agents", "code", "message"]
KEYS = ["id", "from", "to", "payload", "ts", "type", "ref", "agents", "error", "message"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)
FIELDS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=7)


class Seat:
    def __init__(self):
        self.frames = []

    def put(self, frame):
        self.frames.append(json.loads(frame.payload))


@given(st.lists(st.tuples(st.sampled_from(["a", "me"]), FIELDS | VALUES), max_size=6))
def test_a_switch_takes_whatever_is_sent(values):
    switch, seats = Switch({}), {name: Seat() for name in ("a", "me")}
    for name, seat in seats.items():
        switch.join(name, seat)
    for name, value in values:
        switch.receive(name, seats[name], json.dumps(value))
    for seat in seats.values():
        for told in seat.frames:
            assert told["from"] in ("a", "me", "relay")
            assert {"id", "to", "payload", "ts"} <= told.keys()
    for name, seat in seats.items():
        switch.leave(name, seat)
    assert (switch.agents, switch.subscriptions) == ([], 0)
    assert not switch._subscribers


@given(FIELDS)
def test_a_client_takes_whatever_is_sent(fields):
    message = parse_message(json.dumps(fields).encode())
    assert dict(message) == fields
    assert repr(message)
    assert isinstance(message.extra, dict)
    assert Filter(sender="a", type=["answer"])(message) in (True, False)
    for own_id in (None, "me"):
        control = control_in(message, own_id)
        if control is not None:
            assert "from" not in fields or fields["from"] == "relay"
            assert isinstance(control.payload, Mapping)
            assert all(isinstance(name, str) for name in [control.type, *control.to])
