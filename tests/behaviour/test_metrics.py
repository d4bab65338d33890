"""``Vuer(metrics=True)``: what it counts, in which form, and for whom."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.behaviour.raw_client import request
from tests.behaviour.test_passing_on import DEADLINE, Raw, asked, until
from tests.recording_proxy import proxy_to
from vuer_trio import ConnectionClosed, ConnectionFailed, open_vuer_server
from vuer_trio.events import ClientEvent, ServerEvent

pytestmark = pytest.mark.anyio
OPENMETRICS = "Accept: application/openmetrics-text; version=1.0.0"
JSON = "Accept: application/json"


async def get(
    port: int, *headers: str, target: str = "/metrics", method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    if not any(name.startswith("Host:") for name in headers):
        headers = (f"Host: 127.0.0.1:{port}", *headers)
    stream = Raw(await anyio.connect_tcp("127.0.0.1", port))
    await stream.send(asked(method, target, *headers))
    head, _, body = (await stream.rest()).partition(b"\r\n\r\n")
    await stream.aclose()
    first, *lines = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), fields, body


def samples(body: bytes) -> dict[str, float]:
    """By name and label."""
    found = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            label = "".join(f"{{{value}}}" for value in sample.labels.values())
            found[sample.name + label] = sample.value
    return found


async def test_what_is_counted(backend, new_server, open_client):
    app = new_server(metrics=True)

    @app.add_handler("FAILS")
    def fails(event, session):
        raise ValueError("on purpose")

    @app.spawn
    async def echo(session):
        if session.path == "/fails":
            raise ValueError("on purpose")
        async for event in session:
            if event.etype == "X":
                session @ ServerEvent(event.value, etype="ECHO")

    async with open_vuer_server(app) as server:
        async with open_client(server.uri) as client:
            for n in range(5):
                await client.send(ClientEvent(value=n, etype="X"))
                assert (await client.recv(timeout=DEADLINE)).data == n
            await client.send(ClientEvent(etype="FAILS"))
            await client.send(ClientEvent(etype="REPLY@1234"))
            await client.flush()
            await until(lambda: app._serving.metrics.failed["handler"])
            status, fields, body = await get(server.port, OPENMETRICS)
            assert status == 200
            assert fields["content-type"].startswith("application/openmetrics-text")
            assert fields["cache-control"] == "no-store"
            assert "accept" in fields["vary"]
            now = samples(body)
            assert now["vuer_sessions"] == 1
            assert now["vuer_sessions_opened_total"] == 1
            assert now["vuer_messages_received_total"] == 8
            assert now["vuer_messages_sent_total"] == 5
            assert now["vuer_payload_sent_bytes_total"] > 100
            assert now["vuer_events_received_total{X}"] == 5
            assert now["vuer_events_received_total{INIT}"] == 1
            assert now["vuer_events_received_total{REPLY}"] == 1
            assert now["vuer_errors_total{handler}"] == 1
            assert now["vuer_outbox_messages"] == now["vuer_outbox_messages_max"] == 0
            assert now["vuer_silence_seconds_max"] < DEADLINE
        await until(lambda: not app.sessions)
        async with open_client(f"{server.uri}/fails") as client:
            with pytest.raises(ConnectionClosed):
                await client.recv(timeout=DEADLINE)
        await until(lambda: not app.sessions)
        now = samples((await get(server.port, OPENMETRICS))[2])
        assert now["vuer_sessions"] == 0
        assert now["vuer_sessions_opened_total"] == 2
        assert now["vuer_messages_received_total"] == 9  # of sessions that have ended
        assert now["vuer_errors_total{session}"] == 1


async def test_round_trips(backend, new_server, open_client):
    app = new_server(metrics=True, heartbeat=0.05)
    async with open_vuer_server(app) as server, open_client(server.uri):
        await until(lambda: app.sessions and app.sessions[0].statistics().rtt is not None)
        now = samples((await get(server.port, OPENMETRICS))[2])
        assert 0 <= now["vuer_round_trip_seconds{min}"] <= now["vuer_round_trip_seconds{max}"]


async def test_a_client_cannot_make_labels(backend, new_server, open_client):
    app = new_server(metrics=True)
    async with open_vuer_server(app) as server:
        async with open_client(server.uri) as client:
            for n in range(300):
                await client.send(ClientEvent(etype=f'E{n}\n"{{}}'))
            await client.send(ClientEvent(etype="L" * 100_000))
            await client.flush()
            body = (await get(server.port, OPENMETRICS))[2]
            now = samples(body)
    types = [name for name in now if name.startswith("vuer_events_received_total")]
    assert len(types) == 101
    assert now["vuer_events_received_total{(others)}"] == 202
    assert len(body) < 20_000


async def test_refusals_are_counted_by_reason(backend, new_server, open_client):
    app = new_server(
        metrics=True, token="right", authorize=lambda request: request.path != "/no", max_sessions=1
    )
    bearer = "Authorization: Bearer right"
    async with open_vuer_server(app) as server:
        with pytest.raises(ConnectionFailed):
            await open_client(f"{server.uri}?token=wrong").connect()
        with pytest.raises(ConnectionFailed):
            await open_client(f"{server.uri}/no?token=right").connect()
        assert (await get(server.port, "Origin: https://evil.test"))[0] == 403
        async with open_client(f"{server.uri}?token=right") as client:
            await client.flush()
            with pytest.raises(ConnectionFailed):
                await open_client(f"{server.uri}?token=right").connect()
        now = samples((await get(server.port, OPENMETRICS, bearer))[2])
        found = {reason: now[f"vuer_refused_total{{{reason}}}"] for reason in app_reasons()}
        assert found == {"origin": 1, "token": 1, "authorize": 1, "full": 1, "init": 0}


def app_reasons() -> tuple[str, ...]:
    from vuer_trio.server.metrics import REASONS

    return REASONS


async def test_the_form_is_the_one_that_is_asked_for(backend, new_server, open_client):
    async with open_vuer_server(new_server(metrics=True)) as server:
        async with open_client(server.uri) as client:
            await client.flush()
            status, fields, body = await get(server.port, "Accept: text/plain")
            assert fields["content-type"].startswith("text/plain")
            assert {f.name for f in parse_text(body.decode())} >= {"vuer_sessions"}
            status, fields, body = await get(server.port, JSON)
            assert fields["content-type"] == "application/json"
            data = json.loads(body)
            [session] = data["sessions"]
            assert session["received"] == 1
            assert session["client"] == "python"
            assert {"peer", "age", "rtt", "outbox_bytes", "skipped"} <= session.keys()
            assert data["server"]["events"] == {"INIT": 1}
            status, fields, body = await get(server.port, method="HEAD")
            assert (status, body) == (200, b"")
            assert int(fields["content-length"]) > 100
            status, fields, _ = await get(server.port, method="DELETE")
            assert (status, fields["allow"]) == (405, "get, head")


async def test_off_by_default(backend, new_server):
    async with open_vuer_server(new_server()) as server:
        assert (await get(server.port))[0] == 404
        assert (await get(server.port, JSON))[0] == 404


FOREIGN: dict[str, tuple[str, ...]] = {
    "a name of another machine": ("Host: 192.168.1.7",),
    "a proxy": ("X-Forwarded-For: 192.168.1.7",),
    "another proxy": ("Forwarded: for=192.168.1.7",),
    "a proxy that does not say for whom": ("X-Forwarded-For: ",),
    "a proxy that only says how": ("X-Forwarded-Proto: https",),
    "nginx": ("X-Real-IP: 192.168.1.7",),
    "Cloudflare": ("CF-Connecting-IP: 203.0.113.5",),
    "a proxy of RFC 9110": ("Via: 1.1 a",),
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_without_a_rule_only_this_machine_gets_it(backend, new_server, headers):
    async with open_vuer_server(new_server(metrics=True)) as server:
        status, _, body = await get(server.port, *headers)
        assert status == 403
        assert b"start the server with token= or authorize=" in body


async def test_not_through_a_proxy_either(backend, new_server):
    async with open_vuer_server(new_server(metrics=True)) as server:
        async with proxy_to(server.uri) as proxy:
            assert (await get(proxy.port))[0] == 403


async def test_who_has_the_token_gets_it_from_anywhere(backend, new_server):
    async with open_vuer_server(new_server(metrics=True, token="right")) as server:
        assert (await get(server.port))[0] == 401  # this machine, too
        assert (await get(server.port, "Authorization: Bearer wrong"))[0] == 401
        for headers in FOREIGN.values():
            assert (await get(server.port, *headers, "Authorization: Bearer right"))[0] == 200
        assert (await get(server.port, target="/metrics?token=right"))[0] == 200
        assert (await get(server.port, method="OPTIONS"))[0] == 405


async def test_authorize_is_asked(backend, new_server):
    asked_for: list[Any] = []

    def authorize(request):
        asked_for.append((request.path, request.websocket))
        return 404

    async with open_vuer_server(new_server(metrics=True, authorize=authorize)) as server:
        assert (await get(server.port))[0] == 404
        stream = Raw(await anyio.connect_tcp("127.0.0.1", server.port))
        await stream.send(request("/metrics"))
        await stream.rest()
        await stream.aclose()
    assert asked_for == [("/metrics", False), ("/metrics", True)]
