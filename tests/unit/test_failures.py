"""What code of the user's raises: what goes on, and what is logged."""

from __future__ import annotations

import asyncio
import logging

import anyio
import pytest
import trio

from vuer_trio._failures import (
    as_exception,
    contain,
    describe,
    has_failed,
    log_failure,
    pass_on,
    verb,
)
from vuer_trio._runtime import runtime

log = logging.getLogger("test")


class Panic(BaseException):
    pass


def group(*exceptions):
    return BaseExceptionGroup("", exceptions)


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request):
    return request.param


@pytest.mark.parametrize(
    "exc", [ValueError(), Panic(), GeneratorExit(), group(Panic()), asyncio.CancelledError()]
)
def test_what_sync_code_raises_is_a_failure_whatever_it_is(exc, caplog):
    assert has_failed(exc)
    pass_on(exc)
    contain(exc, log, "%s of mine raised", "a hook")
    (record,) = caplog.records
    assert record.getMessage() == "a hook of mine raised"
    assert record.exc_info[1] is exc


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(3)])
def test_who_wants_to_end_the_program_wins_at_every_depth(end, caplog):
    for exc in (end, group(end), group(ValueError(), group(ValueError(), group(end)), Panic())):
        caplog.clear()
        end.__context__ = before = KeyError()
        with pytest.raises(type(end)) as caught:
            contain(exc, log, "raised")
        assert caught.value is end
        assert end.__context__ is before
        assert len(caplog.records) == (exc is not end and len(exc.exceptions) > 1)


@pytest.mark.anyio
async def test_the_own_cancellation_goes_on_and_the_rest_is_logged():
    rt = runtime()
    task, seen = rt.current_task(), []
    with rt.CancelScope() as scope:
        scope.cancel()
        try:
            await rt.sleep(1)
        except BaseException as exc:
            mixed = group(ValueError(), group(exc))
            seen += [has_failed(x, rt, task) for x in (exc, group(exc), mixed)]
            with pytest.raises(type(exc)) as caught:
                pass_on(mixed, rt, task)
            assert caught.value is exc  # noqa: PT017
            kept = exc
            raise
    assert scope.cancelled_caught
    assert seen == [False, False, True]
    assert has_failed(kept, rt, task)  # nobody is cancelled any more
    assert pass_on(kept, rt, task) is None


@pytest.mark.anyio
async def test_the_others_cancellation_is_a_failure():
    rt = runtime()
    task = rt.current_task()
    foreign = []
    if rt.name == "asyncio":
        with pytest.raises(asyncio.CancelledError) as caught:
            other = asyncio.ensure_future(anyio.sleep(1))
            other.cancel()
            await other
        foreign.append(caught.value)
    else:
        foreign.append(asyncio.CancelledError())
    for exc in foreign:
        assert has_failed(exc, rt, task)
        assert has_failed(group(exc), rt, task)
        assert pass_on(exc, rt, task) is None
        assert verb(exc) == "awaited what was cancelled"
    assert verb(ValueError()) == "raised"


@pytest.mark.anyio
async def test_a_coroutine_that_is_collected_goes_on_whatever_it_raises():
    rt, seen = runtime(), []

    class Waits:
        def __await__(self):
            yield

    async def call():
        task = object()  # another one
        try:
            await Waits()
        except BaseException as exc:
            seen.append(has_failed(exc, rt, task))
            pass_on(exc, rt, task)

    coroutine = call()
    coroutine.send(None)
    coroutine.close()
    assert seen == [False]


def test_where_no_loop_runs_all_goes_on():
    for run in (trio.run, lambda fn: asyncio.run(fn())):

        async def main():
            return runtime(), runtime().current_task()

        rt, task = run(main)
        exc = GeneratorExit()
        assert not has_failed(exc, rt, task)
        with pytest.raises(GeneratorExit):
            pass_on(exc, rt, task)


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class Empty(Exception):
    def __len__(self):
        return 0


def test_exceptions_without_a_text(caplog):
    assert describe(ValueError("x")) == "x"
    assert describe(ValueError("x"), repr) == "ValueError('x')"
    assert describe(ValueError()) == "ValueError"
    assert describe(Speechless()) == describe(Speechless(), repr) == "Speechless"
    for exc in (Speechless(), Empty()):
        log_failure(log, exc, "it failed")
        assert type(exc).__name__ in caplog.text
    assert "no text" not in caplog.text


def test_what_stands_for_what_is_no_exception():
    error = ValueError()
    assert as_exception(error) is error
    panic = Panic("too much")
    error = as_exception(panic)
    assert str(error) == "Panic was raised: too much"
    assert error.__cause__ is panic
