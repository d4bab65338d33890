"""``tls="auto"`` and ``mdns=True``: a server that other devices find, and trust."""

from __future__ import annotations

import logging
import ssl
import threading
from urllib.error import HTTPError
from urllib.request import urlopen

import anyio
import anyio.to_thread
import pytest
import trustme
from zeroconf import ServiceListener, Zeroconf

from tests.behaviour.raw_client import eventually
from tests.resource_counts import open_sockets, task_count
from vuer_trio import ConnectionFailed, open_vuer_server
from vuer_trio.server import announcement, automatic_tls

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    monkeypatch.setenv("VUER_TRIO_DATA", str(folder))
    return folder


def trusting(folder):
    return ssl.create_default_context(cafile=folder / "ca.pem")


async def page(url, context):
    def ask():
        try:
            with urlopen(url, context=context, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    return await anyio.to_thread.run_sync(ask)


async def test_a_client_that_trusts_the_authority_and_one_that_does_not(
    new_server, open_client, folder
):
    app = new_server(tls="auto")
    async with open_vuer_server(app) as server:
        assert server.uri == f"wss://localhost:{server.port}"
        assert len(server.addresses) >= 1
        for host in ("localhost", "127.0.0.1"):
            uri = f"wss://{host}:{server.port}"
            async with open_client(uri, ssl_context=trusting(folder)) as client:
                await client.flush(timeout=60)
        with pytest.raises(ConnectionFailed, match=r"(?i)certificate"):
            async with open_client(server.uri):
                pass
        first = (folder / "ca.pem").read_bytes()
    async with open_vuer_server(new_server(tls="auto")) as server:
        assert (folder / "ca.pem").read_bytes() == first
        async with open_client(server.uri, ssl_context=trusting(folder)) as client:
            await client.flush(timeout=60)


async def test_the_authority_is_served_to_everybody_and_its_key_to_nobody(new_server, folder):
    app = new_server(tls="auto", token="right", workspace=folder)
    async with open_vuer_server(app) as server:
        unverified = ssl.create_default_context()  # as a device that does not trust it yet
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        status, headers, body = await page(f"https://localhost:{server.port}/ca.pem", unverified)
        assert status == 200
        assert body == (folder / "ca.pem").read_bytes()
        assert b"PRIVATE" not in body
        assert headers["content-type"] == "application/x-x509-ca-cert"
        for name in ("authority.pem", "server.pem"):  # even where the folder itself is served
            url = f"https://localhost:{server.port}/workspace/{name}?token=right"
            assert (await page(url, unverified))[0] == 404
        (folder / "note.txt").write_text("x")
        url = f"https://localhost:{server.port}/workspace/note.txt?token=right"
        assert (await page(url, unverified))[0] == 200


async def test_without_it_nothing_is_there(new_server, no_web_client):
    async with open_vuer_server(new_server()) as server:
        assert (await page(f"http://localhost:{server.port}/ca.pem", None))[0] == 404


async def test_the_session_knows_the_certificate_of_its_client(
    new_server, open_client, folder, tmp_path
):
    clients, found = trustme.CA(), []
    clients.cert_pem.write_to_path(tmp_path / "clients.pem")
    app = new_server(
        tls="auto",
        ca_cert=tmp_path / "clients.pem",
        authorize=lambda request: "operator@lab" in str(request.certificate),
    )

    @app.spawn
    async def main(session):
        found.append(session.request)
        await session.forever()

    async with open_vuer_server(app) as server:
        for who in ("operator@lab.example", "visitor@elsewhere.example"):
            context = trusting(folder)
            clients.issue_cert(who).configure_cert(context)
            if who.startswith("operator"):
                async with open_client(server.uri, ssl_context=context) as client:
                    await client.flush(timeout=60)
                    await eventually(lambda: found)
            else:
                with pytest.raises(ConnectionFailed) as error:
                    async with open_client(server.uri, ssl_context=context):
                        pass
                assert error.value.status == 403
    assert found[0].secure
    assert ("email", "operator@lab.example") in found[0].certificate["subjectAltName"]
    assert len(found) == 1


async def test_the_certificate_follows_the_addresses_while_the_server_runs(
    new_server, open_client, folder, monkeypatch
):
    names = ["localhost"]
    monkeypatch.setattr(automatic_tls, "_INTERVAL", 0.01)
    monkeypatch.setattr(automatic_tls, "machine_names", lambda more: list(names))
    async with open_vuer_server(new_server(tls="auto")) as server:
        async with open_client(server.uri, ssl_context=trusting(folder)) as before:
            moved = {"ssl_context": trusting(folder), "server_hostname": "robot.local"}
            with pytest.raises(ConnectionFailed, match=r"(?i)certificate|name"):
                async with open_client(server.uri, **moved):
                    pass
            first = (folder / "server.pem").read_bytes()
            names.append("robot.local")
            await eventually(lambda: (folder / "server.pem").read_bytes() != first)
            async with open_client(server.uri, **moved) as client:
                await client.flush(timeout=60)
            await before.flush(timeout=60)


async def test_a_renewal_that_fails_is_told_once_and_tried_again(
    new_server, open_client, folder, monkeypatch, caplog
):
    names, tried = ["localhost"], []
    monkeypatch.setattr(automatic_tls, "_INTERVAL", 0.01)
    monkeypatch.setattr(automatic_tls, "machine_names", lambda more: tried.append(1) or list(names))
    async with open_vuer_server(new_server(tls="auto")) as server:
        context = trusting(folder)
        folder.chmod(0o777)  # which is refused
        names.append("robot.local")
        await eventually(lambda: len(tried) > 5)
        failed = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert len(failed) == 1
        assert failed[0].startswith("the certificate cannot be renewed: others may write to the")
        async with open_client(server.uri, ssl_context=context) as client:
            await client.flush(timeout=60)
        folder.chmod(0o700)
        first = (folder / "server.pem").read_bytes()
        await eventually(lambda: (folder / "server.pem").read_bytes() != first)


async def test_a_server_that_cannot_have_a_certificate_does_not_start(new_server, folder):
    folder.write_text("a file")
    with pytest.raises(OSError, match="set VUER_TRIO_DATA to a folder of your own"):
        async with open_vuer_server(new_server(tls="auto")):
            pass


# ---- in the network


class Seen(ServiceListener):
    """What is announced."""

    def __init__(self):
        self.names: set[str] = set()

    def add_service(self, zc, type_, name):
        self.names.add(name)

    def update_service(self, zc, type_, name):
        pass

    def remove_service(self, zc, type_, name):
        self.names.discard(name)


@pytest.fixture
def network():
    """``network(kind)`` gives what others see of a kind of services."""
    zeroconf = Zeroconf()

    def watch(kind):
        seen = Seen()
        zeroconf.add_service_listener(kind, seen)
        seen.info = lambda name: zeroconf.get_service_info(kind, name, 5000)
        return seen

    yield watch
    zeroconf.close()


def threads():
    """But those in which the runtimes keep workers."""
    kept = ("AnyIO worker", "Trio ", "asyncio_")
    return {thread for thread in threading.enumerate() if not thread.name.startswith(kept)}


@pytest.mark.slow
async def test_others_in_the_network_find_the_server_as_long_as_it_runs(new_server, network):
    vuer, web = network("_vuer._tcp.local."), network("_https._tcp.local.")
    before = threads(), task_count(), open_sockets()
    async with open_vuer_server(new_server(tls="auto", mdns=True, token="hidden")) as server:

        def of(seen):
            return [name for name in seen.names if f"({server.port})" in name]

        await eventually(lambda: of(vuer) and of(web), within=20)
        info = await anyio.to_thread.run_sync(vuer.info, of(vuer)[0])
        assert info.port == server.port
        assert info.properties == {b"path": b"/", b"tls": b"1"}
        assert set(info.parsed_addresses()) <= set(announcement.machine_addresses())
        assert info.server.endswith(".local.")
        assert "hidden" not in repr(info)
    await eventually(lambda: not of(vuer) and not of(web), within=20)
    await eventually(lambda: threads() <= before[0])
    await eventually(lambda: task_count() <= before[1] and open_sockets() <= before[2])


@pytest.mark.slow
async def test_a_server_that_is_cancelled_at_once_leaves_nothing(new_server, network):
    before = threads()
    with anyio.CancelScope() as scope:
        async with open_vuer_server(new_server(host=None, mdns=True)):
            await anyio.lowlevel.checkpoint()
            scope.cancel()
            await anyio.sleep_forever()
    await eventually(lambda: threads() <= before)


@pytest.mark.parametrize("why", ["no network", "no socket"])
async def test_without_a_network_the_server_runs_and_says_why(
    new_server, open_client, monkeypatch, caplog, why
):
    if why == "no network":
        monkeypatch.setattr(announcement, "machine_addresses", list)
    else:

        def refuse(*args, **options):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr("zeroconf.Zeroconf", refuse)
    monkeypatch.setattr(announcement, "_INTERVAL", 0.01)
    said = "this machine is in no network" if why == "no network" else "not permitted"
    async with open_vuer_server(new_server(host="0.0.0.0", mdns=True)) as server:
        await eventually(lambda: said in caplog.text)
        async with open_client(f"ws://localhost:{server.port}") as client:
            await client.flush(timeout=60)
    assert caplog.text.count("the server cannot be announced by mDNS") == 1
