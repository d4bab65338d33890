"""What an app does for its clients: the functions of `Vuer.spawn` and `Vuer.bind`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing, closing, suppress
from inspect import isasyncgenfunction, isawaitable, isgenerator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .._runtime import Runtime
from .._signatures import check_is_async, check_is_generator, check_takes
from ..events import NULL, ClientEvent, Frame, ServerEvent
from .answered_yields import asks, looks_at_answer
from .client_events import ClientEvents
from .client_filter import ClientFilter
from .tasks import name_of

if TYPE_CHECKING:
    from .session import VuerSession

__all__ = ["Bound", "GeneratorHandler", "SessionHandler", "Spawned"]

#: what a function of `Vuer.bind` gives
Bound: TypeAlias = AsyncGenerator[Any, Any] | Generator[Any, Any, Any]


class SessionHandler(Protocol):
    """What runs for one session, and decides how long it lasts."""

    #: the name of the function, for logs
    name: str
    #: the function
    fn: Callable[..., Any]

    async def run(self, session: VuerSession, rt: Runtime) -> None:
        """When it returns, the session is closed."""


class Spawned:
    """A function of `Vuer.spawn`, for the clients that ``filters`` match."""

    def __init__(
        self, fn: Callable[[VuerSession], Awaitable[object]], filters: Mapping[str, str]
    ) -> None:
        if not callable(fn):
            raise TypeError(f"spawn({fn!r}): pass an async function of the session")
        if isasyncgenfunction(fn):
            raise TypeError(f"spawn({fn!r}): it yields, so pass it to bind")
        check_is_async("spawn", fn)
        check_takes("spawn", fn, ["session"])
        self.name: str = name_of(fn)
        self.fn: Callable[..., Any] = fn
        self.matches: Callable[[object], bool] = ClientFilter(filters).matches

    async def run(self, session: VuerSession, rt: Runtime) -> None:
        result = self.fn(session)
        if not isawaitable(result):
            raise TypeError(f"{self.name} returned nothing to await: spawn an async function")
        await result


class GeneratorHandler:
    """A function of `Vuer.bind`, a generator function, async or not. What it yields is sent.

    A `Frame` sends its event, and the generator goes on with a NULL event ``1 / frame_rate``
    seconds after the last frame was due: a frame that is late does not delay the following ones.
    ``event = yield event`` waits for the client's next event, and so does any ``yield NOOP``, which
    sends nothing. A ``yield`` whose value is thrown away goes on at once.
    """

    def __init__(self, fn: Callable[[VuerSession], Bound]) -> None:
        if not callable(fn):
            raise TypeError(f"bind({fn!r}): pass an async generator function of the session")
        check_is_generator("bind", fn)
        check_takes("bind", fn, ["session"])
        self.name: str = name_of(fn)
        self.fn: Callable[..., Any] = fn

    async def run(self, session: VuerSession, rt: Runtime) -> None:
        generator: Any = self.fn(session)
        if isgenerator(generator):
            steps: Any = _Steps(generator)
        elif hasattr(generator, "__anext__"):
            steps = generator
        else:
            close = getattr(generator, "close", None)
            if close is not None:
                close()
            raise TypeError(f"{self.fn!r} yields nothing: bind an async generator function")
        events = ClientEvents(session, rt)
        if asks(generator):
            events.begin()
        async with aclosing(steps):
            with suppress(StopAsyncIteration), closing(events):
                await self._send_all(generator, steps.asend, session, rt, events)

    async def _send_all(
        self,
        generator: Any,
        step: Callable[[ClientEvent | None], Awaitable[Any]],
        session: VuerSession,
        rt: Runtime,
        events: ClientEvents,
    ) -> None:
        """Raises StopAsyncIteration at the end of the generator."""
        due, first = 0.0, True
        answer: ClientEvent | None = None  # as it has to be at first
        while True:
            item = await step(answer)
            if item != "NOOP":
                event: ServerEvent = item.data if isinstance(item, Frame) else item
                if first and session._has_room:
                    session @ event  # in the generator's first step, before any handler runs
                else:
                    await session.send(event)
            first = False
            if isinstance(item, Frame):
                now = rt.current_time()
                due = max(now, due + 1 / item.frame_rate) if due else now + 1 / item.frame_rate
                await rt.sleep_until(due)
                answer = NULL
            elif item == "NOOP" or looks_at_answer(generator):
                answer = await events.next()
            else:
                answer = NULL


class _Steps:
    """A generator that is not async, called as one that is."""

    def __init__(self, generator: Generator[Any, Any, Any]) -> None:
        self._generator = generator

    async def asend(self, value: Any) -> Any:
        try:
            return self._generator.send(value)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self._generator.close()
