"""``/metrics``: the state of a server, for Prometheus and for `vuer-trio top`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from .._hosting.origins import is_from_here
from .metrics import Metrics

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from .._net.http_request import HttpRequest
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["METRICS_PATH", "answer_metrics"]

METRICS_PATH = "/metrics"
_JSON = "application/json"
_METHODS = ("GET", "HEAD")
#: name, of what, and its help
_COUNTERS = (
    ("sent", "messages_sent", "Messages sent to clients."),
    ("received", "messages_received", "Messages received from clients."),
    ("bytes_sent", "payload_sent_bytes", "Bytes of the payload of messages sent."),
    ("bytes_received", "stream_received_bytes", "Bytes received, framing included."),
    ("dropped", "dropped", "Messages and handler calls that a delivery policy has dropped."),
    ("lost", "lost", "Messages in flight when a connection was lost."),
    ("skipped", "broadcasts_skipped", "Broadcasts that a session missed: its outbox was full."),
    ("replaced", "replaced", "Scene changes merged into one that was waiting."),
)
_QUEUES = (
    ("outbox", "outbox_messages", "Messages that wait to be sent"),
    ("outbox_bytes", "outbox_bytes", "Bytes of messages that wait to be sent"),
    ("inbox", "inbox_messages", "Messages that wait to be received"),
    ("inbox_bytes", "inbox_bytes", "Bytes of messages that wait to be received"),
)
_FORBIDDEN = (
    "metrics are for this machine only; for others, start the server with token= or authorize=\n"
)


async def answer_metrics(
    incoming: IncomingRequest,
    metrics: Metrics,
    more: Sequence[tuple[str, str]],
    *,
    authorized: bool,
) -> None:
    """Answer a request. ``more`` are headers of the answer; ``authorized`` says that a token or a
    function has admitted the client; otherwise only this machine is.

    Raises OSError when the stream breaks. Cancelled: the answer may be cut.
    """
    request = incoming.request
    plain = ("content-type", "text/plain; charset=utf-8")
    if not (authorized or is_from_here(request, incoming.host)):
        await incoming.answer(403, [plain, *more], _FORBIDDEN.encode())
    elif request.method not in _METHODS:
        await incoming.answer(405, [("allow", ", ".join(_METHODS)), *more])
    else:
        body, kind = _body(request, metrics)
        vary = ", ".join(["Accept", *(value for name, value in more if name == "vary")])
        fields = [
            ("content-type", kind),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("vary", vary),
            *(field for field in more if field[0] != "vary"),
        ]
        await incoming.answer(200, fields, body)


def _body(request: HttpRequest, metrics: Metrics) -> tuple[bytes, str]:
    """In the form that is asked for: OpenMetrics, JSON, else the older text of Prometheus."""
    accepted = request.header("accept") or ""
    if _JSON in accepted and "openmetrics" not in accepted:
        return json.dumps(metrics.as_data()).encode(), _JSON
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_collector(metrics))
    encode, kind = choose_encoder(accepted)
    body: bytes = encode(registry)
    return body, kind


def _collector(metrics: Metrics) -> Collector:
    from prometheus_client.registry import Collector

    class OfOneServer(Collector):
        def collect(self) -> Iterable[Any]:
            return _families(metrics)

    return OfOneServer()


def _families(metrics: Metrics) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    now = [statistics for _, statistics in metrics.open]
    yield GaugeMetricFamily("vuer_sessions", "Open sessions.", len(now))
    yield CounterMetricFamily("vuer_sessions_opened", "Sessions opened.", metrics.opened)
    yield GaugeMetricFamily(
        "vuer_start_time_seconds", "When the server started, since the epoch.", metrics.started
    )
    totals = metrics.totals(now)
    for name, family, text in _COUNTERS:
        yield CounterMetricFamily(f"vuer_{family}", text, totals[name])
    for name, family, text in _QUEUES:
        depths = [getattr(statistics, name) for statistics in now]
        yield GaugeMetricFamily(f"vuer_{family}", f"{text}, of all sessions.", sum(depths))
        yield GaugeMetricFamily(
            f"vuer_{family}_max", f"{text}, of the session with the most.", max(depths, default=0)
        )
    yield _labelled("vuer_events_received", "Events from clients.", "etype", metrics.received)
    yield _labelled("vuer_refused", "Requests refused, by reason.", "reason", metrics.refused)
    failed = "Exceptions of the program's handlers and session functions."
    yield _labelled("vuer_errors", failed, "where", metrics.failed)
    trips = [statistics.rtt for statistics in now if statistics.rtt is not None]
    rtt = GaugeMetricFamily(
        "vuer_round_trip_seconds", "The latest round trips of open sessions.", labels=["of"]
    )
    if trips:
        for of, value in (("min", min(trips)), ("median", median(trips)), ("max", max(trips))):
            rtt.add_metric([of], value)
    yield rtt
    silences = [statistics.silence for statistics in now if statistics.silence is not None]
    yield GaugeMetricFamily(
        "vuer_silence_seconds_max",
        "Seconds since the session that is silent longest was heard.",
        max(silences, default=0),
    )


def _labelled(name: str, text: str, label: str, counts: dict[str, int]) -> Any:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
