"""`SyncClient` against the real server."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.real_roomz_server import RoomzServer, running_roomz
from tests.resource_counts import PATIENCE, Census
from vuer_trio.roomz import (
    AuthenticationError,
    ClientError,
    ConnectionError,
    ConnectionState,
    SyncClient,
)

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RoomzServer]:
    with running_roomz(tmp_path_factory.mktemp("roomz")) as server:
        yield server


def portals() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("roomz")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = Census.take()
    yield
    assert portals() == []
    wait_for(lambda: not before.left_behind(), PATIENCE)


def wait_for(condition, deadline=60.0) -> None:
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def token_for(client: SyncClient, server: RoomzServer, email: str) -> str:
    before = server.tokens
    assert client.login(email) is True
    return server.token_after(before)


def test_all_methods(server):
    email, seen = server.email(), []
    client = SyncClient(server.url, "")
    assert portals() == []
    for name in ("authenticated", "message", "disconnect"):
        client.on(name, lambda data, name=name: seen.append((name, data.get("content"))))
    with pytest.raises(ConnectionError, match="connect\\(\\) first"):
        client.send("x")
    with pytest.raises(AuthenticationError):
        client.connect()
    client.connect(token_for(client, server, email))
    assert client.connected
    assert client.connection_state is ConnectionState.CONNECTED
    assert client.user["email"] == client.me()["email"] == email
    with pytest.raises(ClientError, match="already connected"):
        client.connect()
    assert client.send("hello")["status"] == "ok"
    assert client.set_display_name("A") == {"status": "ok", "display_name": "A"}
    assert client.display_name == "A"
    assert client.send("")["code"] == 400
    (portal,) = portals()
    client.disconnect()
    assert not portal.is_alive()
    client.disconnect()
    assert not client.connected
    assert client.user is None
    assert seen == [("authenticated", None), ("message", "hello"), ("disconnect", None)]
    client.off("message")
    client.connect()
    client.send("unheard")
    client.logout()
    with pytest.raises(AuthenticationError):
        client.connect()
    assert [name for name, _ in seen[3:]] == ["authenticated", "disconnect"]
    client.connect(token=token_for(client, server, email))
    client.clear_cached_session()
    client.disconnect()
    with pytest.raises(AuthenticationError):
        client.connect()


def test_the_context_manager_and_a_used_token(server):
    token = token_for(SyncClient(server.url, ""), server, server.email())
    with SyncClient(server.url, token) as client:
        assert client.server_url == server.url
        assert client.send("hello")["status"] == "ok"
    with pytest.raises(AuthenticationError, match="used"):
        with SyncClient(server.url, token):
            raise AssertionError("it did connect")


def test_send_from_inside_a_handler(server):
    replies, threads = [], set()

    def answer(data) -> None:
        threads.add(threading.current_thread())
        if data["content"] == "question":
            replies.append(client.send("answer"))
            client.set_display_name("Handler")

    with SyncClient(
        server.url, token_for(SyncClient(server.url, ""), server, server.email())
    ) as client:
        client.on("message", answer)
        assert client.send("question")["status"] == "ok"
        wait_for(lambda: client.display_name == "Handler")
    assert [reply["status"] for reply in replies] == ["ok"]
    assert threading.current_thread() not in threads


def test_disconnect_from_inside_a_handler(server):
    seen, done = [], threading.Event()

    def leave(data) -> None:
        client.disconnect()
        assert not client.connected
        seen.append("left")

    def gone(data) -> None:
        seen.append("disconnect")
        done.set()

    client = SyncClient(server.url, "")
    client.on("message", leave)
    client.on("disconnect", gone)
    client.connect(token_for(client, server, server.email()))
    with suppress(ConnectionError):  # the acknowledgement comes behind the message
        client.send("leave")
    assert done.wait(60)
    assert seen == ["left", "disconnect"]
    wait_for(lambda: not portals())
    client.disconnect()


def test_a_handler_that_hangs_does_not_keep_the_thread(server, monkeypatch):
    monkeypatch.setattr("vuer_trio.roomz.handler_runner._PATIENCE", 0.1)
    release, entered = threading.Event(), threading.Event()

    def hang(data) -> None:
        entered.set()
        release.wait()

    client = SyncClient(server.url, "")
    client.on("message", hang)
    client.connect(token_for(client, server, server.email()))
    client.send("x")
    assert entered.wait(60)
    client.disconnect()
    assert portals() == []
    release.set()


def test_disconnecting_in_another_thread_ends_a_call(server):
    client = SyncClient(server.url, "")
    client.connect(token_for(client, server, server.email()))
    failures = []

    def talk() -> None:
        try:
            while True:
                client.send("x")
        except ConnectionError as exc:
            failures.append(exc)

    thread = threading.Thread(target=talk)
    thread.start()
    time.sleep(0.1)
    client.disconnect()
    thread.join(60)
    assert len(failures) == 1


def test_who_never_disconnects_is_warned(server):
    client = SyncClient(server.url, "")
    client.connect(token_for(client, server, server.email()))
    with pytest.warns(ResourceWarning, match="never closed"):
        del client
        gc.collect()
    wait_for(lambda: not portals())


def test_a_server_that_is_not_there():
    client = SyncClient("http://127.0.0.1:1", "token")
    with pytest.raises(ConnectionError, match="is a Roomz server running there"):
        client.connect()
    with pytest.raises(ConnectionError, match="is a Roomz server running there"):
        client.login("a@b.test")
