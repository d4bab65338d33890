"""Who comes in: a token, and a function that is asked before the answer; and what is said of it."""

from __future__ import annotations

import http.client
import logging
import threading
from base64 import b64decode, b64encode

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from tests.behaviour.raw_client import eventually, raw, request
from tests.resource_counts import task_count
from tests.secret_watch import MARK, SecretWatch, secret
from vuer_trio import ConnectionFailed, Request, open_vuer_server
from vuer_trio._hosting import authorization
from vuer_trio.arc import RegistrationError
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.server import session as session_module

pytestmark = pytest.mark.anyio

TOKEN = secret("token")


@pytest.fixture
def watch(caplog):
    return SecretWatch(caplog)


async def status_of(opening):
    """Of what the server answers; 101 if it lets the client in."""
    failure = None
    try:
        async with opening:
            return 101
    except ConnectionFailed as error:
        failure = error
    assert MARK not in str(failure)
    return failure.status


async def get(port, path, **headers):
    """Status, headers and body of a page."""

    def ask():
        connection = http.client.HTTPConnection("localhost", port, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    return await anyio.to_thread.run_sync(ask)


async def head_of(port, *lines, path="/"):
    """What the server answers to an upgrade, up to the first empty line."""
    async with raw(port) as client:
        await client.send(request(path, *lines))
        with anyio.fail_after(60):
            while b"\r\n\r\n" not in client.received:
                client.received += await client.stream.receive()
        return client.received.partition(b"\r\n\r\n")[0].decode("latin-1")


# ---- a token


async def test_a_token_in_the_query_a_header_or_a_subprotocol(new_server, open_client, watch):
    app = new_server(token=TOKEN)
    async with open_vuer_server(app) as server:
        uri = server.uri
        assert TOKEN not in uri
        for good in (
            open_client(f"{uri}?token={TOKEN}"),
            open_client(f"{uri}/path?a=b&token={TOKEN}"),
            open_client(uri, headers={"Authorization": f"Bearer {TOKEN}"}),
            open_client(uri, headers={"Authorization": f"bearer {TOKEN}"}),
            open_client(f"{uri}?token=wrong", headers={"Authorization": f"Bearer {TOKEN}"}),
        ):
            async with good as client:
                await client.flush(timeout=60)
        head = await head_of(server.port, f"Sec-WebSocket-Protocol: vuer, token.{TOKEN}")
        assert head.startswith("HTTP/1.1 101 ")
        assert "sec-websocket-protocol: vuer\r\n" in f"{head}\r\n".lower()
        head = await head_of(server.port, f"Sec-WebSocket-Protocol: token.{TOKEN}")
        assert head.startswith("HTTP/1.1 101 ")
        assert f"sec-websocket-protocol: token.{TOKEN}\r\n" in f"{head}\r\n".lower()
    watch.check()


async def test_a_wrong_or_missing_token_is_refused_and_the_log_says_why(
    new_server, open_client, watch, caplog
):
    app = new_server(token=TOKEN)
    async with open_vuer_server(app) as server:
        wrong = secret("wrong")
        basic = {"Authorization": f"Basic {secret('basic')}"}
        assert await status_of(open_client(server.uri)) == 401
        assert await status_of(open_client(server.uri, headers=basic)) == 401
        for given in (wrong, TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "", "%FF%00"):
            assert await status_of(open_client(f"{server.uri}?token={given}")) == 401
        head = await head_of(server.port, f"Sec-WebSocket-Protocol: token.{wrong}")
        assert head.startswith("HTTP/1.1 401 ")
        assert "www-authenticate: Bearer" in head
        # what was set for files opens no session
        cookie = await cookie_of(server.port)
        assert (await head_of(server.port, f"Cookie: {cookie}")).startswith("HTTP/1.1 401 ")
        assert app.sessions == ()
        assert await status_of(open_client(f"{server.uri}?token={TOKEN}")) == 101
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert sum(line.endswith("refused: the token is wrong") for line in said) == 7
    assert sum("refused: no token was given" in line for line in said) == 3
    watch.check()


async def cookie_of(port):
    head = await head_of(port, "Origin: http://localhost:1", path=f"/?token={TOKEN}")
    assert head.startswith("HTTP/1.1 101 "), head
    fields = [line for line in head.split("\r\n") if line.lower().startswith("set-cookie: ")]
    assert len(fields) == 1
    assert MARK not in fields[0]
    assert "; HttpOnly; SameSite=Strict" in fields[0]
    return fields[0].partition(": ")[2].partition(";")[0]


async def test_files_need_the_token_and_the_web_client_does_not(new_server, tmp_path):
    root, work = tmp_path / "root", tmp_path / "work"
    for folder in (root, work):
        folder.mkdir()
    (root / "index.html").write_text("the client")
    (work / "scene.obj").write_text("the robot")
    app = new_server(token=TOKEN, client_root=root, workspace=work)
    app.workspace.link(lambda: "the pose", "pose.txt")
    app.workspace.mount(work, to="/models")
    app.add_route("/status", lambda: "the status")
    paths = (
        "/workspace/scene.obj",
        "/static/scene.obj",
        "/workspace/pose.txt",
        "/models/scene.obj",
    )
    async with open_vuer_server(app) as server:
        port = server.port
        assert (await get(port, "/"))[2] == b"the client"
        cookie = await cookie_of(port)
        for path in (*paths, "/status"):
            status, headers, body = await get(port, path)
            assert (status, headers["www-authenticate"]) == (401, "Bearer"), path
            assert body == b"no token was given, and this server needs one\n"
            assert (await get(port, f"{path}?token={secret('no')}"))[0] == 401
            assert (await get(port, path, Cookie="vuer-12345678=x"))[0] == 401
            for good in (
                await get(port, f"{path}?token={TOKEN}"),
                await get(port, path, Authorization=f"Bearer {TOKEN}"),
                await get(port, path, Cookie=f"a=b; {cookie}"),
            ):
                assert good[0] == 200, path
        # names that are written in another way
        for path in ("/%77orkspace/scene.obj", "//workspace/scene.obj", "/./workspace/scene.obj"):
            status, _, body = await get(port, path)
            assert b"the robot" not in body, path
            assert status in (400, 401, 404), path


async def test_a_browser_that_opens_the_page_is_led_to_a_client_that_knows_the_token(
    new_server, monkeypatch, tmp_path
):
    (tmp_path / "index.html").write_text("the client")
    monkeypatch.setattr("vuer_trio.server.serving.web_client", lambda: tmp_path)
    async with open_vuer_server(new_server(token="a+b&c")) as server:
        port = server.port
        status, headers, _ = await get(port, "/?grid=False&token=a%2Bb%26c")
        assert status == 302
        token = "token%3Da%252Bb%2526c"
        assert headers["location"] == (
            f"/?grid=False&token=a%2Bb%26c&ws=ws://localhost:{port}%3F{token}"
        )
        assert (await get(port, headers["location"]))[2] == b"the client"
        tunnel = {"X-Forwarded-Proto": "https", "Host": "robot.local"}
        _, headers, _ = await get(port, "/?token=x", **tunnel)
        assert headers["location"] == "/?token=x&ws=wss://robot.local%3Ftoken%3Dx"
        for path in ("/", "/?ws=ws://elsewhere&token=x", "/index.html?token=x"):
            assert (await get(port, path))[0] == 200


# ---- a function


def noted(answer, requests):
    def authorize(request):
        requests.append(request)
        return answer

    return authorize


async def test_the_function_gets_the_request_and_the_session_keeps_it(new_server, open_client):
    requests, kept = [], []
    app = new_server(authorize=noted(True, requests))

    @app.spawn
    async def main(session):
        kept.append(session.request)
        assert session.request is session.request
        await session.forever()

    async with open_vuer_server(app) as server:
        headers = {"Cookie": f"a=1; user={secret('cookie')}; a=2", "X-Key": secret("key")}
        uri = f"{server.uri}/arm?token={secret('query')}&a=1&a=2&b"
        async with open_client(uri, headers=headers) as client:
            await client.flush(timeout=60)
            await eventually(lambda: kept)
    for found in (*requests, *kept):
        assert isinstance(found, Request)
        assert (found.method, found.path, found.websocket) == ("GET", "/arm", True)
        assert dict(found.query) == {"token": secret("query"), "a": "1", "b": ""}
        assert dict(found.cookies) == {"a": "1", "user": secret("cookie")}
        assert found.headers["x-key"] == secret("key")
        assert found.headers["host"] == f"localhost:{server.port}"
        assert found.host in ("127.0.0.1", "::1")
        assert found.peer.startswith(("127.0.0.1:", "[::1]:"))
        assert (found.secure, found.certificate) == (False, None)
        assert repr(found) == f"<Request GET /arm?token=***&a=***&a=***&*** of {found.peer}>"
        with pytest.raises(TypeError):
            found.query["a"] = "3"
    assert len(requests) == len(kept) == 1


async def raises(request):
    await checkpoint()
    raise LookupError(f"nobody has {request.query['token']}, {request.headers['cookie']}")


async def forbids(request):
    raise PermissionError(f"not on a Sunday, {request.query['token']}")


async def quotes(request):
    user, password = b64decode(request.headers["authorization"].partition(" ")[2]).split(b":")
    raise PermissionError(f"{user.decode()} has another password than {password.decode()}")


async def is_slow(request):
    await checkpoint()
    return 429


@pytest.mark.parametrize(
    ("authorize", "status", "said"),
    [
        (lambda request: False, 403, "refused with 403: authorize returned False"),
        (lambda request: None, 403, "refused with 403: authorize returned None"),
        (lambda request: 404, 404, "refused with 404: authorize returned 404 (Not Found)"),
        (lambda request: 499, 499, "refused with 499: authorize returned 499"),
        (is_slow, 429, "refused with 429: authorize returned 429 (Too Many Requests)"),
        (lambda request: 200, 500, "refused with 500: what authorize returns must be True, False"),
        (lambda request: 1, 500, "must be True, False or a status from 400 to 499, got int"),
        (lambda request: request.query, 500, "from 400 to 499, got mappingproxy"),
        (raises, 403, "refused with 403: authorize raised LookupError: 'nobody has ***, ***'"),
        (forbids, 403, "refused with 403: authorize raised PermissionError: not on a Sunday, ***"),
        (quotes, 403, "authorize raised PermissionError: *** has another password than ***"),
        (lambda request: 1 / 0, 403, "authorize raised ZeroDivisionError: division by zero"),
    ],
)
async def test_what_refuses_is_logged_without_a_secret(
    new_server, open_client, watch, caplog, authorize, status, said
):
    if authorize is raises:
        said = said.replace("'nobody", "nobody").replace("***'", "a=***")
    async with open_vuer_server(new_server(authorize=authorize)) as server:
        uri = f"{server.uri}?token={secret('query')}"
        basic = b64encode(f"{secret('user')}:{secret('password')}".encode()).decode()
        headers = {"Cookie": f"a={secret('cookie')}", "Authorization": f"Basic {basic}"}
        assert await status_of(open_client(uri, headers=headers)) == status
        assert (await get(server.port, "/"))[0] != status  # the page is for everybody
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(lines) == 1
    assert said in lines[0] or said.replace("a=***", "***") in lines[0]
    raised = "raised" in said and "PermissionError" not in said
    assert ("in raises" in lines[0] or "in <lambda>" in lines[0]) == raised  # and where
    watch.check()


@pytest.mark.parametrize(
    "odd",
    [BaseException, GeneratorExit, anyio.get_cancelled_exc_class, BaseExceptionGroup],
    ids=lambda odd: odd.__name__,
)
async def test_nothing_that_is_raised_ends_the_server(new_server, open_client, odd):
    calls = []

    async def authorize(request):
        calls.append(1)
        if len(calls) > 1:
            return True
        if odd is BaseExceptionGroup:
            raise BaseExceptionGroup("", [ValueError("a"), BaseException("b")])
        if odd is anyio.get_cancelled_exc_class:
            import asyncio

            raise asyncio.CancelledError
        raise odd("x")

    app = new_server(authorize=authorize)
    async with open_vuer_server(app) as server:
        assert await status_of(open_client(server.uri, connect_timeout=5)) in (403, None)
        async with open_client(server.uri) as client:
            await client.flush(timeout=60)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/%77orkspace/a%20b?x=%2F", "/workspace/a b"),
        ("http://localhost/arm?x", "/arm"),
        ("http://localhost", "/"),
        ("http://[/", "http://[/"),
    ],
)
async def test_the_path_is_decoded(new_server, target, path):
    requests = []
    async with open_vuer_server(new_server(authorize=noted(False, requests))) as server:
        assert (await head_of(server.port, path=target)).startswith("HTTP/1.1 403 ")
    assert [found.path for found in requests] == [path]


async def test_a_token_goes_before_the_function(new_server, open_client):
    requests = []
    app = new_server(token=TOKEN, authorize=noted(False, requests))
    async with open_vuer_server(app) as server:
        assert await status_of(open_client(server.uri)) == 401
        assert requests == []
        assert await status_of(open_client(f"{server.uri}?token={TOKEN}")) == 403
        assert len(requests) == 1


async def test_a_function_that_takes_too_long_is_given_up(new_server, open_client, caplog):
    over = []

    async def authorize(request):
        try:
            await anyio.sleep_forever()
        finally:
            over.append(request.path)

    async with open_vuer_server(new_server(authorize=authorize, handshake_timeout=0.2)) as server:
        assert await status_of(open_client(f"{server.uri}/slow")) == 503
        assert over == ["/slow"]
    assert "authorize has not returned within 0.2 s; see handshake_timeout=" in caplog.text


async def test_others_get_in_while_one_is_asked_for(new_server, open_client):
    asked = threading.Event()

    async def authorize(request):
        if request.path == "/slow":
            asked.set()
            await anyio.sleep_forever()
        return True

    app = new_server(authorize=authorize, max_sessions=1)
    async with open_vuer_server(app) as server:
        async with raw(server.port) as waiting:
            await waiting.send(request("/slow"))
            await eventually(asked.is_set)
            async with open_client(server.uri) as client:
                await client.flush(timeout=60)


@pytest.mark.slow
async def test_a_server_that_ends_meanwhile_says_so(new_server):
    app, asked, ended = None, anyio.Event(), []

    async def authorize(request):
        asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    app = new_server(authorize=authorize)
    before = task_count()
    async with open_vuer_server(app) as server:
        client = raw(server.port)
        waiting = await client.__aenter__()
        await waiting.send(request())
        with anyio.fail_after(60):
            await asked.wait()
    await waiting.read_to_the_end()
    await client.__aexit__(None, None, None)
    assert ended == [True]
    assert waiting.received.startswith(b"HTTP/1.1 503 ")
    await eventually(lambda: task_count() <= before)


async def test_files_and_routes_ask_the_function_and_a_preflight_does_not(new_server, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    requests = []

    def authorize(request):
        requests.append(request)
        return request.headers.get("x-key") == "right"

    app = new_server(authorize=authorize, workspace=tmp_path)
    app.add_route("/status", lambda: "fine")
    async with open_vuer_server(app) as server:
        for path in ("/workspace/a.txt", "/status"):
            assert (await get(server.port, path))[0] == 403
            assert (await get(server.port, path, **{"X-Key": "right"}))[0] == 200
        assert [found.websocket for found in requests] == [False] * 4
        async with raw(server.port) as client:
            await client.send(b"OPTIONS /workspace/a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await client.read_to_the_end()
            assert client.received.startswith(b"HTTP/1.1 204 ")
        assert len(requests) == 4


async def test_a_refused_page_does_not_reach_the_function(new_server, open_client):
    requests = []
    async with open_vuer_server(new_server(authorize=noted(True, requests))) as server:
        assert await status_of(open_client(server.uri, origin="https://evil.test")) == 403
        assert requests == []


async def test_without_either_no_request_is_made(new_server, open_client, monkeypatch):
    for module in (authorization, session_module):
        monkeypatch.setattr(module, "request_of", None)  # it would raise
    app = new_server()

    @app.add_handler("ECHO")
    async def echo(event, session):
        session @ ServerEvent(event.value, etype="ECHO")

    async with open_vuer_server(app) as server:
        async with open_client(server.uri) as client:
            client.send @ ClientEvent(etype="ECHO", value=1)
            assert (await client.recv(timeout=60)).data == 1


# ---- the relay


async def test_a_relay_asks_for_agents_registrations_and_statistics(
    open_relay, open_agent, watch, caplog
):
    requests = []

    def authorize(request):
        requests.append((request.path, request.websocket))
        if request.path == "/arc":
            return request.headers.get("x-key") == secret("key")
        return request.headers.get("authorization") == f"Bearer {secret('registrar')}"

    right = {"Authorization": f"Bearer {secret('registrar')}"}
    async with open_relay(authorize=authorize) as relay:
        with pytest.raises(RegistrationError) as error:
            await open_agent(relay.url).register()
        assert error.value.status == 403
        options = {"register_secret": secret("registrar"), "headers": {"X-Key": secret("key")}}
        async with open_agent(relay.url, **options) as agent:
            assert agent.connected
            token = agent.token
        assert requests == [("/register", False), ("/register", False), ("/arc", True)]
        with pytest.raises(ConnectionFailed) as refused:
            async with open_agent(relay.url, token=token):
                pass
        assert "403" in str(refused.value)
        port = relay.port
        assert (await get(port, "/stats"))[0] == 403
        assert (await get(port, "/stats", **right))[0] == 200
    assert caplog.text.count("refused with 403: authorize returned False") == 3
    watch.check()
