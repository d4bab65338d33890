"""What `top` says of a server's sessions: its report, or why there is none."""

from __future__ import annotations

from argparse import Namespace

import pytest
import trio

from vuer_trio._http import Answer
from vuer_trio.cli import server_metrics
from vuer_trio.cli.server_metrics import ServerMetrics

pytestmark = pytest.mark.trio

REPORT = b'{"sessions": []}'


@pytest.fixture
def asked(monkeypatch):
    """``asked(outcome)``: metrics of a server that gives it, asked twice; and what it was asked."""
    requests = []

    async def follow(outcome, uri="ws://robot:8012"):
        async def ask(*args, **options):
            requests.append((args, options))
            if outcome is None:
                await trio.sleep_forever()
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(server_metrics, "ask", ask)
        args = Namespace(uri=uri, header=None, ca_cert=None, insecure=False, timeout=2.0)
        metrics = ServerMetrics(args)
        with trio.move_on_after(14):  # it is asked again after ten seconds
            await metrics.follow(5)
        return metrics, requests

    return follow


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (ImportError("httpx2"), "sessions are shown with the package httpx2: pip install httpx2"),
        (OSError("refused"), "/metrics: refused"),
        (ValueError("no HTTP"), "/metrics: no HTTP"),
        (None, "/metrics: no answer within 2 s"),
        (Answer(500, {}, b""), "/metrics: the server answered 500"),
        (Answer(401, {}, b""), "the server wants a token to show its sessions; use --header"),
        (Answer(200, {}, b"<html>"), "the server does not show its sessions; start it with Vuer("),
        (Answer(200, {}, b'{"sessions": 3}'), "the server does not show its sessions; start it"),
    ],
)
async def test_why_there_is_none(autojump_clock, asked, outcome, why):
    metrics, requests = await asked(outcome)
    assert metrics.why.startswith(why)
    assert metrics.latest is None
    assert len(requests) == 2


async def test_a_report_is_asked_for_with_the_token_of_the_uri(autojump_clock, asked):
    metrics, requests = await asked(Answer(200, {}, REPORT), "wss://robot/?token=secret")
    assert (metrics.latest, metrics.why) == ({"sessions": []}, "")
    assert len(requests) == 3
    args, options = requests[0]
    assert args == ("GET", "https://robot/metrics")
    assert ("authorization", "Bearer secret") in options["headers"]
    assert "secret" not in args[1]
