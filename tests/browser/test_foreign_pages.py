"""Pages of strangers, and of the server itself, in a real browser: who gets in.

``evil.test`` is a site whose name leads to this machine. Its page at another port is a page of
another origin; its page at our own port is what DNS rebinding makes of it: for the browser, that
and our server are one site.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from tests.browser.browser_harness import serving, until
from tests.secret_watch import SecretWatch, secret
from vuer_trio import Request, Vuer
from vuer_trio.arc import open_arc_relay

TOKEN = secret("token")
#: a web client that says in its title whether it has a session
CLIENT = """<!doctype html><title>loading</title><script>
const socket = new WebSocket(`ws://${location.host}`);
socket.onopen = () => document.title = "open";
socket.onerror = () => document.title = "refused";
</script>"""
OPEN = """url => new Promise(done => {
    const socket = new WebSocket(url);
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
})"""
#: what a page can read of an answer: its status and text, or nothing
ASK = """([url, options]) => fetch(url, options).then(
    async answer => [answer.status, await answer.text()], () => "blocked")"""
SHOW = """url => new Promise(done => {
    const frame = document.createElement("iframe");
    frame.onload = () => done();
    frame.src = url;
    document.body.append(frame);
})"""
#: the subprotocol that the server has chosen
OFFER = """([url, protocols]) => new Promise(done => {
    const socket = new WebSocket(url, protocols);
    socket.onopen = () => done(socket.protocol);
    socket.onerror = () => done("refused");
})"""
LOAD = """url => new Promise(done => {
    const script = document.createElement("script");
    script.onload = () => done("loaded");
    script.onerror = () => done("blocked");
    script.src = url;
    document.head.append(script);
})"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "index.html").write_text(CLIENT)
    (tmp_path / "secret.js").write_text("secret = 1")
    return tmp_path


@pytest.fixture
def visit(browser_that_is_led_here):
    """``visit(url)`` opens a page. Whatever it shows, its origin is that of the URL, and the test
    runs scripts in it."""
    pages = []

    def visit(url: str) -> Any:
        page = browser_that_is_led_here.new_page()
        pages.append(page)
        page.goto(url, wait_until="domcontentloaded")
        return page

    yield visit
    for page in pages:
        page.close()


@pytest.fixture
def site():
    """The origin of the stranger's own page, which is served from another port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><p>evil")

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://evil.test:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def serve(browser_that_is_led_here):
    @contextmanager
    def serve(root, **options: Any) -> Iterator[tuple[int, Any]]:
        app = Vuer("127.0.0.1", 0, client_root=root, **options)
        with serving(app, browser_that_is_led_here) as harness:
            yield int(harness.url.rstrip("/").rpartition(":")[2]), harness

    return serve


@pytest.fixture
def relay():
    """A relay that runs, with an agent's token: ``(port, stats, token)``."""
    with start_blocking_portal("trio") as portal:
        with portal.wrap_async_context_manager(open_arc_relay("127.0.0.1")) as relay:
            _, token = portal.call(relay.registry.register, "alice")
            yield relay.port, lambda: portal.call(relay.stats), token


def told(page: Any) -> str:
    page.wait_for_function("document.title !== 'loading'", polling=20)
    return page.title()


def test_a_page_of_another_origin_gets_nothing_of_a_server(serve, visit, root, site):
    with serve(root) as (port, harness):
        page = visit(site)
        for host in ("127.0.0.1", "localhost", "evil.test"):
            assert page.evaluate(OPEN, f"ws://{host}:{port}") == "refused"
            for method in ("GET", "POST"):
                url = f"http://{host}:{port}/"
                assert page.evaluate(ASK, [url, {"method": method}]) == "blocked"
            assert page.evaluate(LOAD, f"http://{host}:{port}/secret.js") == "blocked"
            # in a frame the page would have a session, and clicks could be led to it
            page.evaluate(SHOW, f"http://{host}:{port}/")
        assert harness.sessions() == ()
        harness.portal.call(anyio.sleep, 0.5)
        assert harness.sessions() == ()


def test_a_page_of_another_origin_gets_nothing_of_a_relay(visit, relay, site):
    port, stats, token = relay
    page = visit(site)
    for host in ("127.0.0.1", "localhost", "evil.test"):
        assert page.evaluate(OPEN, f"ws://{host}:{port}/arc?token={token}") == "refused"
        assert page.evaluate(ASK, [f"http://{host}:{port}/stats", {}]) == "blocked"
        for mode in ("cors", "no-cors"):  # the latter is sent without asking, and its answer hidden
            options = {"method": "POST", "mode": mode, "body": json.dumps({"agent_id": "mallory"})}
            page.evaluate(ASK, [f"http://{host}:{port}/register", options])
    assert stats()["registry"]["agents"] == ["alice"]
    assert stats()["relay"]["connected"] == 0


def test_a_page_that_rebinds_its_name_gets_nothing_of_a_server(serve, visit, root):
    with serve(root) as (port, harness):
        page = visit(f"http://evil.test:{port}/stats")
        assert page.evaluate("location.origin") == f"http://evil.test:{port}"
        assert page.evaluate(OPEN, f"ws://evil.test:{port}") == "refused"
        for path in ("/", "/index.html", "/secret.js"):
            status, text = page.evaluate(ASK, [path, {}])
            assert status == 403
            assert "hosts=['evil.test']" in text
        assert page.evaluate(LOAD, "/secret.js") == "blocked"
        answer = visit(f"http://evil.test:{port}/")
        assert "hosts=['evil.test']" in answer.inner_text("body")
        assert harness.sessions() == ()


def test_a_page_that_rebinds_its_name_gets_nothing_of_a_relay(visit, relay):
    port, stats, token = relay
    page = visit(f"http://evil.test:{port}/stats")
    assert page.evaluate(OPEN, f"ws://evil.test:{port}/arc?token={token}") == "refused"
    for path, options in (("/stats", {}), ("/register", {"method": "POST"})):
        status, text = page.evaluate(ASK, [path, options])
        assert status == 403
        assert "alice" not in text
    page.evaluate(ASK, ["/register", {"method": "POST", "referrerPolicy": "no-referrer"}])
    assert stats()["registry"]["agents"] == ["alice"]
    assert stats()["relay"]["connected"] == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.9.8.7", "robot.local"])
def test_the_own_page_gets_in_by_every_address_of_the_machine(serve, visit, root, host):
    with serve(root) as (port, _):
        assert told(visit(f"http://{host}:{port}/")) == "open"


def test_the_own_page_gets_in_behind_a_tunnel_that_was_named(serve, visit, root):
    url = "http://some-name.tunnel.test"
    with serve(root) as (port, _):
        assert "hosts=['some-name.tunnel.test']" in visit(f"{url}:{port}/").inner_text("body")
    with serve(root, hosts=["some-name.tunnel.test"]) as (port, harness):
        assert told(visit(f"{url}:{port}/")) == "open"
        until(lambda: len(harness.sessions()) == 1, "the session, which begins a moment later")


def test_a_page_of_an_origin_that_was_named_gets_in(serve, visit, root, site):
    with serve(root, origins=[site]) as (port, _):
        page = visit(site)
        assert page.evaluate(OPEN, f"ws://127.0.0.1:{port}") == "open"
        assert page.evaluate(ASK, [f"http://127.0.0.1:{port}/", {}]) == [200, CLIENT]


# ---- with a token


@pytest.fixture
def with_token(serve, root, caplog):
    """``with with_token() as (port, harness, said):``; ``said()`` is why clients were refused, and
    checks that no secret is in the log."""

    @contextmanager
    def with_token(**options: Any) -> Iterator[tuple[int, Any, Any]]:
        watch = SecretWatch(caplog)
        with serve(root, token=TOKEN, **options) as (port, harness):

            def said() -> list[str]:
                watch.check()
                lines = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
                caplog.clear()
                return [line.partition(": refused: ")[2] for line in lines]

            yield port, harness, said

    return with_token


def test_a_strangers_page_does_not_get_in_even_with_the_token(with_token, visit, site):
    with with_token() as (port, harness, said):
        foreign, rebound = visit(site), visit(f"http://evil.test:{port}/")
        said()
        foreign_said = f"pages of '{site}' may not talk to this server; to allow them, use origins="
        for page, host in ((foreign, "127.0.0.1"), (foreign, "evil.test"), (rebound, "evil.test")):
            assert page.evaluate(OPEN, f"ws://{host}:{port}?token={TOKEN}") == "refused"
        lines = said()
        assert sum(line.startswith(foreign_said) for line in lines) == 2
        assert any("know itself by the name 'evil.test'" in line for line in lines)
        assert not any("token" in line for line in lines)
        assert harness.sessions() == ()


def test_the_own_page_gets_in_with_the_right_token_alone(with_token, visit):
    with with_token() as (port, harness, said):
        page = visit(f"http://127.0.0.1:{port}/")  # which has no token to give
        assert told(page) == "refused"
        for query in ("", "?token=", f"?token={secret('wrong')}", f"?Token={TOKEN}"):
            assert page.evaluate(OPEN, f"ws://127.0.0.1:{port}{query}") == "refused"
        missing, wrong = "no token was given, and this server needs one", "the token is wrong"
        assert said() == [missing, missing, wrong, wrong, missing]
        assert harness.sessions() == ()
        assert page.evaluate(OPEN, f"ws://127.0.0.1:{port}?token={TOKEN}") == "open"
        assert (
            page.evaluate(OFFER, [f"ws://127.0.0.1:{port}", ["vuer", f"token.{TOKEN}"]]) == "vuer"
        )
        offer = [f"token.{secret('wrong')}"]
        assert page.evaluate(OFFER, [f"ws://127.0.0.1:{port}", offer]) == "refused"
        assert said() == [wrong]


def test_a_tunnel_that_was_named_passes_the_token_on(with_token, visit):
    with with_token(hosts=["*.tunnel.test"]) as (port, _, said):
        page = visit(f"http://some-name.tunnel.test:{port}/")
        uri = f"ws://some-name.tunnel.test:{port}"
        assert page.evaluate(OPEN, uri) == "refused"
        assert page.evaluate(OPEN, f"{uri}?token={TOKEN}") == "open"
        assert len(said()) == 2  # the page by itself, and the first of these


def test_what_a_scene_refers_to_comes_with_a_session_and_not_without(with_token, visit, tmp_path):
    (tmp_path / "robot.obj").write_text("o robot")
    with with_token(workspace=tmp_path) as (port, _, said):
        page = visit(f"http://127.0.0.1:{port}/")
        page.context.clear_cookies()
        assert told(page) == "refused"
        url = f"http://127.0.0.1:{port}/workspace/robot.obj"
        assert page.evaluate(ASK, [url, {}])[0] == 401
        said()
        assert page.evaluate(OPEN, f"ws://127.0.0.1:{port}?token={TOKEN}") == "open"
        assert page.evaluate("document.cookie") == ""  # scripts cannot read it
        assert page.evaluate(ASK, [url, {}]) == [200, "o robot"]
        assert page.evaluate(OPEN, f"ws://127.0.0.1:{port}") == "refused"  # it opens no session
        assert page.evaluate(ASK, [url, {"credentials": "omit"}])[0] == 401


def test_a_function_refuses_a_page_and_lets_another_in(serve, visit, root, caplog):
    def authorize(request: Request) -> bool:
        if request.query.get("key") == secret("right"):
            return True
        raise PermissionError(f"nobody knows {request.query}")

    watch = SecretWatch(caplog)
    with serve(root, authorize=authorize) as (port, harness):
        page = visit(f"http://127.0.0.1:{port}/")
        assert told(page) == "refused"
        assert page.evaluate(OPEN, f"ws://127.0.0.1:{port}?key={secret('wrong')}") == "refused"
        assert harness.sessions() == ()
        assert page.evaluate(OPEN, f"ws://127.0.0.1:{port}?key={secret('right')}") == "open"
    assert "authorize raised PermissionError: nobody knows {'key': '***'}" in caplog.text
    watch.check()
