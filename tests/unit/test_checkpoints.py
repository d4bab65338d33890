"""Yielding by the clock, and a world without a loop."""

from __future__ import annotations

import asyncio
import types

import pytest
import trio

from vuer_trio._connection import checkpoints as pace_module
from vuer_trio._connection.checkpoints import CheckpointThrottle
from vuer_trio._runtime import runtime


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(pace_module, "perf_counter", lambda: Clock.now)
    return Clock


@types.coroutine
def yields(fn):
    """Await ``fn()``; whether it yielded to the scheduler."""
    coroutine, count, value = fn(), 0, None
    try:
        while True:
            message = coroutine.send(value)
            count += 1
            value = yield message
    except StopIteration:
        return count > 0


@pytest.mark.trio
async def test_a_turn_lets_the_others_run_and_is_due_again_a_quarter_of_a_millisecond_later(clock):
    throttle = CheckpointThrottle(runtime())
    assert throttle.due <= clock.now, "the first call is due"
    assert await yields(throttle.turn)
    assert throttle.due == pytest.approx(clock.now + 0.00025, abs=1e-9)
    clock.now += 1
    throttle.restart()
    assert throttle.due == pytest.approx(clock.now + 0.00025, abs=1e-9)


@pytest.mark.trio
async def test_every_call_is_due_if_so_wished(clock):
    throttle = CheckpointThrottle(runtime(), every=True)
    await throttle.turn()
    assert throttle.due < clock.now


@pytest.mark.trio
async def test_the_cheap_check_does_not_yield_but_sees_a_cancellation():
    throttle = CheckpointThrottle(runtime())
    assert not await yields(throttle.if_cancelled)
    with trio.CancelScope() as scope:
        scope.cancel()
        await throttle.if_cancelled()
    assert scope.cancelled_caught


@pytest.mark.trio
async def test_a_turn_is_cancelled_and_a_shielded_one_is_not(clock):
    throttle = CheckpointThrottle(runtime())
    with trio.CancelScope() as scope:
        scope.cancel()
        await throttle.shielded()
        await throttle.turn()
    assert scope.cancelled_caught
    assert throttle.due == 0.0, "a turn that was cancelled has not been"


def test_before_the_first_connection_there_is_nothing_to_yield_to():
    throttle = CheckpointThrottle()
    for method in (throttle.turn, throttle.if_cancelled, throttle.shielded):
        with pytest.raises(StopIteration):
            method().send(None)


# ---- the table of names


def test_without_a_loop_there_is_no_table():
    with pytest.raises(RuntimeError, match=r"trio\.run"):
        runtime()


@pytest.mark.trio
async def test_on_trio_every_name_but_the_event_is_trio_s_own():
    table = runtime()
    assert table.name == "trio"
    for name in ("CancelScope", "open_nursery", "move_on_after", "sleep", "sleep_until"):
        assert getattr(table, name) is getattr(trio, name)
    for name in ("checkpoint", "checkpoint_if_cancelled", "cancel_shielded_checkpoint"):
        assert getattr(table, name) is getattr(trio.lowlevel, name)
    called = trio.Event()
    table.loop_caller()(called.set)
    with trio.fail_after(60):
        await called.wait()


def test_on_asyncio_the_same_names_are_there_and_mean_the_same():
    async def main():
        table = runtime()
        assert table is runtime()
        assert table.name == "asyncio"
        start = table.current_time()
        with table.move_on_after(60):
            await table.sleep_until(start)
            await table.sleep(0)
            await table.checkpoint()
            await table.checkpoint_if_cancelled()
            await table.cancel_shielded_checkpoint()
        with table.CancelScope() as scope:
            scope.cancel()
            await table.checkpoint()
        assert scope.cancelled_caught
        done = table.Event()

        async def background():
            table.loop_caller()(done.set)

        table.spawn_system_task(background)
        async with table.open_nursery() as nursery:
            nursery.start_soon(done.wait)
        assert done.is_set()
        with table.CancelScope() as scope:
            scope.cancel()
            await done.wait()
        assert scope.cancelled_caught, "a checkpoint even if it need not wait"
        with table.move_on_after(0.001) as scope:
            await table.Event().wait()
        assert scope.cancelled_caught
        before, now, after = table.current_time(), table.clock()(), table.current_time()
        assert before <= now <= after

    asyncio.run(main())


def test_under_another_library_the_error_names_it(monkeypatch):
    monkeypatch.setattr("sniffio.current_async_library", lambda: "curio")
    with pytest.raises(RuntimeError, match="curio"):
        runtime()
