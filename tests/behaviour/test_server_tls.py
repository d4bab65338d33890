"""TLS of a server: its certificate, and those of its clients."""

from __future__ import annotations

import ssl
from threading import get_ident

import anyio
import pytest
import trustme

from tests.behaviour.raw_client import eventually, raw, request
from tests.resource_counts import open_sockets, task_count
from vuer_trio import Backoff, ConnectionFailed, VuerError, open_vuer_server
from vuer_trio._net import client_tls
from vuer_trio.events import ClientEvent, ServerEvent

pytestmark = pytest.mark.anyio

SOON = Backoff(initial=0.01, maximum=0.05)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of the server's chain and key and of the authority's certificate; the authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return folder, authority


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def echoes(client):
    client.send @ ClientEvent(etype="ECHO", value=b"x" * 200_000)
    return (await client.recv(timeout=60)).data == b"x" * 200_000


def with_echo(app):
    @app.add_handler("ECHO")
    async def echo(event, session):
        session @ ServerEvent(event.value, etype="ECHO")

    return app


async def test_a_certificate_and_who_does_not_trust_it(new_server, open_client, files):
    folder, authority = files
    app = with_echo(new_server(cert=folder / "cert.pem", key=folder / "key.pem"))
    async with open_vuer_server(app) as server:
        assert server.uri == f"wss://localhost:{server.port}"
        before = task_count(), open_sockets()
        async with open_client(server.uri, ssl_context=trusting(authority)) as client:
            assert await echoes(client)
        with pytest.raises(ConnectionFailed, match=r"(?i)certificate"):
            async with open_client(server.uri):
                pass
        async with open_client(server.uri, ssl_verify=False) as client:
            assert await echoes(client)
        with pytest.raises(ConnectionFailed):
            async with open_client(f"ws://localhost:{server.port}", connect_timeout=5):
                pass
        async with raw(server.port) as plain:
            await plain.send(request())
            await plain.read_to_the_end()
            assert b"HTTP" not in plain.received
        await eventually(lambda: not app.sessions)
        await eventually(lambda: task_count() <= before[0])
        await eventually(lambda: open_sockets() <= before[1])


async def test_only_clients_with_a_certificate(new_server, open_client, files):
    folder, authority = files
    app = with_echo(
        new_server(cert=folder / "cert.pem", key=folder / "key.pem", ca_cert=str(folder / "ca.pem"))
    )
    known, stranger, nobody = (trusting(authority) for _ in range(3))
    authority.issue_cert("operator").configure_cert(known)
    trustme.CA().issue_cert("operator").configure_cert(stranger)
    async with open_vuer_server(app) as server:
        async with open_client(server.uri, ssl_context=known) as client:
            assert await echoes(client)
            for context in (stranger, nobody):
                # TLS 1.3 tells a client only after its own part of the handshake is done
                with pytest.raises(VuerError), anyio.fail_after(60):
                    async with open_client(server.uri, ssl_context=context) as refused:
                        await refused.recv()
            assert await echoes(client)
        await eventually(lambda: not app.sessions)


async def test_the_page_links_to_wss(new_server, files, no_web_client):
    folder, authority = files
    app = new_server(cert=folder / "cert.pem", key=folder / "key.pem")
    async with open_vuer_server(app) as server:
        stream = await anyio.connect_tcp(
            "localhost",
            server.port,
            tls=True,
            ssl_context=trusting(authority),
            tls_standard_compatible=False,
        )
        async with stream:
            await stream.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            page = b""
            with anyio.fail_after(60):
                while b"</code>" not in page:
                    page += await stream.receive()
        assert b"ws=wss://here" in page


async def test_what_is_no_certificate_says_so(new_server, tmp_path, files):
    folder, _ = files
    for name in ("missing.pem", "broken.pem"):
        (tmp_path / "broken.pem").write_text("nothing")
        app = new_server(cert=tmp_path / name, key=folder / "key.pem")
        with pytest.raises((OSError, ssl.SSLError)):
            async with open_vuer_server(app):
                pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_who_comes_back_resumes_its_session(new_server, open_client, files, version):
    folder, authority = files
    app = with_echo(new_server(cert=folder / "cert.pem", key=folder / "key.pem"))

    @app.add_handler("LEAVE")
    async def leave(event, session):
        await session.close(1012, "come back")

    context = trusting(authority)
    context.maximum_version = version
    async with open_vuer_server(app) as server:
        with anyio.fail_after(60):
            async with open_client(server.uri, ssl_context=context, reconnect=SOON) as client:
                changes = client.link_changes()
                for resumed in range(3):
                    assert await echoes(client)
                    assert context.session_stats()["hits"] == resumed
                    client.send @ ClientEvent(etype="LEAVE", value=None)
                    while client.generation < resumed + 2:
                        await anext(changes)
            # Another client begins anew: nobody can tell that it is of the same program.
            async with open_client(server.uri, ssl_context=context) as client:
                assert await echoes(client)
            assert context.session_stats()["hits"] == 3


async def test_the_default_context_is_made_once_and_not_in_the_loop(
    new_server, open_client, files, monkeypatch
):
    folder, _ = files
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    monkeypatch.setattr(client_tls, "_made", {})
    make, threads = ssl.create_default_context, []

    def made(*args, **options):
        threads.append(get_ident())
        return make(*args, **options)

    app = with_echo(new_server(cert=folder / "cert.pem", key=folder / "key.pem"))
    async with open_vuer_server(app) as server:
        monkeypatch.setattr(ssl, "create_default_context", made)
        for _ in range(2):
            async with open_client(server.uri) as client:
                assert await echoes(client)
        assert len(threads) == 1
        assert get_ident() not in threads
        async with open_client(server.uri, ssl_verify=False) as client:
            assert await echoes(client)
        assert len(threads) == 2
