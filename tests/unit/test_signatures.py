"""Functions that cannot be called for an event, or a session, are refused when registered."""

from __future__ import annotations

import asyncio
import functools
import types
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from vuer_trio import Vuer, VuerClient

if TYPE_CHECKING:
    from nowhere import Unknown


def app() -> Any:
    return Vuer(port=0)


def client() -> Any:
    return VuerClient("ws://localhost:1")


def of_an_event(event: Unknown) -> Unknown: ...


def of_both(event: Unknown, session: Unknown = None, /, *, speed: int = 1) -> None: ...


def of_a_keyword(event: object, session: object, *, speed: int) -> None: ...


def of_nothing() -> None: ...


async def program(session: object) -> None: ...


async def program_of_two(session: object, speed: int) -> None: ...


async def generator(session: object) -> Any:
    yield session


async def generator_of_nothing() -> Any:
    yield


def plain_generator(session: object) -> Any:
    yield session


def sync(session: object) -> None:
    print(session)


def sync_on_every_way(session: Any) -> bool:
    if session.connected:
        return True
    for _ in session:
        return False
    return True


def returns_an_awaitable(session: Any) -> Any:
    return program(session) if session else None


def returns_a_generator(session: object) -> Any:
    return generator(session)


@types.coroutine
def old_coroutine(session: object) -> Any:
    yield session


def wraps(fn: Any) -> Any:
    @functools.wraps(fn)
    def wrapper(*args: Any) -> Any:
        return fn(*args[:1])

    return wrapper


def wraps_for_both(fn: Any) -> Any:
    @functools.wraps(fn)
    def wrapper(event: object, session: object) -> Any:
        return fn(event)

    return wrapper


class Robot:
    def on_go(self, event: object, session: object) -> None: ...

    def on_tick(self, event: object) -> None: ...

    async def run(self, session: object) -> None: ...

    def run_sync(self, session: object) -> None: ...

    async def frames(self, session: object) -> Any:
        yield session

    @classmethod
    async def start(cls, session: object) -> None: ...

    @staticmethod
    async def stop(session: object) -> None: ...


class Called:
    async def __call__(self, session: object) -> None: ...


class CalledSync:
    def __call__(self, session: object) -> None: ...


class Stated:
    """It says that it takes one argument; it takes any."""

    __signature__ = "nonsense"

    def __call__(self, *args: object) -> None: ...


class Hostile:
    def __repr__(self) -> str:
        raise ZeroDivisionError

    def __call__(self, *args: object) -> None: ...


class HostileOfNothing(Hostile):
    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("fn", "got"),
    [
        (of_an_event, "of_an_event must take (event, session), got (event)"),
        (of_nothing, "of_nothing must take (event, session), got ()"),
        (of_a_keyword, "of_a_keyword must take (event, session), got (event, session, *, speed)"),
        (lambda event: None, "<lambda> must take (event, session), got (event)"),
        (Robot.on_go, "on_go must take (event, session), got (self, event, session)"),
        (Robot().on_tick, "on_tick must take (event, session), got (event)"),
        (functools.partial(of_both, 1), "of_both must take (event, session), got (session=None, /"),
        ([].append, "append must take (event, session), got (object, /)"),
    ],
)
def test_handlers_of_the_server_that_cannot_be_called(fn: Any, got: str) -> None:
    server = app()
    for register in (lambda: server.add_handler("GO", fn), lambda: server.add_handler("GO")(fn)):
        with pytest.raises(TypeError) as caught:
            register()
        assert str(caught.value).startswith(f'add_handler("GO"): {got}')
    assert not server._registered.handlers


@pytest.mark.parametrize("verb", ["on", "answer"])
def test_handlers_of_a_client_that_cannot_be_called(verb: str) -> None:
    for fn in (of_a_keyword, of_nothing, Robot().on_go, Robot.on_tick):
        with pytest.raises(TypeError, match=rf'{verb}\("GO"\): \w+ must take \(event\), got \('):
            getattr(client(), verb)("GO", fn)


def test_handlers_that_can_be_called() -> None:
    server, of_client = app(), client()
    for fn in (
        of_both,
        print,
        lambda *args: None,
        lambda event, *rest, speed=1: None,
        functools.partial(of_a_keyword, speed=2),
        functools.partial(of_both, speed=2),
        Robot().on_go,
        wraps(of_an_event),
        wraps_for_both(of_an_event),
        mock.Mock(),
        mock.AsyncMock(),
        Stated(),
        Hostile(),
        getattr,  # builtins that have no signature
        max,
    ):
        server.add_handler("GO", fn)
    for fn in (
        of_an_event,
        of_both,
        print,
        Robot().on_tick,
        wraps(of_an_event),
        [].append,
        Stated(),
    ):
        of_client.on("GO", fn)


@pytest.mark.parametrize(
    ("fn", "complaint"),
    [
        (sync, "spawn: sync must be an async function, `async def`"),
        (sync_on_every_way, "spawn: sync_on_every_way must be an async function"),
        (lambda session: None, "spawn: <lambda> must be an async function"),
        (plain_generator, "spawn: plain_generator must be an async function"),
        (Robot().run_sync, "spawn: run_sync must be an async function"),
        (functools.partial(sync), "spawn: sync must be an async function"),
        (CalledSync(), "must be an async function"),
        (generator, "it yields, so pass it to bind"),
        (program_of_two, "spawn: program_of_two must take (session), got (session, speed)"),
        (Robot.run, "spawn: run must take (session), got (self, session)"),
    ],
)
def test_programs_that_cannot_run(fn: Any, complaint: str) -> None:
    server = app()
    for register in (lambda: server.spawn(fn), lambda: server.spawn(client="x")(fn)):
        with pytest.raises(TypeError) as caught:
            register()
        assert complaint in str(caught.value)
    assert not server._registered.spawned


def test_what_has_no_name_is_named_by_its_class() -> None:
    with pytest.raises(TypeError, match="spawn: a HostileOfNothing must be an async function"):
        app().spawn(HostileOfNothing())


@pytest.mark.parametrize(
    "fn",
    [
        program,
        returns_an_awaitable,
        old_coroutine,
        lambda session: program(session),
        functools.partial(program_of_two, speed=1),
        Robot().run,
        Robot.start,
        Robot().stop,
        Called(),
        wraps(program),
        mock.AsyncMock(),
        asyncio.sleep,
    ],
)
def test_programs_that_can_run(fn: Any) -> None:
    assert app().spawn(fn) is fn


@pytest.mark.parametrize(
    ("fn", "complaint"),
    [
        (program, "bind: program must be an async generator function, `async def` with `yield`"),
        (sync, "bind: sync must be an async generator function"),
        (Robot().run, "bind: run must be an async generator function"),
        (generator_of_nothing, "bind: generator_of_nothing must take (session), got ()"),
    ],
)
def test_generators_that_cannot_run(fn: Any, complaint: str) -> None:
    server = app()
    for register in (lambda: server.bind(fn), lambda: server.bind()(fn)):
        with pytest.raises(TypeError) as caught:
            register()
        assert complaint in str(caught.value)
    assert server._registered.binding is None


@pytest.mark.parametrize(
    "fn", [generator, plain_generator, returns_a_generator, Robot().frames, wraps(generator)]
)
def test_generators_that_can_run(fn: Any) -> None:
    server = app()
    bound = server.bind(fn)
    assert server._registered.binding is not None
    assert bound.__wrapped__ == fn


def test_a_decorator_without_its_etype_is_refused() -> None:
    """It would register nothing, and say nothing."""
    for verb in (app().add_handler, client().on, client().answer):
        with pytest.raises(TypeError, match="etype must be a str, 'SET', got <function of_both"):
            verb(of_both)
