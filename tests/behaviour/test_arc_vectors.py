"""The recorded exchanges of a relay, replayed against ours, on every backend."""

from __future__ import annotations

import itertools
import json
import re
from contextlib import AsyncExitStack

import anyio
import pytest

from tests.behaviour.raw_agent import VECTORS, http, raw_agent
from tests.repetitions import times
from vuer_trio import InboxEmpty

pytestmark = pytest.mark.anyio

#: name: why ours does otherwise, on purpose
DIFFERENT = {
    "sub.broadcast_duplicate": "a subscriber gets a broadcast once",
    "dup.ghost_direct": "the end of an older connection does not make the newer one deaf",
    "dup.ghost_broadcast": "the same",
    "dup.ghost_cmd": "the same",
    "register.reserved.relay": "nobody can be called as the relay is",
    "register.number_id": "an agent id is a string",
    "register.array_id": "the same",
}
FRAME = re.compile(r"client\((.+)\)->relay WS")
REPLY = re.compile(r"relay->client\((.+)\) WS")


def groups():
    for name, members in itertools.groupby(VECTORS, lambda v: v["name"]):
        yield name, list(members)


def plain(frame):
    return {key: value for key, value in frame.items() if key not in ("id", "ts")}


async def registered(port, agent_id):
    status, _, body = await http(
        port, "POST", "/register", json.dumps({"agent_id": agent_id}).encode()
    )
    assert status == 200
    return json.loads(body)["token"]


async def replay(relay, backend, names, agents, changes):
    """Send what the clients of these groups sent; each named agent gets what it got then."""
    tokens = {}
    replayed = []
    present, leaving, gone = {}, {}, {}
    async with anyio.create_task_group() as tasks:

        async def be(agent, name, *, task_status):
            leaving[agent], gone[agent] = anyio.Event(), anyio.Event()
            async with raw_agent(relay.port, tokens[name], backend.transport) as present[agent]:
                task_status.started()
                await leaving[agent].wait()
            gone[agent].set()

        async def enter(agent):
            name = agent.partition("#")[0]
            if name not in tokens:
                tokens[name] = await registered(relay.port, name)
            await tasks.start(be, agent, name)
            welcome = await present[agent].next()
            assert (welcome["type"], welcome["from"], welcome["to"]) == ("welcome", "relay", [name])
            assert list(welcome) == ["id", "from", "to", "type", "payload", "ts"]
            assert welcome["payload"]["capabilities"] == ["broadcast", "direct", "subscribe"]
            assert welcome["payload"]["extensions"] == []

        async def leave(agent):
            del present[agent]
            leaving[agent].set()
            await gone[agent].wait()

        for agent in agents:
            await enter(agent)
        for name, members in groups():
            if not any(name.startswith(start) for start in names):
                continue
            for what, agent in changes.get(name, ()):
                await (enter if what == "enter" else leave)(agent)
            sent, expected = 0, {}
            for vector in members:
                raw = vector["raw"]
                if found := FRAME.fullmatch(vector["direction"]):
                    if raw is None or "chars>" in raw:
                        continue
                    data = bytes.fromhex(raw) if name == "binary_frame" else raw
                    present[found[1]].send(data)
                    sent += 1
                elif found := REPLY.fullmatch(vector["direction"]):
                    frames = expected.setdefault(found[1], [])
                    if raw is not None and raw.startswith("{"):
                        frames.append(json.loads(raw))
            if not sent:
                continue
            # The senders first: the relay has read their frames when they have got their answer.
            senders = [FRAME.fullmatch(v["direction"]) for v in members]
            order = dict.fromkeys([m[1] for m in senders if m] + list(present))
            got = {agent: await present[agent].drain() for agent in order if agent in present}
            if name in DIFFERENT:
                assert {a: [plain(f) for f in got[a]] for a in expected} != {
                    a: [plain(f) for f in frames] for a, frames in expected.items()
                }, f"{name} is as recorded"
            else:
                for agent, frames in expected.items():
                    assert [plain(f) for f in got[agent]] == [plain(f) for f in frames], name
                    assert [list(f) for f in got[agent]] == [list(f) for f in frames], name
            for frames in got.values():
                for frame in frames:
                    assert re.fullmatch(r"[\w-]{12}", frame["id"])
                    assert type(frame["ts"]) is int
            replayed.append(name)
        tasks.cancel_scope.cancel()
    return replayed


async def test_recorded_frames_are_answered_as_recorded(backend, open_relay):
    names = ["broadcast", "direct", "multi", "offline", "partial", "unknown", "ref", "extension"]
    names += ["payload", "binary", "to.", "error.", "ping.", "relay.", "list.", "sub", "unsub"]
    names += ["confirm", "disconnect", "reconnect", "dup."]
    changes = {
        "sub.wiped_when_target_leaves": [("leave", "alice-1")],
        "sub.not_restored_for_target": [("enter", "alice-1")],
        "sub.not_restored_for_subscriber": [("leave", "carol"), ("enter", "carol")],
        "dup.direct": [("enter", "dave#1"), ("enter", "dave#2")],
        "dup.ghost_direct": [("leave", "dave#1")],
    }
    async with open_relay() as relay:
        replayed = await replay(relay, backend, names, ["alice-1", "bob", "carol"], changes)
    assert len(replayed) > 65


async def test_recorded_questions_and_answers(backend, open_relay):
    alias = {"asker": "corr-asker", "answerer": "corr-answerer"}
    async with open_relay() as relay:
        tokens = {name: await registered(relay.port, full) for name, full in alias.items()}
        async with (
            raw_agent(relay.port, tokens["asker"], backend.transport) as asker,
            raw_agent(relay.port, tokens["answerer"], backend.transport) as answerer,
        ):
            present = {"asker": asker, "answerer": answerer}
            for agent in present.values():
                assert (await agent.next())["type"] == "welcome"
            ids = {}
            seen = 0
            for name, members in groups():
                if not name.startswith(("corr.", "spoof.type")) or name == "corr.drain":
                    continue
                expected = {"asker": [], "answerer": []}
                for vector in members:
                    raw = vector["raw"]
                    if found := FRAME.fullmatch(vector["direction"]):
                        for old, new in ids.items():
                            raw = raw.replace(old, new)
                        present[found[1]].send(raw)
                        sender = found[1]
                        continue
                    found = REPLY.fullmatch(vector["direction"])
                    if found and raw is not None:
                        expected[found[1]].append(json.loads(raw))
                order = dict.fromkeys([sender, *present])
                got = {agent: await present[agent].drain() for agent in order}
                for agent, frames in expected.items():
                    for ours, theirs in zip(got[agent], frames, strict=True):
                        ids[theirs["id"]] = ours["id"]
                        if theirs.get("ref") in ids:
                            theirs["ref"] = ids[theirs["ref"]]
                        assert plain(ours) == plain(theirs), name
                        seen += 1
    assert seen == 9


REGISTER = [
    (name, members)
    for name, members in groups()
    if name.startswith(("register.", "stats.initial"))
    and members[0]["direction"] == "client->relay HTTP"
    and name != "register.on_ws_port"
]


async def test_recorded_requests_are_answered_as_recorded(open_relay):
    seen = 0
    async with open_relay() as relay:
        for name, members in REGISTER:
            for asked, told in itertools.pairwise(members):
                if asked["direction"] != "client->relay HTTP" or told["raw"] is None:
                    continue
                head, _, body = asked["raw"].partition("\r\n\r\n")
                method, target, *_ = head.split("\r\n")[0].split(" ")
                kind = "".join(f"{line}\r\n" for line in head.split("\r\n")[1:])
                status, headers, content = await http(
                    relay.port, method, target, body.encode(), kind
                )
                if name in DIFFERENT:
                    assert status == 400
                    assert json.loads(content)["error"] == "invalid_agent_id"
                    continue
                wanted = told["decoded"]
                assert status == wanted["status"], name
                assert "access-control-allow-origin" not in headers  # no page has asked
                if wanted["json"] is None:
                    assert content.decode() == told["raw"], name
                    continue
                found = json.loads(content)
                assert list(found) == list(wanted["json"]), name
                if "error" in found:
                    assert found == wanted["json"], name
                if "token" in found:
                    assert re.fullmatch(r"tok_[\w-]{16}", found["token"])
                    if not wanted["json"]["agent_id"].startswith("agent-"):
                        assert found["agent_id"] == wanted["json"]["agent_id"]
                    else:
                        assert re.fullmatch(r"agent-[a-z0-9]{8}", found["agent_id"])
                seen += 1
    assert seen > 15


async def test_what_crashes_the_reference_gets_an_error(backend, open_relay):
    async with open_relay() as relay:
        status, _, body = await http(relay.port, "POST", "/register", b"null")
        assert (status, json.loads(body)["error"]) == (400, "invalid_json")
        for deep in (b"[" * 100_000, b'{"agent_id":' * 5000 + b"1" + b"}" * 5000):
            status, _, body = await http(relay.port, "POST", "/register", deep[:60_000])
            assert (status, json.loads(body)["error"]) == (400, "invalid_json")
        async with (
            raw_agent(relay.port, await registered(relay.port, "bad"), backend.transport) as bad,
            raw_agent(relay.port, await registered(relay.port, "good"), backend.transport) as good,
        ):
            await bad.next()
            await good.next()
            deep = '{"to":["good"],"payload":' + "[" * 5000 + "]" * 5000 + "}"
            for text in ("null", deep, deep.replace("5000", "x"), "[" * 200_000, "NaN", "1e400"):
                bad.send(text)
                told = await bad.next()
                assert told["type"] == "error", text[:30]
                assert told["payload"]["code"] == "invalid_message"
            for depth, passes in ((64, False), (63, True)):  # the object around it is one more
                bad.send('{"to":["good"],"payload":' + "[" * depth + "]" * depth + "}")
                told = await (good if passes else bad).next()
                assert told["from"] == ("bad" if passes else "relay")
            bad.send('{"to":["good"],"payload":[' + "0," * 140_000 + "0]}")
            assert (await bad.next())["payload"]["message"] == "More than 131072 values"
            bad.send('{"to":["good"],"payload":"' + "[,{:" * 140_000 + '"}')
            assert len((await good.next())["payload"]) == 4 * 140_000


CONNECT = ["no_token", "bad_token", "query_bad", "lowercase_bearer", "header_bad_query_ok"]


@pytest.mark.parametrize("name", CONNECT)
async def test_a_bad_token_is_told_by_the_close_code(backend, open_relay, name):
    from tests.behaviour.transport_harness import RecordingSink
    from vuer_trio._net.address import parse_address
    from vuer_trio._net.connect_options import ConnectOptions
    from vuer_trio._websocket.connect import dial

    (asked, told) = [v for v in VECTORS if v["name"] == f"connect.{name}"]
    wanted = re.fullmatch(r"close code=(\d+) reason='(.*)'", told["note"])
    async with open_relay() as relay:
        token = await registered(relay.port, "bob")
        header = re.search(r"'Authorization': '(.*)'", asked["note"])
        fields = [("Authorization", header[1])] if header else []
        target = asked["raw"].partition("/arc")[2]
        if name == "header_bad_query_ok":
            target = f"?token={token}"
        uri = f"ws://127.0.0.1:{relay.port}/arc{target}"
        sink = RecordingSink()
        async with anyio.create_task_group() as tasks:
            opened = await dial(
                sink.rt,
                ConnectOptions(
                    parse_address(uri),
                    transport=backend.transport,
                    max_size=1 << 20,
                    headers=fields,
                ),
                sink,
                tasks,
            )
            close_info = await sink.carry(opened)
            tasks.cancel_scope.cancel()
        assert (close_info.by, close_info.code, close_info.reason) == (
            "peer",
            int(wanted[1]),
            wanted[2],
        )
        assert sink.messages == []


async def test_what_is_no_way_in_is_answered_as_recorded(open_relay):
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\n{key}"
    found = {v["name"]: v for v in VECTORS if v["direction"] == "relay->client HTTP"}
    async with open_relay() as relay:
        for name, target, headers in (
            ("connect.wrong_path", "/", upgrade),
            ("connect.trailing_slash", "/arc/", upgrade),
            ("connect.plain_http_get", "/arc", ""),
        ):
            status, _, body = await http(relay.port, "GET", target, b"", headers)
            told = found[name]["decoded"] or {"status": int(found[name]["note"].split()[1])}
            assert (status, body.decode()) == (told["status"], found[name]["raw"]), name


async def test_recorded_statistics(backend, open_relay):
    told = next(
        v["decoded"]["json"] for v in VECTORS if v["name"] == "stats.with_subs" if v["decoded"]
    )
    agents = [name for name in told["registry"]["agents"] if isinstance(name, str)]
    agents.remove("relay")
    async with open_relay() as relay, AsyncExitStack() as stack:
        tokens = {name: await registered(relay.port, name) for name in agents}
        for name in told["relay"]["agents"]:
            agent = await stack.enter_async_context(
                raw_agent(relay.port, tokens[name], backend.transport)
            )
            await agent.next()
        count = told["relay"]["subscriptions"]
        names = [f"other-{n}" for n in range(count)]
        command = {"to": ["relay"], "type": "subscribe", "payload": {"agents": names}}
        agent.send(json.dumps(command))
        assert (await agent.next())["type"] == "subscribed"
        status, _, body = await http(relay.port, "GET", "/stats")
        ours = json.loads(body)
        assert status == 200
        assert ours["relay"] == told["relay"]
        assert [list(ours), list(ours["registry"])] == [list(told), list(told["registry"])]
        assert ours["registry"] == {"registered": len(agents), "agents": agents}


@pytest.mark.slow
@pytest.mark.no_cover
async def test_recorded_sizes_and_a_burst(open_relay, open_agent):
    sizes = {"size.64k": 1 << 16, "size.1m": 1 << 20, "size.20m": 20 << 20}
    burst = times(500, 3000)  # "rate.no_limit"
    async with (
        open_relay(max_message_size=100 << 20) as relay,
        open_agent(relay.url, agent_id="alice-1", rate_limit=None) as alice,
        open_agent(relay.url, agent_id="bob") as bob,
    ):
        for name, size in sizes.items():
            [told] = [v["note"] for v in VECTORS if v["name"] == name and "delivered" in v["note"]]
            assert size < int(told.partition("[")[2].rstrip("]")) < size + 200
            await alice.direct("bob", "x" * size)
            assert len((await bob.recv(timeout=60)).payload) == size
        async with anyio.create_task_group() as tasks:

            async def send():
                for n in range(burst):
                    await alice.broadcast(n)

            tasks.start_soon(send)
            got = [(await bob.recv(timeout=60)).payload for _ in range(burst)]
        assert got == list(range(burst))
        with pytest.raises(InboxEmpty):
            bob.recv_nowait()
