"""What ``Vuer(metrics=True)`` counts while a server runs. Sync, and bounded whatever clients do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import asdict
from time import time
from typing import TYPE_CHECKING, Any, TypeVar

from .._errors import ClientClosed, ConnectionClosed
from .._formatting import shown
from .._hosting.authorization import Authorization, Denial
from .._hosting.origins import Origins
from .._hosting.places import NoPlace, Places

if TYPE_CHECKING:
    from .._connection.statistics import Statistics
    from .._net.http_request import HttpRequest
    from .._websocket.incoming_request import IncomingRequest
    from ..events import ClientEvent
    from .session import VuerSession

__all__ = [
    "OTHERS",
    "REASONS",
    "CountedAuthorization",
    "CountedOrigins",
    "CountedPlaces",
    "Metrics",
    "check_metrics",
]

T = TypeVar("T")
#: stands for all event types beyond `_MOST_TYPES`, because a client may invent one for each event
OTHERS = "(others)"
_MOST_TYPES = 100
#: characters of an event type, and of what a client calls itself
_LONGEST = 64
#: why somebody was not let in, or let go
REASONS = ("origin", "token", "authorize", "full", "init")
#: of `Statistics`, what goes on counting when a session has ended
TOTALS = (
    *("sent", "bytes_sent", "received", "bytes_received", "dropped", "lost", "skipped"),
    "replaced",
)


def check_metrics() -> None:
    """Raises ImportError without the extra ``metrics``."""
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "metrics=True needs prometheus-client: pip install 'vuer-trio[metrics]'"
        ) from error


class Metrics:
    """Of one run of a server. ``sessions`` are the open ones."""

    def __init__(self, sessions: Collection[VuerSession]) -> None:
        self._sessions = sessions
        self._began: dict[VuerSession, float] = {}  # in seconds since the epoch
        #: seconds since the epoch
        self.started: float = time()
        #: sessions that have opened so far
        self.opened: int = 0
        #: of `REASONS`: how often
        self.refused: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        #: of "handler" and "session": exceptions of the program's functions
        self.failed: Counter[str] = Counter(handler=0, session=0)
        #: events by their type, of a bounded number of types
        self.received: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()  # of `TOTALS`, of sessions that have ended

    # ---- counting

    def watch(self, session: VuerSession) -> None:
        """A session is about to open."""
        session._dispatcher.on_event = self._saw
        session._dispatcher.on_failure = self._handler_failed

    def joined(self, session: VuerSession) -> None:
        """A session has opened."""
        self.opened += 1
        self._began[session] = time()

    def left(self, session: VuerSession) -> None:
        """A session has ended; one that has not opened does not count."""
        if self._began.pop(session, None) is not None:
            self._ended.update(_totals(session.statistics()))

    def _saw(self, event: ClientEvent) -> None:
        # The part after "@" is that of one request.
        etype = event.etype.partition("@")[0]
        if etype not in self.received:
            etype = shown(etype, _LONGEST)
            if etype not in self.received and len(self.received) >= _MOST_TYPES:
                etype = OTHERS
        self.received[etype] += 1

    def _handler_failed(self) -> None:
        self.failed["handler"] += 1

    async def watched(self, fn: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Call a session's function, and count its exceptions."""
        try:
            return await fn(*args)
        except (ConnectionClosed, ClientClosed):
            raise
        except Exception:
            self.failed["session"] += 1
            raise

    def refuse(self, reason: str) -> None:
        """Count a client that is refused."""
        self.refused[reason] += 1

    # ---- reading

    @property
    def open(self) -> list[tuple[VuerSession, Statistics]]:
        """The open sessions, and their state."""
        return [(session, session.statistics()) for session in tuple(self._sessions)]

    def totals(self, now: Iterable[Statistics]) -> Counter[str]:
        """Of all sessions so far, with how the open ones are."""
        sums = Counter(dict.fromkeys(TOTALS, 0))
        sums.update(self._ended)
        for statistics in now:
            sums.update(_totals(statistics))
        return sums

    def as_data(self) -> dict[str, Any]:
        """For `vuer-trio top`: each session by itself."""
        now, sessions = time(), self.open
        return {
            "server": {
                "uptime": now - self.started,
                "sessions": len(sessions),
                "opened": self.opened,
                "refused": dict(self.refused),
                "failed": dict(self.failed),
                "events": dict(self.received),
                **self.totals(statistics for _, statistics in sessions),
            },
            "sessions": [
                {
                    "peer": session.peer,
                    "client": shown(str(session.client_info.get("client", "")), _LONGEST),
                    "age": now - self._began.get(session, now),
                    **asdict(statistics),
                }
                for session, statistics in sessions
            ],
        }


def _totals(statistics: Statistics) -> dict[str, int]:
    return {name: getattr(statistics, name) for name in TOTALS}


# ---- who is not let in


class CountedOrigins(Origins):
    """Counts what it refuses."""

    metrics: Metrics

    def refusal(self, request: HttpRequest, *, secure: bool) -> str | None:
        why = super().refusal(request, secure=secure)
        if why is not None:
            self.metrics.refuse("origin")
        return why


class CountedAuthorization(Authorization):
    """Counts the requests that it denies."""

    metrics: Metrics

    async def check(self, incoming: IncomingRequest) -> Denial | None:
        denial = await super().check(incoming)
        if denial is not None:
            self.metrics.refuse("token" if denial.status == 401 else "authorize")
        return denial


class CountedPlaces(Places[Any]):
    """Counts those that find no place, and those that lose theirs."""

    metrics: Metrics

    def enter(self, who: Any, host: str | None) -> Any:
        try:
            out = super().enter(who, host)
        except NoPlace:
            self.metrics.refuse("full")
            raise
        if out is not None:
            self.metrics.refuse("init")
        return out
