"""A coroutine whose first step is taken by its caller: the rest is as if it had been awaited."""

from __future__ import annotations

from types import coroutine

import pytest

from vuer_trio._connection.begun import Begun


@coroutine
def pause(value):
    return (yield value)


def begun(function, log):
    task = function(log)
    return Begun(task, task.send(None)).__await__()


async def two_pauses(log):
    log.append(await pause("first"))
    log.append(await pause("second"))
    return "ignored"


def test_it_yields_and_is_sent_what_the_coroutine_would_be():
    log = []
    steps = begun(two_pauses, log)
    assert next(steps) == "first"
    assert steps.send(1) == "second"
    with pytest.raises(StopIteration):
        steps.send(2)
    assert log == [1, 2]


async def recovers(log):
    try:
        await pause("first")
    except KeyError as exc:
        log.append(exc.args)
    await pause("second")


def test_what_is_thrown_in_arrives_there():
    log = []
    steps = begun(recovers, log)
    next(steps)
    assert steps.throw(KeyError(7)) == "second"
    with pytest.raises(ZeroDivisionError):
        steps.throw(ZeroDivisionError)
    assert log == [(7,)]


async def says_its_end(log):
    try:
        await pause("first")
    finally:
        log.append("ended")


def test_closing_it_closes_the_coroutine():
    log = []
    steps = begun(says_its_end, log)
    next(steps)
    steps.close()
    assert log == ["ended"]
