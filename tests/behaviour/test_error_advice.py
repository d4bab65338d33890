"""What an error says leads to its cause, and to what can be done."""

from __future__ import annotations

import datetime
import re
import ssl

import anyio
import pytest
import trustme

from tests.scripted_server import serve_peer
from vuer_trio import ConnectionFailed, Vuer, open_vuer_server
from vuer_trio.arc import open_arc_client
from vuer_trio.roomz import AsyncClient
from vuer_trio.roomz import ConnectionError as RoomzUnreachable

pytestmark = pytest.mark.anyio

#: what no message about TLS or files may ask
MISLEADING = "running there"


async def why(opening, kind=ConnectionFailed):
    with pytest.raises(kind) as error:
        async with opening:
            pass
    return str(error.value)


class Files:
    """A certificate and its key; ``trusting()`` is a client's context that knows the authority."""

    def __init__(self, folder, *names, **options):
        folder.mkdir()
        self.authority = trustme.CA()
        issued = self.authority.issue_cert(*names, **options)
        self.cert, self.key, self.ca = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
        issued.private_key_pem.write_to_path(self.key)
        for blob in issued.cert_chain_pems:
            blob.write_to_path(self.cert, append=True)
        self.authority.cert_pem.write_to_path(self.ca)

    def trusting(self):
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "good", "localhost", "127.0.0.1")


def serving(new_server, files, **options):
    return open_vuer_server(new_server(cert=files.cert, key=files.key, **options))


async def test_an_authority_that_is_not_known(new_server, open_client, files, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with serving(new_server, files) as server:
        said = await why(open_client(server.uri))
        assert "signed by an authority that this machine does not know" in said
        assert "ssl_context=ssl.create_default_context(cafile=...)" in said
        assert "ssl_verify=False" in said
        assert MISLEADING not in said
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
        said = await why(open_client(server.uri))
        assert "SSL_CERT_FILE='/nowhere/ca.pem' in the environment is not there" in said
        monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
        async with open_client(server.uri):
            pass


async def test_a_name_that_is_not_in_the_certificate(new_server, open_client, tmp_path):
    files = Files(tmp_path / "other", "robot.local")
    async with serving(new_server, files) as server:
        said = await why(open_client(server.uri, ssl_context=files.trusting()))
    assert "the certificate is for another host name: " in said
    assert "'localhost'" in said
    assert "ssl_verify" not in said
    assert MISLEADING not in said


async def test_a_certificate_out_of_its_time(new_server, open_client, tmp_path):
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    for name, options, expected in (
        ("old", {"not_before": now - 9 * day, "not_after": now - day}, "has expired"),
        ("new", {"not_before": now + day, "not_after": now + 9 * day}, "is not valid yet"),
    ):
        files = Files(tmp_path / name, "localhost", **options)
        async with serving(new_server, files) as server:
            said = await why(open_client(server.uri, ssl_context=files.trusting()))
        assert f"the certificate {expected}; " in said
        assert "clock" in said
        assert "ssl_verify" not in said
        assert MISLEADING not in said


async def test_a_server_that_wants_a_certificate_of_the_client_s(new_server, open_client, files):
    async with serving(new_server, files, ca_cert=files.ca) as server:
        said = await why(open_client(server.uri, ssl_context=files.trusting()))
    assert "certificate of the client's" in said
    assert MISLEADING not in said


async def test_a_port_without_tls(new_server, open_client, open_relay, backend):
    async with open_vuer_server(new_server()) as server:
        said = await why(open_client(f"wss://localhost:{server.port}"))
    assert "what answers there does not speak TLS; is it a plain port" in said
    assert "ssl_verify" not in said
    assert MISLEADING not in said
    async with open_relay() as relay:
        agent = open_arc_client(f"https://127.0.0.1:{relay.port}", transport=backend.transport)
        assert "what answers there does not speak TLS" in await why(agent)
    async with serve_peer() as peer:
        room = AsyncClient(f"https://127.0.0.1:{peer.port}", "token", transport=backend.transport)
        assert "speak TLS" in await why(room, RoomzUnreachable)


async def test_a_room_is_told_what_it_can_do(backend):
    """Its client has no option of TLS."""
    async with serve_peer(tls=True) as peer:
        url = peer.uri.replace("wss", "https")
        said = await why(AsyncClient(url, "t", transport=backend.transport), RoomzUnreachable)
    assert "an authority that this machine does not know; SSL_CERT_FILE=/path" in said
    assert "ssl_verify" not in said


async def test_nobody_is_there(open_client, open_agent, backend):
    said = await why(open_client("ws://127.0.0.1:1"))
    expected = "ws://127.0.0.1:1: Connection refused; is a Vuer server running there?"
    assert said == f"could not connect to {expected}"
    agent = open_agent("http://127.0.0.1:1", token="tok_1")
    assert "Connection refused; is an ARC relay running there?" in await why(agent)
    assert "refused; is an ARC relay running there?" in await why(open_agent("127.0.0.1:1"))
    room = AsyncClient("http://127.0.0.1:1", "token", transport=backend.transport)
    said = await why(room, RoomzUnreachable)
    assert said.endswith("127.0.0.1:1: Connection refused; is a Roomz server running there?")


async def test_a_name_that_nobody_has(open_client):
    said = await why(open_client("ws://no-such-host.invalid"))
    assert said.endswith("; is the name of the host right?")


async def test_a_proxy_that_is_not_there(open_client, open_agent):
    proxy = "http://me:pw@127.0.0.1:1"
    shown = "the proxy http://me:***@127.0.0.1:1 could not be reached: Connection refused"
    for opening in (
        open_client("ws://127.0.0.1:2", proxy=proxy),
        open_agent("http://127.0.0.1:2", proxy=proxy),
        open_agent("http://127.0.0.1:2", proxy=proxy, token="tok_1"),
        open_agent("https://127.0.0.1:2", proxy=proxy),
    ):
        said = await why(opening)
        assert f"{shown}; is it running there?" in said
        assert "Vuer server" not in said
        assert "ARC relay" not in said


async def test_a_proxy_whose_certificate_is_not_known(open_client, open_agent):
    async with serve_peer(tls=True) as peer:
        proxy = peer.uri.replace("wss", "https")
        said = await why(open_client("ws://127.0.0.1:2", proxy=proxy))
        shown = f"the proxy {proxy} could not be reached: the certificate is signed by an authority"
        assert shown in said


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY"])
@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ("proxy.lab:3128", "got 'proxy.lab:3128': it has no scheme; use http://host:port"),
        ("socks5h://me:pw@h:1", "got 'socks5h://me:***@h:1': SOCKS is not supported; use"),
        ("ftp://h:1", "got 'ftp://h:1': that scheme is not supported; use"),
        ("http://me:p/w@h:1", "got 'http://***@h:1': its port is not a number below 65536; in a"),
    ],
)
async def test_a_proxy_of_the_environment_that_can_not_be(
    open_client, open_agent, monkeypatch, variable, proxy, expected
):
    for name in ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, proxy)
    for opening in (
        open_client("wss://127.0.0.1:2", proxy=True),
        open_agent("https://127.0.0.1:2", proxy=True),
    ):
        said = await why(opening, ValueError)
        assert said.startswith(f"{variable} in the environment must be an http:// or https:// URL")
        assert expected in said


# ---- a server's files


async def not_served(kind, **options):
    with pytest.raises(kind) as error:
        async with open_vuer_server(Vuer(port=0, **options)):
            pass
    return str(error.value)


async def test_files_that_are_not_there(backend, files, tmp_path):
    gone = tmp_path / "gone.pem"
    for name in ("cert", "key", "ca_cert"):
        options = {"cert": files.cert, "key": files.key, "ca_cert": files.ca, name: gone}
        said = await not_served(FileNotFoundError, **options)
        assert f"{name}='{gone}' cannot be read: No such file or directory" in said


async def test_files_that_are_something_else(backend, files, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("to do")
    other = Files(tmp_path / "other", "localhost")
    for options, expected in (
        ({"cert": text}, f"cert='{text}' holds no certificate in PEM"),
        ({"key": text}, f"key='{text}' holds no private key in PEM"),
        ({"ca_cert": text}, f"ca_cert='{text}' holds no certificate in PEM"),
        ({"cert": files.key}, f"cert='{files.key}' holds no certificate in PEM"),
        ({"key": other.key}, "the key does not belong to the certificate"),
    ):
        good = {"cert": files.cert, "key": files.key, "ca_cert": files.ca}
        assert expected in await not_served(ssl.SSLError, **good | options)


async def test_a_context_of_the_other_side(backend):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    for new in (open_arc_client, open_vuer_client_of):
        with pytest.raises(ValueError, match="ssl_context must be a client's context, got one of"):
            new(ssl_context=server)


def open_vuer_client_of(**options):
    from vuer_trio import open_vuer_client

    return open_vuer_client("wss://h", **options)


async def test_a_relay_with_a_context_of_a_client_s(open_relay):
    with pytest.raises(ValueError, match="ssl_context must be a server's context, got one of"):
        async with open_relay(ssl_context=ssl.create_default_context()):
            pass


# ---- contexts


async def test_errors_have_no_context_but_their_cause(open_client, new_server, caplog):
    """Whatever was handled on the way to an error is no part of its traceback."""
    app = new_server()
    failed = anyio.Event()

    @app.add_handler("X")
    async def handle(event, session):
        failed.set()
        raise ValueError("of the handler")

    def lonely(exc):
        while exc is not None:
            if exc.__cause__ is None:
                assert exc.__context__ is None or exc.__suppress_context__, repr(exc.__context__)
            exc = exc.__cause__

    with pytest.raises(ConnectionFailed) as error:
        async with open_client("ws://127.0.0.1:1"):
            pass
    lonely(error.value)
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        from vuer_trio.events import ClientEvent

        client.send @ ClientEvent(etype="X")
        with anyio.fail_after(60):
            await failed.wait()
        with pytest.raises(TimeoutError) as error:
            await client.recv(timeout=0.01)
        lonely(error.value)
        await client.aclose()
        for call in (client.recv, client.flush):
            with pytest.raises(ConnectionError) as error:
                await call()
            lonely(error.value)
    [record] = [r for r in caplog.records if r.exc_info]
    lonely(record.exc_info[1])
    assert not re.search("During handling|no async library", caplog.text)
