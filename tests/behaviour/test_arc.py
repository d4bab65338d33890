"""Agents at our relay, on every backend: what a program does with a connection."""

from __future__ import annotations

import logging
import socket
import sys
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from tests.behaviour.raw_agent import raw_agent
from tests.behaviour.scripted_relay import frame as relay_frame
from tests.behaviour.transport_harness import tls_contexts
from tests.repetitions import times
from tests.resource_counts import PATIENCE, Census
from tests.scripted_server import serve_peer
from vuer_trio import (
    Backoff,
    CallTimeout,
    ClientClosed,
    ConnectionClosed,
    ConnectionFailed,
    EncodeError,
    Fifo,
    InboxEmpty,
    Latest,
    RecvTimeout,
    VuerError,
)
from vuer_trio._websocket.transport import Text
from vuer_trio.arc import (
    AgentIdTaken,
    ARCClient,
    ARCMessage,
    AuthenticationError,
    Filter,
    InvalidAgentId,
    RateLimit,
    RateLimited,
    RegistrationError,
    serve_arc_relay,
)
from vuer_trio.testing import lagging

pytestmark = pytest.mark.anyio

SOON = Backoff(initial=0.01, maximum=0.05)


@pytest.fixture(autouse=True)
def a_plain_environment(monkeypatch):
    for name in ("ARC_TOKEN", "ARC_RELAY_URL"):
        monkeypatch.delenv(name, raising=False)


async def eventually(condition):
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.001)


# ---- registering


async def test_the_manual_form(open_relay, open_agent):
    before = Census.take()
    async with open_relay() as relay:
        client = open_agent(relay.url)
        with pytest.raises(ClientClosed, match="Not connected"):
            await client.broadcast("x")
        assert await client.register("python-agent") == {
            "agent_id": "python-agent",
            "token": client.token,
        }
        await client.connect()
        assert client.connected
        assert client.relay_info["capabilities"] == ["broadcast", "direct", "subscribe"]
        await client.direct("python-agent", "to myself")
        assert (await client.recv(timeout=60)).payload == "to myself"
        await client.close()
        with pytest.raises(ClientClosed):
            await client.recv()
        with pytest.raises(ClientClosed):
            await client.broadcast("x")
        await client.connect()  # the token is good for another time
        assert relay.stats()["relay"] == {
            "connected": 1,
            "agents": ["python-agent"],
            "subscriptions": 0,
        }
        assert await client.stats() == relay.stats()
        await client.close()
    await before.assert_nothing_left(PATIENCE)


async def test_the_relay_chooses_an_id(open_relay, open_agent):
    async with open_relay() as relay, open_agent(relay.url) as client:
        assert client.agent_id.startswith("agent-")
        assert relay.switch.agents == [client.agent_id]
        assert repr(client) == f"<ARCClient {client.agent_id} at {client.uri} open>"


async def test_faults_of_registering(open_relay, open_agent):
    async with open_relay() as relay:
        async with open_agent(relay.url, agent_id="alice"):
            with pytest.raises(AgentIdTaken, match="'alice' is taken") as taken:
                await open_agent(relay.url).register("alice")
            assert (taken.value.status, taken.value.code) == (400, "agent_id_taken")
            with pytest.raises(AgentIdTaken):
                async with open_agent(relay.url, agent_id="alice"):
                    pass
        for name in ("Alice", "a", "relay"):
            with pytest.raises(InvalidAgentId):
                await open_agent(relay.url).register(name)
        with pytest.raises(RegistrationError, match="register_url=") as odd:
            await open_agent(relay.url, register_url=f"{relay.url}/elsewhere").register()
        assert (odd.value.status, odd.value.code) == (404, "")
        url = relay.url
    assert issubclass(RegistrationError, VuerError)
    with pytest.raises(ConnectionFailed, match="is an ARC relay running there"):
        await open_agent(url).register()
    with pytest.raises(ConnectionFailed, match="is an ARC relay running there"):
        await open_agent(url, token="tok_1").connect()
    with pytest.raises(ConnectionFailed):
        await open_agent(url).connect()


async def test_a_relay_may_want_fewer_registrations(open_relay, open_agent):
    async with open_relay(register_limit=RateLimit(1, per=50)) as relay:
        await open_agent(relay.url).register()
        with pytest.raises(RateLimited) as few:
            await open_agent(relay.url).register()
        assert few.value.status == 429
        assert 49 <= few.value.retry_after <= 50


async def test_registering_needs_an_extra(open_relay, open_agent, monkeypatch):
    async with open_relay() as relay:
        token = (await open_agent(relay.url).register("alice"))["token"]
        monkeypatch.setitem(sys.modules, "httpx2", None)
        with pytest.raises(ImportError, match=r"vuer-trio\[arc\]"):
            await open_agent(relay.url).register()
        with pytest.raises(ImportError, match=r"vuer-trio\[arc\]"):
            await open_agent(relay.url).connect()
        async with open_agent(relay.url, token=token) as client:
            assert client.agent_id == "alice"


async def test_a_relay_may_speak_tls(open_relay, open_agent):
    server, trusting = tls_contexts()
    async with open_relay("localhost", ssl_context=server) as relay:
        assert relay.url.startswith("https://localhost:")
        async with open_agent(relay.url, ssl_context=trusting) as client:
            assert client.uri.startswith("wss://")
            await client.direct(client.agent_id, "x" * 100_000)
            assert len((await client.recv(timeout=60)).payload) == 100_000
        async with open_agent(relay.url, ssl_verify=False) as client:
            assert client.connected
        with pytest.raises(ConnectionFailed):
            await open_agent(relay.url).register()


async def test_the_environment(open_relay, open_agent, monkeypatch):
    async with open_relay() as relay:
        monkeypatch.setenv("ARC_RELAY_URL", relay.url)
        async with open_agent(agent_id="alice") as alice:
            token = alice.token
        monkeypatch.setenv("ARC_TOKEN", token)
        async with open_agent() as again:
            assert (again.agent_id, again.token) == ("alice", token)
        other = (await open_agent().register())["token"]
        async with open_agent(token=other) as argument:
            assert argument.agent_id != "alice"


@pytest.mark.parametrize("form", ["http://{}", "ws://{}", "{}", "http://{}/", "ws://{}/arc"])
async def test_forms_of_a_url(open_relay, open_agent, form):
    async with open_relay() as relay:
        async with open_agent(form.format(f"127.0.0.1:{relay.port}")) as client:
            assert client.uri == f"ws://127.0.0.1:{relay.port}/arc"


# ---- tokens


async def test_a_bad_token_is_told_when_opening(open_relay, open_agent):
    async with open_relay() as relay:
        with pytest.raises(AuthenticationError, match="does not accept the token") as bad:
            async with open_agent(relay.url, token="tok_bad", reconnect=SOON):
                pass
        assert isinstance(bad.value, ConnectionFailed)
        assert "tok_bad" not in str(bad.value)


async def test_a_revoked_token_ends_the_connection_for_good(open_relay, open_agent):
    for reconnect in (None, SOON):
        async with (
            open_relay() as relay,
            open_agent(relay.url, agent_id="alice", reconnect=reconnect) as client,
        ):
            assert relay.revoke("alice")
            assert not relay.revoke("alice")
            with anyio.fail_after(60):
                with pytest.raises(AuthenticationError, match="register"):
                    await client.recv()
                with pytest.raises(AuthenticationError):
                    await client.broadcast("x")
                with pytest.raises(AuthenticationError):
                    await client.listen()
            assert client.close_code == 4001


async def test_reregistering_gets_a_new_token_for_the_same_id(open_relay, open_agent):
    async with (
        open_relay() as relay,
        open_agent(relay.url, agent_id="alice", reconnect=SOON, reregister=True) as alice,
    ):
        await alice.subscribe(["bob"])
        first = alice.token
        relay.revoke("alice")
        await eventually(lambda: alice.generation == 2)
        assert alice.agent_id == "alice"
        assert alice.token != first
        assert await alice.list_subscriptions() == ["bob"]
        relay.revoke("alice")
        await eventually(lambda: alice.generation == 3)
        await alice.close()
        relay.revoke("alice")
        await alice.connect()  # the first dial does it, too
        assert relay.switch.agents == ["alice"]


# ---- sending and receiving


async def test_who_gets_what(open_relay, open_agent):
    async with (
        open_relay() as relay,
        open_agent(relay.url, agent_id="alice") as alice,
        open_agent(relay.url, agent_id="bob") as bob,
        open_agent(relay.url, agent_id="carol") as carol,
    ):
        await alice.broadcast({"n": [1, 2.5, None, True, "é\ud83d"]}, "data")
        for other in (bob, carol):
            message = await other.recv(timeout=60)
            assert isinstance(message, ARCMessage)
            assert message.payload == {"n": [1, 2.5, None, True, "é\ud83d"]}
            assert (message.sender, message.to, message.type) == ("alice", ["*"], "data")
            assert (message["from"], message.get("type", "?")) == ("alice", "data")
            assert message.ref is None
            assert message.get("ref", "none") == "none"
            assert type(message.ts) is int
        await alice.direct("bob", "psst")
        message = await bob.recv(timeout=60)
        await bob.reply(message, "what?")
        answer = await alice.recv(timeout=60)
        assert (answer.payload, answer.type, answer.ref) == ("what?", "answer", message.id)
        await alice.send(["bob", "carol", "nobody"], None, "custom", ref="r-1", priority="high")
        for other in (bob, carol):
            message = await other.recv(timeout=60)
            assert (message.type, message.ref, message.payload) == ("custom", "r-1", None)
        with pytest.raises(InboxEmpty):
            carol.recv_nowait()
        with pytest.raises(RecvTimeout):
            await alice.recv(timeout=0.01)


async def test_the_types_of_messages(open_relay, open_agent):
    types = ["thought", "question", "data", "discovery", "proposal", "query", "alert", "sync"]
    async with (
        open_relay() as relay,
        open_agent(relay.url, agent_id="alice") as alice,
        open_agent(relay.url, agent_id="bob") as bob,
    ):
        for kind in types:
            await getattr(alice, kind)(kind.upper())
            await getattr(alice, kind)(kind.upper(), to=["bob"], ref="x")
            for ref in (None, "x"):
                message = await bob.recv(timeout=60)
                assert (message.type, message.payload, message.ref) == (kind, kind.upper(), ref)
        await bob.vote(message := ARCMessage({"from": "alice", "id": "7"}), True)
        await bob.answer(message, "yes")
        for kind, payload in (("vote", True), ("answer", "yes")):
            got = await alice.recv(timeout=60)
            assert (got.type, got.payload, got.ref) == (kind, payload, "7")
        with pytest.raises(ValueError, match="no sender"):
            await bob.reply(ARCMessage({}), "x")


@pytest.mark.parametrize(
    ("to", "payload", "fields", "error"),
    [
        ("bob", 1, {}, TypeError),
        ([], 1, {}, ValueError),
        ([1], 1, {}, TypeError),
        (7, 1, {}, TypeError),
        (["bob"], {1, 2}, {}, EncodeError),
        (["bob"], float("nan"), {}, EncodeError),
        (["bob"], b"bytes", {}, EncodeError),
        (["bob"], 1, {"message_type": 7}, TypeError),
        (["bob"], 1, {"ref": 7}, TypeError),
        (["bob"], 1, {"id": "mine"}, TypeError),
        (["bob"], 1, {"ts": 5}, TypeError),
        (["bob"], 1, {"type": "data"}, TypeError),
        (["bob"], "x" * 2000, {}, EncodeError),
    ],
)
async def test_what_can_not_be_sent(open_relay, open_agent, to, payload, fields, error):
    async with (
        open_relay(max_message_size=1000) as relay,
        open_agent(relay.url, agent_id="bob") as client,
    ):
        with pytest.raises(error):
            await client.send(to, payload, **fields)
        await client.direct("bob", "still there")
        assert (await client.recv(timeout=60)).payload == "still there"


async def test_a_payload_too_deep_for_json_is_the_callers_error(open_relay, open_agent):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    async with open_relay() as relay, open_agent(relay.url) as client:
        with pytest.raises(EncodeError, match="nested"):
            await client.broadcast(deep)
    while deep:
        deep = deep[0]


async def test_large_messages_arrive(open_relay, open_agent):
    async with (
        open_relay(max_message_size=100 << 20) as relay,
        open_agent(relay.url, agent_id="alice") as alice,
        open_agent(relay.url, agent_id="bob") as bob,
    ):
        large = "xé" * 1_500_000
        await alice.direct("bob", large)
        with anyio.fail_after(60):
            assert (await bob.recv()).payload == large


async def test_iteration_ends_with_the_relay(open_relay, open_agent):
    async with open_relay() as relay:
        alice, bob = open_agent(relay.url), open_agent(relay.url)
        await alice.connect()
        await bob.connect()
        await alice.broadcast(1)
        await alice.broadcast(2)
        assert (await bob.recv(timeout=60)).payload == 1
        await alice.flush(timeout=60)  # the relay has read the second
    assert [message.payload async for message in bob] == [2]
    with pytest.raises(ConnectionClosed) as closed:
        await bob.recv()
    assert closed.value.code == 1001
    await alice.listen()  # returns
    for client in (alice, bob):
        await client.close()


# ---- subscriptions


async def test_subscriptions_are_confirmed(open_relay, open_agent):
    async with (
        open_relay() as relay,
        open_agent(relay.url, agent_id="alice") as alice,
        open_agent(relay.url, agent_id="bob") as bob,
    ):
        await bob.subscribe(["alice", "carol"])
        assert await bob.list_subscriptions() == ["alice", "carol"]
        assert relay.switch.subscriptions == 2
        await alice.broadcast("once")
        await bob.unsubscribe(["carol"])
        assert await bob.list_subscriptions() == ["alice"]
        assert (await bob.recv(timeout=60)).payload == "once"
        with pytest.raises(InboxEmpty):
            bob.recv_nowait()
        async with anyio.create_task_group() as tasks:
            for n in range(20):
                tasks.start_soon(bob.subscribe, [f"other-{n}"])
                tasks.start_soon(bob.list_subscriptions)
        assert sorted(await bob.list_subscriptions()) == sorted(
            ["alice", *(f"other-{n}" for n in range(20))]
        )
        for names, error in (("alice", TypeError), ([], ValueError), ([1], TypeError)):
            with pytest.raises(error):
                await bob.subscribe(names)


async def test_an_agent_subscribed_to_itself_hears_itself(open_relay, open_agent):
    async with open_relay() as relay, open_agent(relay.url, agent_id="alice") as alice:
        assert await alice.ask("anybody?", timeout=0.05) is None  # hears its echo, in secret
        assert await alice.list_subscriptions() == []
        await alice.broadcast("not heard")
        await alice.subscribe(["alice"])
        assert await alice.list_subscriptions() == ["alice"]
        await alice.broadcast("heard")
        assert (await alice.recv(timeout=60)).payload == "heard"
        await alice.unsubscribe(["alice"])
        await alice.broadcast("not heard")
        assert await alice.list_subscriptions() == []
        with pytest.raises(InboxEmpty):
            alice.recv_nowait()
        assert relay.switch.subscriptions == 0
        assert await alice.ask("anybody?", timeout=0.05) is None  # subscribes anew
        assert await alice.list_subscriptions() == []
        assert relay.switch.subscriptions == 1


# ---- questions


@pytest.fixture
def answering():
    """Answers questions ``how`` one pleases, until the block ends."""

    async def run(agent, how=lambda agent, message: agent.reply(message, message.payload * 2)):
        async def handler(message):
            if message.type == "question":
                await how(agent, message)

        await agent.listen(handler)

    return run


async def test_ten_questions_at_once_get_their_own_answers(open_relay, open_agent, answering):
    async with (
        open_relay() as relay,
        open_agent(relay.url, agent_id="alice") as alice,
        open_agent(relay.url, agent_id="bob") as bob,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(answering, bob)
        for to in (["*"], ["bob"]):
            answers = {}

            async def ask(n, to=to, answers=answers):
                answers[n] = await alice.ask(n, to, timeout=60)

            async with anyio.create_task_group() as asking:
                for n in range(10):
                    asking.start_soon(ask, n)
            assert answers == {n: 2 * n for n in range(10)}
        assert len(alice._there.dispatcher.asks) == 0
        with pytest.raises(InboxEmpty):
            alice.recv_nowait()
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("name", ["ref", "payload", "type", "from", "id"])
async def test_a_question_is_what_it_is(open_relay, open_agent, name):
    """No further field takes the place of one that makes it a question."""
    async with open_relay() as relay, open_agent(relay.url) as client:
        for ask in (client.ask, client.ask_all):
            with pytest.raises(TypeError, match=f"{name}="):
                await ask("?", timeout=60, **{name: "x"})
        assert len(client._there.dispatcher.asks) == 0


async def test_an_answer_may_name_the_ref_of_the_question(open_relay, open_agent, answering):
    def copies_ref(agent, message):
        return agent.send([message.sender], "by ref", "answer", ref=message.ref)

    async with (
        open_relay() as relay,
        open_agent(relay.url) as alice,
        open_agent(relay.url) as bob,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(answering, bob, copies_ref)
        assert await alice.ask("?", timeout=60) == "by ref"
        assert await alice.ask("?", to=[bob.agent_id], timeout=60) == "by ref"
        tasks.cancel_scope.cancel()


async def test_a_question_eats_nothing_else(open_relay, open_agent, answering):
    async def sinks(agent, message):
        await agent.broadcast("other traffic")
        await agent.send([message.sender], "an unrelated answer", "answer", ref="something")
        await agent.send([message.sender], "thinking", "thought", ref=message.id)
        await agent.reply(message, "the answer")
        await agent.reply(message, "one more")

    async with (
        open_relay() as relay,
        open_agent(relay.url) as alice,
        open_agent(relay.url) as bob,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(answering, bob, sinks)
        assert await alice.ask("?", timeout=60) == "the answer"
        got = [(await alice.recv(timeout=60)).payload for _ in range(4)]
        assert got == ["other traffic", "an unrelated answer", "thinking", "one more"]
        assert await alice.ask("?", timeout=60, answer_type="thought") == "thinking"
        assert await alice.ask("?", timeout=60, answer_type=None) == "thinking"
        tasks.cancel_scope.cancel()


async def test_a_question_is_answered_behind_a_full_inbox(open_relay, open_agent, answering):
    async with (
        open_relay() as relay,
        open_agent(relay.url, inbox=Fifo(2)) as alice,
        open_agent(relay.url) as bob,
        anyio.create_task_group() as tasks,
    ):
        for n in range(10):  # it was chosen, so it keeps all
            await bob.broadcast(n)
        tasks.start_soon(answering, bob)
        assert await alice.ask(1, timeout=60) == 2
        await alice.subscribe(["bob"])
        assert [(await alice.recv(timeout=60)).payload for _ in range(10)] == list(range(10))
        tasks.cancel_scope.cancel()


@pytest.mark.slow
@pytest.mark.no_cover
async def test_an_agent_that_never_receives_goes_on_and_one_that_does_loses_nothing(
    open_relay, open_agent, caplog
):
    count = times(1500, 3000)
    async with (
        open_relay() as relay,
        open_agent(relay.url, agent_id="talker", rate_limit=None) as talker,
        open_agent(relay.url, agent_id="deaf") as deaf,
        open_agent(relay.url, agent_id="listener") as listener,
    ):
        got = []

        async def listens():
            while len(got) < count:
                got.append((await listener.recv()).payload)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                # From the start: an inbox that was full for a second would keep the newest, too.
                tasks.start_soon(listens)
                for n in range(count):
                    await talker.direct("deaf", n)
                for n in range(count):
                    await talker.direct("listener", n)
            assert got == list(range(count))
            while deaf._there.connection.inbox.dropped < count - 1024:
                await anyio.sleep(0.05)
            first = await deaf.recv()
            assert first.payload == first.dropped_before == count - 1024
    assert caplog.text.count("keeps the newest 1024") == 1


@pytest.mark.slow
async def test_all_answers(open_relay, open_agent, answering):
    async with (
        open_relay() as relay,
        open_agent(relay.url, agent_id="alice") as alice,
        open_agent(relay.url, agent_id="bob") as bob,
        open_agent(relay.url, agent_id="carol") as carol,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(answering, bob)
        tasks.start_soon(answering, carol)
        with anyio.fail_after(30):
            answers = await alice.ask_all(2, ["bob", "carol"], timeout=60)
            assert sorted(answer.sender for answer in answers) == ["bob", "carol"]
            answers = await alice.ask_all(2, timeout=60, limit=2)
            assert [answer.payload for answer in answers] == [4, 4]
        answers = await alice.ask_all(2, timeout=1.5)
        assert len(answers) == 2
        assert await alice.ask_all(2, ["nobody"], timeout=0.05) == []
        tasks.cancel_scope.cancel()


async def test_a_cancelled_question_leaves_nothing_behind(open_relay, open_agent):
    async with (
        open_relay() as relay,
        open_agent(relay.url, agent_id="alice") as alice,
        open_agent(relay.url, agent_id="bob") as bob,
    ):
        before = Census.take()
        for to in (["*"], ["bob"]):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(alice.ask, "?", to, timeout=60))
                question = await bob.recv(timeout=60)
                tasks.cancel_scope.cancel()
            assert len(alice._there.dispatcher.asks) == 0
            assert not alice._there.connection.inbox.ignores_count
            await bob.reply(question, "late")
            late = await alice.recv(timeout=60)  # a message like any other
            assert (late.payload, late.type) == ("late", "answer")
        await before.assert_nothing_left(PATIENCE)


@pytest.mark.slow
async def test_a_question_that_is_cancelled_before_its_echo_comes(open_relay, open_agent):
    async with open_relay() as relay, open_agent(relay.url, agent_id="bob") as bob:
        with lagging(0.2, seed=1):
            alice = await open_agent(relay.url, agent_id="alice").connect()
        for n in range(3):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(alice.ask, n, ["bob"])
                assert (await bob.recv(timeout=60)).payload == n
                tasks.cancel_scope.cancel()
        await bob.send(["alice"], "later")
        assert (await alice.recv(timeout=60)).payload == "later"
        await alice.close()


async def test_a_question_ends_with_the_connection(open_relay, open_agent):
    async with open_relay() as relay, open_agent(relay.url, agent_id="alice") as alice:
        errors = []

        async def ask():
            with pytest.raises(AuthenticationError) as error:
                await alice.ask("?", timeout=60)
            errors.append(error.value)

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(ask)
                await eventually(lambda: len(alice._there.dispatcher.asks) == 3)
                await alice.flush()  # what is not sent would be told when leaving
                relay.revoke("alice")
        assert len({id(error) for error in errors}) == 3


# ---- listening


async def test_handlers_may_be_sync_or_async_and_may_raise(open_relay, open_agent, caplog):
    seen = []

    def sync_handler(message):
        seen.append(message.payload)
        if message.payload == 1:
            raise RuntimeError("a handler's own fault")

    async def async_handler(message):
        await anyio.lowlevel.checkpoint()
        sync_handler(message)

    async with open_relay() as relay, open_agent(relay.url) as alice:
        for handler in (sync_handler, async_handler):
            async with open_agent(relay.url) as bob:
                for n in range(3):
                    await alice.broadcast(n)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(bob.listen, handler)
                    await eventually(lambda: len(seen) == 3)
                    tasks.cancel_scope.cancel()
            assert seen == [0, 1, 2]
            seen.clear()
    assert [r.exc_info[1].args for r in caplog.records if r.exc_info] == [
        ("a handler's own fault",)
    ] * 2


async def test_listening_without_a_handler_prints(open_relay, open_agent, capsys):
    async with (
        open_relay() as relay,
        open_agent(relay.url, agent_id="alice") as alice,
        open_agent(relay.url, agent_id="bob") as bob,
    ):
        await alice.broadcast("Hello network!")
        await alice.send(["bob", "carol"], "half a pair: \ud83d")
        for agent in (alice, bob):
            await agent.flush(timeout=60)  # the relay has passed all on, and bob has read it
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bob.listen)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert capsys.readouterr().out == (
        "[alice] → [*]: Hello network!\n[alice] → [bob, carol]: half a pair: \\ud83d\n"
    )


async def test_filters(open_relay, open_agent, caplog):
    def odd(message):
        return message.payload % 2  # fails for what is no number

    wanted = Filter(sender=["alice", "carol"], type="data", predicate=odd)
    async with (
        open_relay() as relay,
        open_agent(relay.url, agent_id="alice") as alice,
        open_agent(relay.url, agent_id="dave") as dave,
        open_agent(relay.url, filter=wanted) as bob,
        open_agent(relay.url) as carol,
    ):
        await dave.data(1)
        await eventually(lambda: bob.filtered == 1)  # only what one agent sends has an order
        for n in (1, 2, 3, None, 5):
            await alice.data(n)
        await alice.thought(1)
        got = [(await bob.recv(timeout=60)).payload for _ in range(4)]
        assert got == [1, 3, None, 5]  # what a filter fails for is let in
        await eventually(lambda: bob.filtered == 3)
        seen = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                lambda: carol.listen(
                    lambda m: seen.append(m.payload), filter=Filter(type="thought")
                )
            )
            await eventually(lambda: seen == [1])
            tasks.cancel_scope.cancel()
        await dave.send([carol.agent_id], "no number")
        await dave.send([carol.agent_id], 3)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: carol.listen(lambda m: seen.append(m.payload), filter=odd))
            await eventually(lambda: seen == [1, 3])
            tasks.cancel_scope.cancel()
    assert caplog.text.count("the message is let through") == 1
    assert "not all arguments converted" in caplog.text  # what a filter fails for is logged


# ---- limits


async def test_a_relay_closes_who_sends_too_much(open_relay, open_agent):
    async with open_relay(rate_limit=RateLimit(5, per=60)) as relay:
        async with open_agent(relay.url, agent_id="alice") as alice:
            for n in range(6):
                await alice.direct("alice", n)
            got = []
            with pytest.raises(RateLimited, match="Rate limit exceeded"):
                while True:
                    got.append((await alice.recv(timeout=60)).payload)
            assert got == list(range(len(got)))
            assert len(got) <= 5
            assert alice.close_code == 4029


async def test_a_relay_closes_who_sends_too_large(open_relay, open_agent):
    async with open_relay(max_message_size=1000) as relay, open_agent(relay.url) as alice:
        alice.relay_info.clear()  # so that it does not know
        await alice.broadcast("x" * 2000)
        with pytest.raises(ConnectionClosed) as closed:
            await alice.recv(timeout=60)
        assert closed.value.code == 1009


async def test_a_relay_closes_who_reads_too_slowly(open_relay, open_agent, caplog):
    async with (
        open_relay(outbox=Fifo(20), close_timeout=0.2) as relay,
        open_agent(relay.url, inbox=Fifo(1), heartbeat=60) as slow,
        open_agent(relay.url, rate_limit=None) as fast,
    ):
        with pytest.raises(InboxEmpty):
            slow.recv_nowait()
        with anyio.fail_after(120):
            while slow.agent_id in relay.switch.agents:
                await fast.direct(slow.agent_id, "x" * 200_000)
                await anyio.lowlevel.checkpoint()
        assert "reads too slowly" in caplog.text
        await fast.direct(fast.agent_id, "the others go on")
        await fast.flush(timeout=120)
        assert (await fast.recv(timeout=120)).payload == "the others go on"


@pytest.mark.slow
async def test_a_relay_bounds_subscriptions(open_relay, open_agent):
    async with open_relay() as relay, open_agent(relay.url, reply_timeout=2) as client:
        await client.subscribe([str(n) for n in range(10_000)])
        with pytest.raises(CallTimeout, match="too_many_subscriptions"):
            await client.subscribe(["one more"])
        await client.subscribe(["5"])
        assert len(await client.list_subscriptions()) == 10_000


async def test_who_names_an_agent_again_and_again_does_not_drown_it(open_relay, open_agent):
    async with (
        open_relay(outbox=Fifo(100)) as relay,
        open_agent(relay.url, agent_id="alice") as alice,
        open_agent(relay.url, agent_id="bob") as bob,
    ):
        await alice.send(["bob"] * 100_000, "all at once")
        await alice.direct("bob", "after that")
        assert (await bob.recv(timeout=60)).payload == "all at once"
        assert (await bob.recv(timeout=60)).payload == "after that"


async def test_what_a_relay_keeps_of_a_subscription_is_small(open_relay, open_agent):
    async with open_relay() as relay, open_agent(relay.url) as client:
        longest = "a" * 64  # of an agent id
        await client.subscribe([longest, "a" * 65, "x" * 1_000_000])
        assert await client.list_subscriptions() == [longest]
        assert relay.switch.subscriptions == 1


async def test_a_full_relay_says_so(open_relay, open_agent):
    async with open_relay(max_agents=1) as relay, open_agent(relay.url) as first:
        with pytest.raises(RegistrationError) as full:
            await open_agent(relay.url).register()
        assert full.value.status == 503
        with pytest.raises(ConnectionFailed) as full:
            await open_agent(relay.url, token=first.token).connect()
        assert full.value.status == 503


# ---- losing and coming back


async def test_a_relay_that_restarts_is_joined_again(open_relay, open_agent):
    port = 0
    async with open_relay() as relay:
        port = relay.port
        alice = open_agent(relay.url, agent_id="alice", reconnect=SOON, reregister=True)
        other = open_agent(relay.url, agent_id="other", reconnect=SOON)
        await alice.connect()
        await other.connect()
        await alice.subscribe(["bob"])
        first = alice.token
    async with open_relay(port) as relay:
        await eventually(lambda: alice.generation == 2)
        assert alice.token != first  # a relay forgets its tokens
        assert await alice.list_subscriptions() == ["bob"]
        async with open_agent(relay.url, agent_id="bob") as bob:
            await bob.direct("alice", "welcome back")
        assert (await alice.recv(timeout=60)).payload == "welcome back"
        with (
            pytest.raises(ConnectionFailed, match="does not accept the token"),
            anyio.fail_after(60),
        ):
            await other.recv()
        await alice.close()
        await other.close()


async def test_the_end_of_an_older_connection_leaves_the_newer_alone(open_relay, open_agent):
    async with open_relay() as relay, open_agent(relay.url, agent_id="alice") as first:
        async with open_agent(relay.url, token=first.token) as second:
            await first.broadcast("still sends")
            await first.close()
            await eventually(lambda: len(relay.switch._seats["alice"]) == 1)
            await second.subscribe(["alice"])
            await second.direct("alice", "hears")
            assert (await second.recv(timeout=60)).payload == "hears"
        await eventually(lambda: relay.switch.agents == [])


async def test_the_end_of_a_newer_connection_gives_its_place_back(open_relay, open_agent):
    async with open_relay() as relay, open_agent(relay.url, agent_id="alice") as first:
        async with open_agent(relay.url, token=first.token) as second:
            await first.direct("alice", "for the newest")
            assert (await second.recv(timeout=60)).payload == "for the newest"
        await eventually(lambda: len(relay.switch._seats["alice"]) == 1)
        await first.subscribe(["bob"])  # which is answered, too
        await first.direct("alice", "for who is left")
        assert (await first.recv(timeout=60)).payload == "for who is left"


async def test_subscriptions_end_with_either_side(open_relay, open_agent):
    async with open_relay() as relay, open_agent(relay.url, agent_id="alice") as alice:
        async with open_agent(relay.url, agent_id="bob") as bob:
            await alice.subscribe(["bob", "carol"])
            await bob.subscribe(["alice"])
            assert relay.switch.subscriptions == 3
        await eventually(lambda: relay.switch.agents == ["alice"])
        assert await alice.list_subscriptions() == ["carol"]
        assert relay.switch.subscriptions == 1
        assert relay.switch._subscribers.keys() == {"carol"}


async def test_a_connection_in_a_nursery(open_relay, open_agent):
    async with open_relay() as relay:
        async with anyio.create_task_group() as tasks:
            client = await tasks.start(_run, open_agent(relay.url))
            await client.direct(client.agent_id, 1)
            assert (await client.recv(timeout=60)).payload == 1
            await client.close()


async def _run(client, *, task_status):
    await client.run(task_status=task_status)


async def test_no_log_shows_a_token_or_a_payload(open_relay, open_agent, caplog):
    caplog.set_level(logging.INFO)
    secret = "s3cret-payl0ad"
    tokens = []
    async with open_relay(rate_limit=RateLimit(8, per=60)) as relay:
        alice = open_agent(
            relay.url,
            agent_id="alice",
            reconnect=SOON,
            reregister=True,
            rate_limit=RateLimit(2, 0.05),
        )
        async with alice, open_agent(relay.url, agent_id="bob") as bob:
            tokens += [alice.token, bob.token]
            for _ in range(3):
                await alice.broadcast(secret)
                await bob.recv(timeout=60)
            await bob.send(["relay"], secret, secret)
            assert await alice.ask(secret, timeout=0.05) is None
            relay.revoke("alice")
            await eventually(lambda: alice.generation == 2)
            tokens.append(alice.token)
            with pytest.raises(AuthenticationError):
                await open_agent(relay.url, token="tok_wr0ng").connect()
            async with raw_agent(relay.port, bob.token) as raw:  # in the query
                await raw.next()
                for frame in (f'{{"to":7,"payload":"{secret}"}}', f"{secret}", b"\xff"):
                    raw.send(frame)
                    assert (await raw.next())["type"] == "error"
            await bob.aclose()
            with pytest.raises(ClientClosed):
                await bob.direct("alice", secret)
    assert "dialling again" in caplog.text
    for word in (*tokens, secret, "tok_wr0ng"):
        assert word not in caplog.text


async def test_no_log_shows_what_a_strange_relay_sends(open_agent, caplog):
    """Nor the token, where it has to be in the query."""
    caplog.set_level(logging.INFO)
    secret = "s3cret-payl0ad"

    async def script(conn):
        request = await conn.wait_request()
        await conn.accept()
        if "token=" not in request.path:
            await conn.close(4001, "Missing token")
            return
        junk = [f"[{secret!r}]", f'{{"{secret}', f'{{"type":"error","error":"{secret}"}}']
        junk += [relay_frame("relay", ["me"], {"code": f"{secret} x"}, type="error")]
        junk += [relay_frame("relay", ["me"], secret, type=secret)]
        for text in (*junk, relay_frame("a", ["me"], secret)):
            await conn.send_text(text)
        await conn.recv()
        await conn.abort()

    def handler(message):
        tasks.cancel_scope.cancel()
        raise RuntimeError("of the handler")

    async with serve_peer(script) as peer:
        async with open_agent(peer.uri, token="tok_in_the_query", reconnect=SOON) as client:
            for generation in (1, 2):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.listen, handler)
                await client.broadcast(secret)
                await eventually(lambda: client.generation == generation + 1)  # noqa: B023
    for said in ("of the handler", "reports an error", "invalid JSON", "dialling again"):
        assert said in caplog.text
    for word in (secret, "tok_in_the_query"):
        assert word not in caplog.text


def test_options_that_can_not_be():
    for options, error in (
        ({"relay_url": 7}, TypeError),
        ({"relay_url": "ftp://x"}, ValueError),
        ({"relay_url": "http://user:pw@x"}, ValueError),
        ({"relay_url": "http://x?token=tok"}, ValueError),
        ({"register_url": "x:1"}, ValueError),
        ({"token": 7}, TypeError),
        ({"token": "a b"}, ValueError),
        ({"agent_id": 7}, TypeError),
        ({"rate_limit": 100}, TypeError),
        ({"reply_timeout": 0}, ValueError),
        ({"welcome_timeout": "2"}, TypeError),
        ({"filter": 1}, TypeError),
        ({"reregister": 1}, TypeError),
        ({"outbox": Latest()}, ValueError),
        ({"welcome_timeout": float("inf")}, ValueError),
        ({"reconnect": "yes"}, TypeError),
        ({"heartbeat": 0}, ValueError),
    ):
        with pytest.raises(error) as raised:
            ARCClient(**options)
        assert "pw" not in str(raised.value)
    for values, wrong in (
        ((0,), "count must be an int of at least 1, got 0"),
        ((1, 0), "per must be "),
        ((1, float("inf")), "per must be "),
        ((1.5,), "count must be an int of at least 1, got 1.5"),
    ):
        with pytest.raises(ValueError, match=wrong):
            RateLimit(*values)


async def test_a_command_that_is_not_answered(open_relay, open_agent):
    async with open_relay() as relay, open_agent(relay.url, reply_timeout=0.05) as client:
        there = client._there
        with pytest.raises(CallTimeout, match="has not answered list_subscriptions"):
            relay.switch._tell = lambda *args: None  # as one that says nothing
            await client.list_subscriptions()
        assert len(there.dispatcher.commands) == 0


# ---- the relay


async def test_text_that_is_not_utf_8_ends_its_connection_alone(open_relay, open_agent):
    async with open_relay() as relay, open_agent(relay.url) as other:
        token = (await open_agent(relay.url).register("odd-one"))["token"]
        async with raw_agent(relay.port, token, "websockets") as odd:  # it sends anything
            await odd.next()
            odd.send(b"\xff")  # binary: no JSON, but no fault of the frame
            assert (await odd.next())["payload"]["message"] == "Malformed JSON"
            odd.sink.send(Text(b'{"to":["odd-one"],"payload":"\xff"}'))
            with anyio.fail_after(60):
                await odd.sink.until(lambda: odd.sink.close_info is not None)
            assert (odd.sink.close_info.by, odd.sink.close_info.code) == ("peer", 1007)
        await other.direct(other.agent_id, "still there")
        assert (await other.recv(timeout=60)).payload == "still there"


async def test_a_relay_in_a_nursery_closes_its_agents_when_it_is_cancelled(backend, open_agent):
    async def serve(*, task_status):
        await serve_arc_relay("127.0.0.1", 0, transport=backend.transport, task_status=task_status)

    async with anyio.create_task_group() as tasks:
        relay = await tasks.start(serve)
        assert repr(relay) == f"<Relay {relay.url}>"
        client = open_agent(relay.url)
        await client.connect()
        tasks.cancel_scope.cancel()
    with pytest.raises(ConnectionClosed) as closed:
        await client.recv(timeout=60)
    assert (closed.value.code, closed.value.reason) == (1001, "the relay is going away")
    await client.close()


async def test_a_port_that_is_taken(backend, open_relay):
    async with open_relay() as relay:
        with pytest.raises(OSError, match="cannot listen"):
            await serve_arc_relay("127.0.0.1", relay.port, transport=backend.transport)
        with pytest.raises(RuntimeError, match="the body's own"):
            async with open_relay():
                raise RuntimeError("the body's own")


async def test_registering_has_a_deadline(open_agent):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(ConnectionFailed, match=r"within 0\.05 s"):
            await open_agent(url, connect_timeout=0.05).register()
        with pytest.raises(ConnectionFailed, match=r"within 0\.05 s"):
            await open_agent(url, connect_timeout=0.05).connect()
        with pytest.raises(TypeError, match="agent_id must be a str"):
            await open_agent(url).register(7)
