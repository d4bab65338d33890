"""What a server does for a client by itself: the functions of `Vuer.spawn` and `Vuer.bind`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from fnmatch import fnmatchcase
from inspect import isasyncgenfunction, isawaitable
from typing import TYPE_CHECKING, Any, Protocol

from .._runtime import Runtime
from .._signatures import check_is_async, check_is_async_generator, check_takes
from ..events import Frame, ServerEvent
from .tasks import name_of

if TYPE_CHECKING:
    from .session import VuerSession

__all__ = ["GeneratorHandler", "SessionHandler", "Spawned"]


#: what a pattern can match; the text of other values may be anything, or fail
_PLAIN = (str, int, float)


class SessionHandler(Protocol):
    """Runs for one session."""

    #: of the function, for logs
    name: str

    async def run(self, session: VuerSession, rt: Runtime) -> None:
        """Its life is the session's: when it returns, the session is closed."""


class Spawned:
    """An async function of the session, for the clients that ``filters`` match.

    A filter is a pattern, ``client="brow*"``, for a key of the INIT event's value.
    """

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
        self._fn = fn
        self._filters = {name: str(pattern) for name, pattern in filters.items()}

    def matches(self, info: object) -> bool:
        """Whether it is for a client that tells so of itself."""
        if not self._filters:
            return True
        return isinstance(info, Mapping) and all(
            isinstance(info.get(name), _PLAIN) and fnmatchcase(str(info[name]), pattern)
            for name, pattern in self._filters.items()
        )

    async def run(self, session: VuerSession, rt: Runtime) -> None:
        result = self._fn(session)
        if not isawaitable(result):
            raise TypeError(f"{self.name} returned nothing to await: spawn an async function")
        await result


class GeneratorHandler:
    """An async generator function of the session; what it yields is sent.

    A `Frame` sends its event and lasts 1/``frame_rate`` seconds, by the clock: a frame that was
    late does not delay the next ones.
    """

    def __init__(self, fn: Callable[[VuerSession], AsyncGenerator[Any, None]]) -> None:
        if not callable(fn):
            raise TypeError(f"bind({fn!r}): pass an async generator function of the session")
        check_is_async_generator("bind", fn)
        check_takes("bind", fn, ["session"])
        self.name: str = name_of(fn)
        self._fn = fn

    async def run(self, session: VuerSession, rt: Runtime) -> None:
        due = 0.0
        generator = self._fn(session)
        if not hasattr(generator, "__anext__"):
            close = getattr(generator, "close", None)
            if close is not None:
                close()
            raise TypeError(f"{self._fn!r} yields nothing: bind an async generator function")
        first = True
        async with aclosing(generator):
            async for item in generator:
                event: ServerEvent = item.data if isinstance(item, Frame) else item
                if not (first and session._has_room):
                    await session.send(event)
                else:  # in the generator's first step, before any handler runs
                    session @ event
                first = False
                if not isinstance(item, Frame):
                    continue
                now = rt.current_time()
                due = max(now, due + 1 / item.frame_rate) if due else now + 1 / item.frame_rate
                await rt.sleep_until(due)
