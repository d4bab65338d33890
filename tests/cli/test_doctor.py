"""What the doctor says of servers that are not as they should be, and of one that is."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

from tests import scripted_server as peer_module
from tests.cli_process import call, run
from tests.scripted_server import PeerConnection
from vuer_trio import Vuer, VuerSession, open_vuer_server
from vuer_trio.cli.statuses import Status
from vuer_trio.schemas import DefaultScene

FAILED, WELL = int(Status.FAILED), int(Status.DONE)


def doctor(uri: str, *more: str) -> tuple[int, list[str], str]:
    """Its status, the steps with their outcomes, and the advice."""
    done = call("doctor", uri, *more)
    assert done.stderr == ""
    *lines, last = done.stdout.splitlines()
    steps = []
    for line in lines:
        outcome, step, took = line[:8].strip(), line[9:21].strip(), line[22:34]
        assert float(took.removesuffix("ms  ")) >= 0
        steps.append(f"{outcome} {step}: {line[34:]}")
    advice = last.removeprefix("what to do   ")
    assert (advice != last) == (advice != "All is well.")
    return done.returncode, steps, advice


async def well(conn: PeerConnection) -> None:
    await conn.accept()
    await conn.send_event({"etype": "SET", "data": {}})


async def says_nothing(conn: PeerConnection) -> None:
    await trio.sleep_forever()


class Refuse(http.server.SimpleHTTPRequestHandler):
    """A web server; ``status`` None: of files."""

    status: int | None = None

    def do_GET(self) -> None:
        if self.status is None:
            return super().do_GET()
        self.send_response(self.status)
        self.send_header("Location", "https://elsewhere.example/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Not on our stderr."""


@pytest.fixture
def web_server(request: pytest.FixtureRequest) -> Iterator[str]:
    handler = type("Handler", (Refuse,), {"status": getattr(request, "param", None)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.05,))
        thread.start()
        yield f"ws://127.0.0.1:{web.server_port}"
        web.shutdown()
        thread.join()


@pytest.fixture
def self_signed(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate that only its own key has signed, and that key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*make, *names, "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=60
    )
    return cert, key


def test_a_server_that_is_well(server):
    status, steps, advice = doctor(server.uri)
    host, port = server.uri.removeprefix("ws://").split(":")
    assert status == WELL
    assert steps == [
        f"ok address: {host}, port {port}, path /, without TLS",
        f"ok DNS: {host}",
        f"ok TCP: connected to {host}, port {port}",
        "ok handshake: a WebSocket",
        "ok INIT: the server has read it",
        "ok first event: SET",
    ]
    assert advice == "All is well."


def test_in_json(server):
    done = run("doctor", server.uri, "--json")
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["outcome"] for step in steps] == ["ok"] * 6
    assert all(step["ms"] >= 0 for step in steps)
    done = run("doctor", "ws://127.0.0.1:1", "--json")
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["step"], last["outcome"]) == (1, "TCP", "FAILED")
    assert "nothing listens at port 1" in last["advice"]


def test_the_address_of_the_environment(server):
    done = run("doctor", VUER_CLIENT_URI=server.uri)
    assert done.returncode == WELL


# ---- before there is a connection


@pytest.mark.parametrize(
    ("uri", "what", "advice"),
    [
        ("http://localhost:8012", "http:// is not a WebSocket scheme", "is at ws://localhost:8012"),
        ("https://a.test/x", "https:// is not a WebSocket scheme", "is at wss://a.test/x"),
        ("ws://", "it has no host", "Write ws://host:port"),
        ("ws://a b", "white space", "Write ws://host:port"),
    ],
)
def test_what_is_no_address(uri, what, advice):
    status, steps, said = doctor(uri)
    assert status == FAILED
    assert steps[-1].startswith("FAILED address: ")
    assert what in steps[-1]
    assert advice in said


def test_a_name_that_nobody_has():
    status, steps, advice = doctor("ws://no-such-host.invalid:8012")
    assert status == FAILED
    assert steps[-1].startswith("FAILED DNS: no address for 'no-such-host.invalid': ")
    assert "spelled right" in advice
    assert doctor(f"ws://{'a' * 64}.invalid")[1][-1].startswith("FAILED DNS: ")


def test_a_wrong_port():
    status, steps, advice = doctor("ws://127.0.0.1:1")
    assert status == FAILED
    assert steps[-1] == "FAILED TCP: port 1: connection refused"
    assert "Is the server running, and is this the port that it printed?" in advice


def test_a_wrong_port_where_the_usual_one_is_open(portal):
    async def listen() -> list[trio.SocketListener]:
        return await trio.open_tcp_listeners(8012, host="127.0.0.77")  # nobody else is there

    (listener,) = portal.call(listen)
    _, steps, advice = doctor("ws://127.0.0.77:1/path")
    portal.call(listener.aclose)
    assert steps[-1] == "FAILED TCP: port 1: connection refused"
    assert advice.endswith("is open there: try ws://127.0.0.77:8012/path")


# ---- the wrong scheme


def test_ws_where_tls_is_spoken(serve):
    uri = serve(well, tls=True).uri
    status, steps, advice = doctor(uri.replace("wss", "ws"))
    assert status == FAILED
    assert steps[-1] == "FAILED handshake: the server speaks TLS at this port"
    assert advice == f"Wrong scheme: ws:// is without TLS; try {uri}"


def test_wss_where_it_is_not(server):
    status, steps, advice = doctor(server.uri.replace("ws", "wss"))
    assert status == FAILED
    assert steps[-1] == "FAILED TLS: the server speaks no TLS at this port"
    assert advice == f"Wrong scheme: without TLS it answers HTTP; try {server.uri}"


# ---- certificates


async def paint(session: VuerSession) -> None:
    session.set @ DefaultScene()


def test_a_self_signed_certificate(self_signed, portal):
    cert, key = self_signed
    app = Vuer("localhost", 0, cert=cert, key=key)
    app.spawn(paint)
    with portal.wrap_async_context_manager(open_vuer_server(app)) as server:
        status, steps, advice = doctor(server.uri)
        assert status == FAILED
        what = "the certificate is self-signed: nobody else vouches for it"
        assert steps[-1] == f"FAILED TLS: {what}"
        assert "--ca-cert FILE" in advice
        assert "--insecure" in advice
        for more, said in [
            (("--insecure",), ", its certificate unchecked"),
            (("--ca-cert", str(cert)), ""),
        ]:
            status, steps, _ = doctor(server.uri, *more)
            assert status == WELL
            assert steps[3].startswith("ok TLS: TLSv1.")
            assert steps[3].endswith(said)
        _, steps, advice = doctor(
            server.uri.replace("localhost", "127.0.0.1"), "--ca-cert", str(cert)
        )
        assert steps[-1] == "FAILED TLS: the certificate is for another name than 127.0.0.1"
        assert "server_hostname=" in advice


def test_an_authority_that_nobody_knows(serve, tmp_path):
    uri = serve(well, tls=True).uri
    _, steps, advice = doctor(uri)
    assert "signed by an authority that this machine does not know" in steps[-1]
    assert "--ca-cert FILE" in advice
    peer_module._certificate_authority().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert doctor(uri, "--ca-cert", str(tmp_path / "ca.pem"))[0] == WELL


# ---- what answers


def test_an_http_server_that_is_no_websocket_server(web_server):
    status, steps, advice = doctor(web_server)
    assert status == FAILED
    assert steps[-1].startswith("FAILED handshake: the server answered HTTP 200 (SimpleHTTP")
    assert advice.startswith("An HTTP server, but not a WebSocket server")
    status, steps, advice = doctor(f"{web_server}/nothing")
    assert "the server answered HTTP 404" in steps[-1]
    assert "Neither /nothing nor / has a WebSocket" in advice


@pytest.mark.parametrize(
    ("web_server", "advice"),
    [
        (302, "It redirects clients to https://elsewhere.example/"),
        (503, "max_sessions"),
    ],
    indirect=["web_server"],
)
def test_a_refusal(web_server, advice):
    status, steps, said = doctor(web_server)
    assert status == FAILED
    assert "FAILED handshake: the server answered HTTP " in steps[-1]
    assert advice in said


def test_a_wrong_path(serve):
    async def at_root_only(conn: PeerConnection) -> None:
        request = await conn.wait_request()
        if request.path == "/":
            return await well(conn)
        await conn.reject(404, "not here")

    uri = serve(at_root_only).uri
    status, steps, advice = doctor(f"{uri}/scene?a=b")
    assert status == FAILED
    assert steps[-1] == "FAILED handshake: no WebSocket at the path /scene?a=***"
    assert advice == f"Wrong path: there is one at /; try {uri}"


def test_a_header_is_sent(serve):
    async def guarded(conn: PeerConnection) -> None:
        request = await conn.wait_request()
        if request.headers.get("Authorization") == "Bearer me":
            return await well(conn)
        await conn.reject(401, "who?")

    uri = serve(guarded).uri
    assert "Authorization" in doctor(uri)[2]
    assert doctor(uri, "--header", "Authorization: Bearer me")[0] == WELL


def test_a_silent_server(serve):
    uri = serve(says_nothing).uri
    status, steps, advice = doctor(uri, "--timeout", "3")
    assert status == FAILED
    assert steps[-1] == "FAILED handshake: the server took the connection, and says nothing"
    assert "a program that hangs" in advice


def test_a_port_that_takes_connections_and_no_more(portal):
    """Not even TLS is answered, or turned down."""

    async def listen() -> trio.SocketListener:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        return listener

    listener = portal.call(listen)
    where = f"127.0.0.1:{listener.socket.getsockname()[1]}"
    status, steps, advice = doctor(f"wss://{where}", "--timeout", "3")
    assert status == FAILED
    assert steps[-1] == "FAILED TLS: the server took the connection, and says nothing"
    assert "Look at the server" in advice
    status, steps, _ = doctor(f"ws://{where}", "--timeout", "3")
    assert steps[-1] == "FAILED handshake: the server took the connection, and says nothing"
    portal.call(listener.aclose)


def test_another_protocol(portal):
    async def ssh(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(b"SSH-2.0-Open\x1bSSH_9.9\r\n")
            await stream.receive_some()

    async def serve(*, task_status: trio.TaskStatus = trio.TASK_STATUS_IGNORED) -> None:
        with trio.CancelScope() as scope:
            start = partial(trio.serve_tcp, ssh, 0, host="127.0.0.1")
            async with trio.open_nursery() as nursery:
                (listener,) = await nursery.start(start)
                task_status.started((listener.socket.getsockname()[1], scope))

    _, (port, scope) = portal.start_task(serve)
    for scheme, what in [("ws", "is not an HTTP server"), ("wss", "speaks no TLS")]:
        status, steps, advice = doctor(f"{scheme}://127.0.0.1:{port}")
        assert status == FAILED
        assert f"what answers {what}: 'SSH-2.0-Open\\x1bSSH_9.9'" in steps[-1]
        assert "Wrong port?" in advice
    portal.call(scope.cancel)


# ---- a WebSocket, but


async def deaf(conn: PeerConnection) -> None:
    await conn.accept()
    conn.stop_reading()


async def echoes(conn: PeerConnection) -> None:
    await conn.accept()
    message = await conn.recv()
    assert isinstance(message, bytes)
    await conn.send(message)


async def chats(conn: PeerConnection) -> None:
    await conn.accept()
    await conn.send_text("hello")


async def fails(conn: PeerConnection) -> None:
    await conn.accept()
    await conn.recv()
    await conn.close(1011, "no paint")


async def returns(conn: PeerConnection) -> None:
    await conn.accept()
    await conn.recv()
    await conn.close(1000)


@pytest.mark.parametrize(
    ("script", "what", "advice"),
    [
        (deaf, "INIT: the server received INIT, but has not answered a ping", "loop is blocked"),
        (echoes, "first event: the server sends back what it gets", "not a Vuer server"),
        (
            chats,
            "first event: the first message is not an event: a text frame",
            "not a Vuer server",
        ),
        (fails, "the server closed the connection with 1011: no paint", "its output says why"),
        (returns, "the server closed the connection with 1000", "await session.forever()"),
    ],
)
def test_a_websocket_that_is_not_vuers(serve, script, what, advice):
    _, steps, said = doctor(serve(script).uri, "--timeout", "3")
    assert what in steps[-1]
    assert advice in said


def test_a_server_that_sends_nothing_is_only_warned_of(server):
    status, steps, advice = doctor(f"{server.uri}/silent", "--timeout", "3")
    assert status == WELL
    assert steps[-1] == "warning first event: none within 3 s"
    assert advice.startswith("That may be right")
