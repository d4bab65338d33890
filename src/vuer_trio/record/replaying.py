"""Replaying a recording, as the client or as the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .._connection.checkpoints import CheckpointThrottle
from .._formatting import must_be
from .._interrupts import call_unprotected
from .._runtime import runtime
from ..events import Event
from .recording import Recording
from .script import Script

if TYPE_CHECKING:
    from ..server import Vuer, VuerSession

__all__ = ["check_speed", "replay", "replay_server"]


async def replay(
    script: Iterable[tuple[float, Any]] | Recording,
    send: Callable[[Any], Awaitable[object] | None],
    *,
    speed: float = 1.0,
    loop: bool = False,
) -> int:
    """Send the events of a script at their times. Returns the number of events sent.

    ``script`` is an iterable of pairs of a delay in seconds and an event, as `Recording.script`
    returns; for a `Recording`, it is the events of the client. ``send`` may be sync or async, and
    is usually ``client.send``. Times are counted from the first event, so that delays do not add
    up: a late event is sent immediately. ``speed=2`` is twice as fast; with `math.inf`, only the
    order is kept. ``loop`` starts over at the end, until it is cancelled or there is nothing to
    send.

    Raises whatever ``send`` raises, and TypeError and ValueError for invalid arguments. Cancelled:
    no event is truncated; whether the current one is sent depends on ``send``.
    """
    check_speed(speed)
    events = script.script() if isinstance(script, Recording) else script
    if loop and iter(events) is events:
        what = "a list for loop=True, not an iterator"
        raise TypeError(must_be("events", what, events, secret=True))
    rt = runtime()
    throttle = CheckpointThrottle(rt)
    sent = 0
    await throttle.turn()
    due = rt.current_time()
    while True:
        before = sent
        for delay, event in events._steps() if isinstance(events, Script) else events:
            if event is None and isinstance(events, Script):  # messages that are left out
                if perf_counter() >= throttle.due:
                    await throttle.turn()
                continue
            due += delay / speed
            if due > rt.current_time():
                await rt.sleep_until(due)
                throttle.restart()
            elif perf_counter() >= throttle.due:
                await throttle.turn()
            await call_unprotected(send, event)
            sent += 1
        if not loop or sent == before:
            return sent


def replay_server(
    recording: Recording,
    host: str | None = "localhost",
    port: int | None = None,
    *,
    speed: float = 1.0,
    loop: bool = False,
    etypes: Iterable[str] | None = None,
    **options: Any,
) -> Vuer:
    """A server that replays the events of the recorded server to each client, from the start.

    It begins when the client's INIT has arrived. After the last event, the session is closed with
    1000. ``host``, ``port`` and ``options`` are those of `Vuer`. Open the server with
    `open_vuer_server`, or call its ``start()``.
    """
    from ..server import Vuer

    check_speed(speed)
    script = recording.script("server", etypes=None if etypes is None else list(etypes))
    app = Vuer(host, port, **options)

    @app.spawn
    async def play(session: VuerSession) -> None:
        await replay(script, _send_to(session), speed=speed, loop=loop)

    return app


def _send_to(session: VuerSession) -> Callable[[Event], Awaitable[object]]:
    return session.send  # type: ignore[return-value]  # a server's script has ServerEvents


def check_speed(speed: float) -> None:
    if isinstance(speed, bool) or not isinstance(speed, int | float):
        raise TypeError(must_be("speed", "a number", speed, "use 1 for the recorded speed"))
    if not speed > 0:
        raise ValueError(
            must_be("speed", "more than 0", speed, "use math.inf to replay without waiting")
        )
