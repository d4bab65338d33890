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
from stage import serving

from vuer_trio import Vuer
from vuer_trio.arc import open_arc_relay

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
        with serving(app, browser_that_is_led_here) as stage:
            yield int(stage.url.rstrip("/").rpartition(":")[2]), stage

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
    with serve(root) as (port, stage):
        page = visit(site)
        for host in ("127.0.0.1", "localhost", "evil.test"):
            assert page.evaluate(OPEN, f"ws://{host}:{port}") == "refused"
            for method in ("GET", "POST"):
                url = f"http://{host}:{port}/"
                assert page.evaluate(ASK, [url, {"method": method}]) == "blocked"
            assert page.evaluate(LOAD, f"http://{host}:{port}/secret.js") == "blocked"
            # in a frame the page would have a session, and clicks could be led to it
            page.evaluate(SHOW, f"http://{host}:{port}/")
        assert stage.sessions() == ()
        stage.portal.call(anyio.sleep, 0.5)
        assert stage.sessions() == ()


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
    with serve(root) as (port, stage):
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
        assert stage.sessions() == ()


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
    with serve(root, hosts=["some-name.tunnel.test"]) as (port, stage):
        assert told(visit(f"{url}:{port}/")) == "open"
        assert len(stage.sessions()) == 1


def test_a_page_of_an_origin_that_was_named_gets_in(serve, visit, root, site):
    with serve(root, origins=[site]) as (port, _):
        page = visit(site)
        assert page.evaluate(OPEN, f"ws://127.0.0.1:{port}") == "open"
        assert page.evaluate(ASK, [f"http://127.0.0.1:{port}/", {}]) == [200, CLIENT]
