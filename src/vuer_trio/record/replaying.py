"""Playing a recording again, as the client or as the server."""

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

if TYPE_CHECKING:
    from ..server import Vuer, VuerSession

__all__ = ["replay", "replay_server"]


async def replay(
    script: Iterable[tuple[float, Any]] | Recording,
    send: Callable[[Any], Awaitable[object] | None],
    *,
    speed: float = 1.0,
    loop: bool = False,
) -> int:
    """Send the events of a script at their times; returns how many.

    ``script`` iterates pairs of a delay in seconds and an event, as `Recording.script` does; a
    `Recording` stands for what its client has sent. ``send`` is sync or async, usually
    ``client.send``. Each event has a deadline, counted from the first, so that delays do not add
    up: a late event is sent immediately. ``speed`` 2 is twice as fast; at `math.inf` only the order
    is left. ``loop`` starts over at the end, and ends only by a cancellation, or if there is
    nothing to send.

    Raises what ``send`` raises, TypeError and ValueError for invalid arguments. Cancelled: no event
    is truncated; ``send`` says what becomes of the one on its way.
    """
    _check_speed(speed)
    events = script.script() if isinstance(script, Recording) else script
    if loop and iter(events) is events:
        what = "a list, for loop=True, and nothing that can be gone through only once"
        raise TypeError(must_be("events", what, events, secret=True))
    rt = runtime()
    throttle = CheckpointThrottle(rt)
    sent = 0
    await throttle.turn()
    due = rt.current_time()
    while True:
        before = sent
        for delay, event in events:
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
    """A server that sends what the recorded server has sent, to each client from the start.

    It begins when the client's INIT is there. After the last event the session is closed with
    1000. ``host``, ``port`` and ``options`` are those of `Vuer`; open it with `open_vuer_server`,
    or call its ``start()``.
    """
    from ..server import Vuer

    _check_speed(speed)
    script = recording.script("server", etypes=None if etypes is None else list(etypes))
    app = Vuer(host, port, **options)

    @app.spawn
    async def play(session: VuerSession) -> None:
        await replay(script, _send_to(session), speed=speed, loop=loop)

    return app


def _send_to(session: VuerSession) -> Callable[[Event], Awaitable[object]]:
    return session.send  # type: ignore[return-value]  # a script of the server's has its events


def _check_speed(speed: float) -> None:
    if isinstance(speed, bool) or not isinstance(speed, int | float):
        raise TypeError(must_be("speed", "a number", speed, "use 1 for the recorded speed"))
    if not speed > 0:
        raise ValueError(
            must_be("speed", "more than 0", speed, "use math.inf to replay without waiting")
        )
