"""What strangers can do at our relay: register, connect, and ask as a page in a browser does."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress

import anyio
import pytest

from tests.behaviour.raw_agent import http, raw_agent
from vuer_trio import ConnectionClosed, ConnectionFailed
from vuer_trio.arc import AuthenticationError, RegistrationError

pytestmark = pytest.mark.anyio


async def test_a_relay_may_ask_for_a_secret(open_relay, open_agent, caplog):
    caplog.set_level("DEBUG")
    async with open_relay(register_secret="s3cret-Zz") as relay:
        for wrong in (None, "s3cret-Z", "s3cret-Zzz", "S3CRET-ZZ"):
            with pytest.raises(RegistrationError, match="register_secret=") as refused:
                await open_agent(relay.url, register_secret=wrong).register()
            assert (refused.value.status, refused.value.code) == (401, "unauthorized")
        for header in (
            "s3cret-Zz",
            "Basic s3cret-Zz",
            "Bearer",
            "Bearer  s3cret-Zz",
            "Bearer \xe4",
        ):
            line = f"Authorization: {header}\r\n"
            assert (await http(relay.port, "POST", "/register", b"{}", line))[0] == 401
        assert relay.stats()["registry"]["registered"] == 0
        async with open_agent(relay.url, register_secret="s3cret-Zz", agent_id="alice") as alice:
            assert alice.agent_id == "alice"
            assert "s3cret" not in repr(alice) + repr(alice._account.registrar)
        async with open_agent(relay.url, token=alice.token) as again:  # the token will do
            assert again.agent_id == "alice"
    assert "s3cret" not in caplog.text


async def test_registrations_do_not_fill_a_relay(open_relay, open_agent):
    async with open_relay(max_agents=20, register_limit=None) as relay:
        async with open_agent(relay.url, agent_id="early") as early:
            for _ in range(60):
                assert (await http(relay.port, "POST", "/register"))[0] == 200
            assert relay.stats()["registry"]["registered"] == 20
            async with open_agent(relay.url, agent_id="operator") as operator:
                await operator.direct("early", "here")
                assert (await early.recv(timeout=60)).payload == "here"


@pytest.mark.slow
async def test_an_id_that_does_not_connect_is_forgotten(open_relay, open_agent):
    async with open_relay(register_timeout=2) as relay:
        async with open_agent(relay.url, agent_id="alice") as alice:
            token = (await open_agent(relay.url).register("unused"))["token"]
            with anyio.fail_after(60):
                while relay.stats()["registry"]["agents"] != ["alice"]:
                    await anyio.sleep(0.01)
            with pytest.raises(AuthenticationError):
                await open_agent(relay.url, token=token).connect()
            await open_agent(relay.url).register("unused")
        async with open_agent(relay.url, token=alice.token):
            pass


async def test_connections_without_a_token_keep_nobody_out(open_relay, open_agent, backend):
    async with open_relay(max_agents=2) as relay, AsyncExitStack() as stack:
        registration = await open_agent(relay.url).register("operator")
        for _ in range(10):
            await stack.enter_async_context(raw_agent(relay.port, "tok_wrong", backend.transport))
        async with open_agent(relay.url, token=registration["token"]) as operator:
            assert await operator.list_subscriptions() == []


async def test_one_agent_has_only_so_many_connections(open_relay, open_agent, backend):
    async with open_relay() as relay, AsyncExitStack() as stack:
        token = (await open_agent(relay.url).register("alice"))["token"]
        first = open_agent(relay.url, token=token)
        await first.connect()
        for _ in range(15):
            await stack.enter_async_context(raw_agent(relay.port, token, backend.transport))
        await first.flush(timeout=60)
        async with open_agent(relay.url, token=token) as last:
            with pytest.raises(ConnectionClosed, match="1008"):
                await first.recv(timeout=60)
            assert await last.list_subscriptions() == []
            assert relay.stats()["relay"]["connected"] == 1


async def ask_as_a_page(port, method, target, host, origin=None):
    """What a browser's request gets that has these headers; `arc_support.http` names localhost."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        if origin is not None:
            lines.append(f"Origin: {origin}")
        if method == "POST":
            lines.append("Content-Length: 0")
        await stream.send("\r\n".join([*lines, "", ""]).encode())
        received = b""
        with suppress(anyio.EndOfStream):
            while True:
                received += await stream.receive()
    head, _, body = received.decode().partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    return int(status.split()[1]), dict(field.split(": ", 1) for field in fields), body


async def test_a_relay_lets_no_page_of_others_in(open_relay, open_agent, caplog):
    async with open_relay() as relay:
        token = (await open_agent(relay.url).register("alice"))["token"]
        here, evil = f"localhost:{relay.port}", f"evil.test:{relay.port}"
        for host, origin in (
            (here, "http://evil.test"),
            (here, "null"),
            (here, "https://vuer.ai"),
            (here, "http://evil@localhost"),
            (evil, f"http://{evil}"),
        ):
            for method, target in (
                ("POST", "/register"),
                ("OPTIONS", "/register"),
                ("GET", "/stats"),
                ("GET", "/arc"),
            ):
                status, headers, body = await ask_as_a_page(
                    relay.port, method, target, host, origin
                )
                assert status == 403
                assert "access-control-allow-origin" not in headers
                assert "alice" not in body
            headers = {"Host": host, "Origin": origin}
            with pytest.raises(ConnectionFailed, match="403"):
                await open_agent(relay.url, token=token, headers=headers).connect()
        status, _, body = await ask_as_a_page(relay.port, "GET", "/stats", evil)
        assert (status, "alice" in body) == (403, False)
        assert relay.stats()["registry"]["agents"] == ["alice"]
        # a program, by whatever name
        assert (await ask_as_a_page(relay.port, "POST", "/register", evil))[0] == 200
    assert "hosts=['evil.test']" in caplog.text
    assert "origins=['http://evil.test']" in caplog.text


async def test_a_relay_lets_pages_in_that_it_was_told_of(open_relay, open_agent):
    async with open_relay(origins=["https://app.example"], hosts=["*.ngrok.app"]) as relay:
        token = (await open_agent(relay.url).register("alice"))["token"]
        for host, origin in (
            ("localhost", "https://app.example"),
            ("localhost", "http://localhost:3000"),
            ("a.ngrok.app", "https://a.ngrok.app"),
            ("10.0.0.7:8080", "http://10.0.0.7:8080"),
            ("robot.local:8080", "http://robot.local:8080"),
        ):
            status, headers, body = await ask_as_a_page(
                relay.port, "POST", "/register", host, origin
            )
            assert (status, "token" in body) == (200, True)
            assert headers["access-control-allow-origin"] == origin
            assert headers["vary"] == "Origin"
            status, headers, _ = await ask_as_a_page(
                relay.port, "OPTIONS", "/register", host, origin
            )
            assert (status, headers["access-control-allow-origin"]) == (204, origin)
            assert "POST" in headers["access-control-allow-methods"]
            assert (await ask_as_a_page(relay.port, "GET", "/stats", host))[0] == 200
            async with open_agent(relay.url, token=token, headers={"Host": host, "Origin": origin}):
                pass
