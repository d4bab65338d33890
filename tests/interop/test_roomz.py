"""The Roomz client against the real server: every method, every event, every error."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Iterator

import anyio
import anyio.to_thread
import pytest

from tests.interop.reference_calls import open_nursery
from tests.real_roomz_server import RoomzServer, running_roomz
from tests.resource_counts import PATIENCE, Census
from vuer_trio.roomz import (
    AsyncClient,
    AuthenticationError,
    ClientError,
    ConnectionError,
    ConnectionState,
    open_roomz_client,
)

pytestmark = [pytest.mark.anyio, pytest.mark.interop]

NAMES = (
    *("authenticated", "message", "user_joined", "user_left"),
    *("display_name_changed", "disconnect", "error"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RoomzServer]:
    with running_roomz(tmp_path_factory.mktemp("roomz")) as server:
        yield server


@pytest.fixture
def fresh_server(tmp_path_factory) -> Iterator[RoomzServer]:
    with running_roomz(tmp_path_factory.mktemp("roomz")) as server:
        yield server


@pytest.fixture(scope="module")
def changed_server(tmp_path_factory) -> Iterator[RoomzServer]:
    with running_roomz(tmp_path_factory.mktemp("roomz"), changed=True) as server:
        yield server


@pytest.fixture
def new_client(backend, server):
    def client(*args, to=server, **options) -> Recording:
        return Recording(to.url, *args, transport=backend.transport, **options)

    return client


class Recording(AsyncClient):
    """Takes down every event that a handler sees."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.seen: list[tuple[str, dict]] = []
        self._noticed = anyio.Event()
        for name in NAMES:
            self.on(name, lambda data, name=name: self._note(name, data))

    def _note(self, name, data) -> None:
        self.seen.append((name, data))
        self._noticed.set()
        self._noticed = anyio.Event()

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.seen]

    def of(self, name) -> list[dict]:
        return [data for seen, data in self.seen if seen == name]

    async def until(self, condition) -> None:
        with anyio.fail_after(60):
            while not condition():
                await self._noticed.wait()

    async def until_seen(self, name, count=1) -> dict:
        await self.until(lambda: len(self.of(name)) >= count)
        return self.of(name)[count - 1]


async def token_for(client, server, email) -> str:
    before = server.tokens
    assert await client.login(email) is True
    return await anyio.to_thread.run_sync(server.token_after, before)


async def test_login_talk_and_leave(new_client, server):
    before, email = Census.take(), server.email()
    async with new_client() as client:
        assert client.connection_state is ConnectionState.DISCONNECTED
        assert (client.connected, client.user) == (False, None)
        await client.connect(await token_for(client, server, f" {email.upper()} "))
        user = {"id": f"user:{email}", "email": email, "display_name": None}
        assert client.connected
        assert client.connection_state is ConnectionState.CONNECTED
        assert client.user == user
        hello = await client.until_seen("authenticated")
        assert hello["user"] == user
        assert hello["channel"] == f"user:{email}"

        sent = await client.send("Hello, world! \N{GRINNING FACE}")
        assert sent["status"] == "ok"
        message = await client.until_seen("message")
        assert message["id"] == sent["message_id"]
        assert message["content"] == "Hello, world! \N{GRINNING FACE}"

        named = await client.set_display_name("Alice")
        assert named == {"status": "ok", "display_name": "Alice"}
        assert client.user["display_name"] == client.display_name == "Alice"
        await client.send("named")
        assert (await client.until_seen("message", 2))["user"]["display_name"] == "Alice"
        assert (await client.set_display_name(None))["display_name"] is None
        assert (await client.me())["email"] == email

        with pytest.raises(ClientError, match="already connected"):
            await client.connect()
        await client.disconnect()
        await client.disconnect()
        assert client.connection_state is ConnectionState.DISCONNECTED
        assert client.user is None
        with pytest.raises(ConnectionError, match="not connected"):
            await client.send("x")
        assert client.names == ["authenticated", "message", "message", "disconnect"]

        await client.connect()  # with the session, and as before
        assert client.user == user
    assert client.names[4:] == ["authenticated", "disconnect"]
    await before.assert_nothing_left(PATIENCE)


async def test_errors_come_back_as_documented(new_client, server):
    async with new_client() as client:
        await client.connect(token=await token_for(client, server, server.email()))
        missing = {"error": "Missing or invalid 'content' field", "code": 400}
        assert await client.send("") == missing
        name = await client.set_display_name("x" * 51)
        assert name["code"] == 400
        assert "1-50 characters" in name["error"]
        too_large = await client.send("x" * 1_000_001)
        assert too_large["code"] == 413
        assert "1,000,000" in too_large["error"]
        assert (await client.send("x" * 999_000))["status"] == "ok"
        assert (await client.send("\ud83d lone"))["status"] == "ok"
        for wrong in (5, b"bytes", None, {"a": 1}):
            with pytest.raises(TypeError, match="must be a str"):
                await client.send(wrong)
        with pytest.raises(TypeError, match="must be a str"):
            await client.set_display_name(5)
        assert client.connected


async def test_two_devices_see_each_other_and_nobody_else(new_client, server):
    email = server.email()
    async with new_client() as one, new_client() as two, new_client() as stranger:
        await one.connect(await token_for(one, server, email))
        await stranger.connect(await token_for(stranger, server, server.email()))
        await two.connect(await token_for(two, server, email))
        joined = await one.until_seen("user_joined")
        assert (joined["user"]["email"], joined["total_connections"]) == (email, 2)
        await two.set_display_name("Desk")
        changed = await one.until_seen("display_name_changed")
        assert changed["display_name"] == changed["user"]["display_name"] == "Desk"
        assert "connection_id" in changed
        assert one.user["display_name"] is None
        sent = await two.send("from the desk")
        assert (await one.until_seen("message"))["id"] == sent["message_id"]
        assert (await two.until_seen("message"))["id"] == sent["message_id"]
        await two.disconnect()
        left = await one.until_seen("user_left")
        assert left["remaining_connections"] == 1
        assert stranger.names == ["authenticated"]
        assert two.names.count("disconnect") == 1


@pytest.mark.slow
async def test_slow_async_handlers_run_in_order(new_client, server):
    order: list[str] = []

    async def slow(data) -> None:
        await anyio.sleep(0.05 if data["content"] == "a" else 0)
        order.append(data["content"])

    async with new_client() as client:
        client.on("message", slow)
        client.on("message", lambda data: order.append(data["content"].upper()))
        await client.connect(await token_for(client, server, server.email()))
        for letter in "abc":
            await client.send(letter)
    assert order == ["a", "A", "b", "B", "c", "C"]


async def test_handlers_may_call_everything(new_client, server, caplog):
    calls: list[str] = []

    async def once(data) -> None:
        client.off("message", once)
        calls.append(f"once {data['content']}")
        assert (await client.send("from the handler"))["status"] == "ok"

    def wrong(data) -> None:
        calls.append(f"wrong {data['content']}")
        raise ZeroDivisionError("of the handler")

    async def last(data) -> None:
        calls.append(f"last {data['content']}")
        if data["content"] == "from the handler":
            await client.disconnect()
            assert not client.connected

    gone = anyio.Event()
    async with new_client() as client:
        for handler in (once, wrong, last):
            client.on("message", handler)
        client.on("disconnect", lambda data: gone.set())
        await client.connect(await token_for(client, server, server.email()))
        await client.send("first")
        with anyio.fail_after(60):
            await gone.wait()
        assert calls == [
            *("once first", "wrong first", "last first"),
            *("wrong from the handler", "last from the handler"),
        ]
        assert caplog.text.count("ZeroDivisionError: of the handler") == 2
        client.off("message")
        await client.connect()
        await client.send("unheard")
    assert len(calls) == 5


async def test_authenticated_may_send(new_client, server):
    replies: list[dict] = []

    async def greet(data) -> None:
        assert client.connected
        replies.append(await client.send("hello from authenticated"))

    async with new_client() as client:
        client.on("authenticated", greet)
        await client.connect(await token_for(client, server, server.email()))
        await client.until_seen("message")
        await client.until(lambda: replies)
    assert replies[0]["status"] == "ok"


async def test_events_can_be_iterated(new_client, server):
    async with new_client() as client:
        with pytest.raises(ConnectionError, match="connect first"):
            await anext(client)
        await client.connect(await token_for(client, server, server.email()))
        await client.send("one")
        await client.send("two")
        got = [await anext(client) for _ in range(3)]
        assert [event.name for event in got] == ["authenticated", "message", "message"]
        assert [event.data["content"] for event in got[1:]] == ["one", "two"]
        await client.disconnect()
        assert [event.name async for event in client] == ["disconnect"]


async def test_each_bad_token_says_what_is_wrong(new_client, server):
    email = server.email()
    async with new_client() as client:
        with pytest.raises(AuthenticationError, match="no token and no session") as none:
            await client.connect()
        assert none.value.reason == "missing_token"
        token = await token_for(client, server, email)
        with pytest.raises(AuthenticationError, match="unknown, used or expired") as bogus:
            await client.connect("a&b=c#d e")
        assert bogus.value.reason == "invalid_token"
        assert client.connection_state is ConnectionState.DISCONNECTED
        await client.connect(token)
        await client.disconnect()
        with pytest.raises(AuthenticationError) as used:  # and not the session from before
            await client.connect(token)
        assert used.value.reason == "invalid_token"
        assert not client.connected
        assert client.names == ["authenticated", "disconnect"]
    client = new_client("bogus")
    with pytest.raises(AuthenticationError):
        async with client:
            raise AssertionError("it did connect")
    with pytest.raises(AuthenticationError) as none:  # it is not tried again
        await client.connect()
    assert none.value.reason == "missing_token"
    with pytest.raises(TypeError, match="one option"):
        await client.connect("a", token="b")


async def test_a_token_is_good_for_fifteen_minutes(new_client, changed_server):
    async with new_client(to=changed_server) as client:
        for minutes, good in [(14.9, True), (15.1, False)]:
            token = await token_for(client, changed_server, changed_server.email())
            with changed_server.ahead(minutes * 60):
                if good:
                    await client.connect(token)
                    await client.disconnect()
                    continue
                with pytest.raises(AuthenticationError, match=r"expired \(15 min\)") as expired:
                    await client.connect(token)
            assert expired.value.reason == "invalid_token"
            assert not client.connected


async def test_a_server_that_is_full(new_client, changed_server):
    email = changed_server.email()
    to = {"to": changed_server}
    async with new_client(**to) as one, new_client(**to) as two, new_client(**to) as three:
        for client in (one, two):
            await client.connect(await token_for(client, changed_server, email))
        token = await token_for(three, changed_server, email)
        with pytest.raises(ConnectionError, match="may be full") as full:
            await three.connect(token)
        assert full.value.detail == "Connection rejected by server"
        assert three.connection_state is ConnectionState.DISCONNECTED
        assert (await three.me())["email"] == email  # the session is good, and kept
        await one.disconnect()
        await two.until_seen("user_left")
        assert two.names.count("user_joined") == 0  # no half of a client was let in
        await three.connect()
        assert three.connected
        await two.until_seen("user_joined")


async def test_no_log_shows_a_token_a_session_or_a_message(new_client, server, caplog):
    caplog.set_level(logging.INFO)
    async with new_client() as client:
        tokens = [await token_for(client, server, server.email()), "a-bogus-token"]
        await client.connect(tokens[0])
        for token in tokens:
            with pytest.raises(AuthenticationError):
                await new_client().connect(token)
        await client.send("s3cret-content")
        await client.until_seen("message")
        session = client._account._cookie
        await client.logout()
    for word in (*tokens, session, "s3cret-content"):
        assert word not in caplog.text
    assert "/auth/" not in caplog.text  # of no library below


async def test_what_login_is_refused_for(new_client, server):
    async with new_client() as client:
        for email, status, detail in [
            ("nope", 400, "Invalid email format"),
            ("eve@example.com", 403, "not authorized"),
        ]:
            with pytest.raises(ConnectionError) as refused:
                await client.login(email)
            assert refused.value.status == status
            assert detail in refused.value.detail
            assert str(refused.value).count(detail) == 1
        email = server.email()
        for _ in range(5):
            await client.login(email)
        with pytest.raises(ConnectionError) as refused:
            await client.login(email)
        assert refused.value.status == 429
        with pytest.raises(TypeError):
            await client.login(5)


async def test_a_session_ends_with_logout_or_when_it_is_cleared(new_client, server):
    async with new_client() as client:
        await client.connect(await token_for(client, server, server.email()))
        client.clear_cached_session()
        assert (await client.send("still here"))["status"] == "ok"
        await client.disconnect()
        with pytest.raises(AuthenticationError, match="no token and no session"):
            await client.connect()
        await client.connect(await token_for(client, server, server.email()))
        await client.logout()
        assert not client.connected
        with pytest.raises(AuthenticationError):
            await client.me()
        with pytest.raises(AuthenticationError):
            await client.connect()


async def test_the_session_cache(new_client, server, tmp_path):
    path, email = tmp_path / "deep" / "er" / "session.json", server.email()
    async with new_client(session_cache_file=path) as client:
        await client.connect(await token_for(client, server, email))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["session.json"]

    async with new_client(session_cache_file=str(path)) as client:  # connects on entry
        assert client.user["email"] == email
        client.clear_cached_session()
    assert not path.exists()

    other = "http://elsewhere.test:80"
    kept = {"sessions": {server.url: "not-a-session", other: "of-another-server"}}
    path.write_text(json.dumps(kept))
    with pytest.raises(AuthenticationError) as rejected:
        async with new_client(session_cache_file=path):
            raise AssertionError("it did connect")
    assert rejected.value.reason == "invalid_session"
    assert json.loads(path.read_text()) == {"sessions": {other: "of-another-server"}}


async def test_a_cache_that_can_not_be_written_costs_no_login(new_client, server, caplog):
    async with new_client(session_cache_file="/proc/nope/session.json") as client:
        await client.connect(await token_for(client, server, server.email()))
        assert client.connected
    assert "cannot be written" in caplog.text


async def test_without_a_path_nothing_is_written(new_client, server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    async with new_client() as client:
        await client.connect(await token_for(client, server, server.email()))
    assert list(tmp_path.iterdir()) == []


async def test_the_forms_without_a_block(backend, new_client, server):
    client = new_client()
    await client.connect(await token_for(client, server, server.email()))
    assert (await client.send("from a system task"))["status"] == "ok"
    await client.disconnect()
    async with open_nursery(backend) as nursery:
        await client.connect(nursery=nursery)
        assert (await client.send("from a nursery"))["status"] == "ok"
        await client.disconnect()
        carried = await nursery.start(client.run)
        assert carried is client
        assert client.connected
        await client.disconnect()
    assert client.names.count("disconnect") == 3
    assert open_roomz_client is AsyncClient


@pytest.mark.slow
async def test_a_server_that_is_killed_and_comes_back(new_client, fresh_server):
    email, to = fresh_server.email(), fresh_server
    options = {"to": to, "reconnect_delay": 0.2, "max_reconnect_attempts": 8}
    async with new_client(**options) as one, new_client(**options) as two:
        for client in (one, two):
            await client.connect(await token_for(client, to, email))
        await one.set_display_name("<Alice>")
        for restart in (1, 2):
            await anyio.to_thread.run_sync(to.kill)
            await one.until_seen("disconnect", restart)
            assert one.connection_state is ConnectionState.RECONNECTING
            assert one.user is None
            with pytest.raises(ConnectionError, match="reconnecting"):
                await one.send("in the gap")
            with pytest.raises(ClientError, match="already reconnecting"):
                await one.connect()
            await anyio.to_thread.run_sync(to.start)
            for client in (one, two):
                await client.until_seen("authenticated", restart + 1)
            again = one.of("authenticated")[-1]
            assert again["user"] == one.user
            assert one.user["display_name"] == "&lt;Alice&gt;"  # as the server has it
            sent = await one.send(f"after {restart}")
            await two.until(lambda: two.of("message"))
            await two.send("and back")
            for client in (one, two):
                await client.until_seen("message", 2)
            assert [m["id"] for m in one.of("message")].count(sent["message_id"]) == 1
            for client in (one, two):
                assert [m["content"] for m in client.of("message")] == [
                    f"after {restart}",
                    "and back",
                ]
                assert client.of("message")[0]["user"]["display_name"] == "&lt;Alice&gt;"
                client.seen = [pair for pair in client.seen if pair[0] != "message"]
    for client in (one, two):
        assert client.names.count("authenticated") == 3
        assert client.names.count("disconnect") == 3
        assert "error" not in client.names
        joined = [j["total_connections"] for j in client.of("user_joined")]
        assert max(joined, default=2) == 2


@pytest.mark.slow
async def test_without_reconnect_a_lost_connection_is_lost(new_client, fresh_server):
    async with new_client(to=fresh_server, reconnect=False) as client:
        await client.connect(await token_for(client, fresh_server, fresh_server.email()))
        await anyio.to_thread.run_sync(lambda: fresh_server.kill(stop=True))
        await client.until_seen("disconnect")
        assert client.connection_state is ConnectionState.DISCONNECTED
        assert client.user is None
        with pytest.raises(ConnectionError, match="was lost"):
            async for _ in client:
                pass
        with pytest.raises(ConnectionError, match="is a Roomz server running there"):
            await client.connect()
        with pytest.raises(ConnectionError, match="is a Roomz server running there"):
            await client.login("u0@example.com")
    assert client.names == ["authenticated", "disconnect"]
