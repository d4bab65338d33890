"""Our event for Trio, beside Trio's own: both have to pass."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from vuer_trio._trio_event import Event

pytestmark = pytest.mark.trio

BOTH = pytest.mark.parametrize("make", [Event, trio.Event])


@BOTH
async def test_everybody_who_waits_goes_on(make):
    event, gone = make(), []

    async def wait(name):
        await event.wait()
        gone.append(name)

    async with trio.open_nursery() as nursery:
        for name in range(3):
            nursery.start_soon(wait, name)
        await trio.testing.wait_all_tasks_blocked()
        assert not event.is_set()
        assert gone == []
        event.set()
        event.set()  # changes nothing
    assert sorted(gone) == [0, 1, 2]
    assert event.is_set()


@BOTH
async def test_where_it_is_set_waiting_is_a_checkpoint(make):
    event = make()
    event.set()
    with trio.testing.assert_checkpoints():
        await event.wait()
    with trio.CancelScope() as scope:
        scope.cancel()
        await event.wait()
    assert scope.cancelled_caught


@BOTH
async def test_one_that_is_cancelled_leaves_the_others_waiting(make):
    event, gone = make(), []
    scopes = [trio.CancelScope() for _ in range(3)]

    async def wait(scope):
        with scope:
            await event.wait()
            gone.append(scope)

    async with trio.open_nursery() as nursery:
        for scope in scopes:
            nursery.start_soon(wait, scope)
        await trio.testing.wait_all_tasks_blocked()
        scopes[1].cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert scopes[1].cancelled_caught
        assert gone == []
        event.set()
        scopes[0].cancel()  # too late: it has been woken
    assert {id(scope) for scope in gone} == {id(scopes[0]), id(scopes[2])}


async def test_nothing_is_kept_of_those_who_waited():
    event = Event()
    with trio.move_on_after(0):
        await event.wait()
    assert not event._waiting
    event.set()
    assert event._waiting is None
