"""`lagging` itself: everything that arrives is late, and nothing is lost."""

from __future__ import annotations

import ssl

import anyio
import pytest
import sniffio
import trio
import trio.testing

from tests.behaviour.numbered_events import Number
from tests.repetitions import cancel_everywhere
from tests.scripted_server import peer_inside, serve_peer
from vuer_trio import Vuer, open_vuer_server
from vuer_trio._net import layers
from vuer_trio.events import ServerEvent
from vuer_trio.testing import lagging, shuffled, vuer_client, vuer_server

pytestmark = pytest.mark.anyio


def echo(**options) -> Vuer:
    app = Vuer(port=0, **options)
    app.add_handler(
        "NUMBER", lambda event, session: session @ ServerEvent(event.value, etype="BACK")
    )
    return app


async def round_trips(client, count: int) -> list[float]:
    """How long each of so many takes; 0 on real clocks, whose times say nothing."""
    times = []
    for n in range(count):
        started = anyio.current_time()
        await client.send(Number(value=n))
        assert (await client.recv(timeout=60)).data == n
        times.append(anyio.current_time() - started)
    return times


def in_virtual_time(fn):
    return trio.run(fn, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.fixture(autouse=True)
def _no_other_lag(monkeypatch):
    monkeypatch.setattr(layers, "_layers", [])


def test_each_read_lags_by_up_to_so_much_and_a_seed_tells_by_how_much():
    times = []

    async def main():
        async with vuer_server(echo()) as server, vuer_client(server) as client:
            times[:] = await round_trips(client, 40)

    def run(seed):
        with lagging(0.5, seed=seed):
            shuffled(main, seeds=[0])  # of the two ends, the same one is always the first
        return list(times)

    shuffled(main, seeds=1)
    assert times == [0.0] * 40
    found = run(1)
    assert 0 < min(found) < 0.35
    assert 0.65 < max(found) <= 1  # the server lags, and the client
    assert run(2) != found
    assert run(1) == found


def test_the_end_lags_too_and_a_connection_of_another_block_does_not():
    async def main():
        async with vuer_server(echo()) as server:
            with lagging(2):
                late = await vuer_client(server).connect()
            async with vuer_client(server) as client:
                assert await round_trips(client, 3) == [0.0] * 3
                started = trio.current_time()
                server.cancel()
                await late.wait_closed()
                assert trio.current_time() > started
                assert (late.close_code, late.close_reason) == (1001, client.close_reason)

    in_virtual_time(main)


async def test_over_sockets(open_client, new_server):
    app = new_server()
    app.add_handler(
        "NUMBER", lambda event, session: session @ ServerEvent(event.value, etype="BACK")
    )
    with lagging(0.003, seed=5):
        async with open_vuer_server(app) as server, open_client(server.uri) as client:
            await round_trips(client, 20)
            for n in range(500):
                client.send @ Number(value=n, pad=bytes(1000))
            assert [(await client.recv(timeout=60)).data for _ in range(500)] == list(range(500))


async def test_below_tls(backend, tmp_path):
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "cert.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with lagging(0.003):
        app = echo(transport=backend.transport, cert=str(tmp_path / "cert.pem"))
        async with open_vuer_server(app) as server:
            uri = f"wss://localhost:{server.port}"
            async with vuer_client(uri, ssl_context=context) as client:
                await round_trips(client, 10)


@pytest.mark.parametrize("open_peer", [peer_inside, serve_peer], ids=["memory", "tcp"])
@pytest.mark.no_cover
async def test_a_cancelled_read_loses_nothing(open_client, open_peer):
    async def counts(conn):
        await conn.accept()
        for n in range(6):
            await conn.send_event({"etype": "N", "data": n})
        await conn.wait_ended()

    async def scenario(here):
        got = []
        with lagging(0.002):
            async with open_peer(counts) as peer, open_client(peer.uri) as client:
                async with here:
                    for _ in range(4):
                        got.append((await client.recv()).data)
                while len(got) < 6:
                    got.append((await client.recv(timeout=60)).data)
                assert got == list(range(6))

    assert await cancel_everywhere(scenario) > 2
    if sniffio.current_async_library() == "asyncio":
        await cancel_everywhere(scenario, native=True)


def test_a_program_that_takes_two_connections_for_one_is_found_out():
    async def main():
        app, seen = Vuer(), []
        app.add_handler("NUMBER", lambda event, session: seen.append(event.value))
        async with vuer_server(app) as server:
            async with vuer_client(server) as one, vuer_client(server) as other:
                for n in range(20):
                    await (one, other)[n % 2].send(Number(value=n))
                    await trio.sleep(0.01)
                await one.flush()
                await other.flush()
                await trio.sleep(100)
        assert seen == list(range(20))

    in_virtual_time(main)
    with pytest.raises(AssertionError), lagging(0.05):
        in_virtual_time(main)


def test_blocks_may_be_nested_and_leave_nothing_behind():
    with lagging(1):
        with lagging(2):
            assert len(layers._layers) == 2
        assert len(layers._layers) == 1
    assert layers._layers == []


@pytest.mark.parametrize(
    ("most", "error", "said"),
    [
        ("5", TypeError, "most must be a number of seconds, got '5'"),
        (True, TypeError, "most must be a number of seconds, got True"),
        (-1, ValueError, "most must be at least 0, and finite, got -1"),
        (float("inf"), ValueError, "most must be at least 0, and finite, got inf"),
        (float("nan"), ValueError, "most must be at least 0, and finite, got nan"),
    ],
)
def test_misuse_is_told(most, error, said):
    with pytest.raises(error, match=said), lagging(most):
        pass
