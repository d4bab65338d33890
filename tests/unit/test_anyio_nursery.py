"""asyncio's nursery, where `asyncio.Task.cancel` meets a nursery that is being cancelled."""

from __future__ import annotations

import asyncio

import pytest

from vuer_trio._nursery import open_plain_nursery
from vuer_trio._runtime import runtime
from vuer_trio.testing import cancel_everywhere


@pytest.mark.parametrize("begin", ["start", "start_soon"])
def test_no_cancellation_of_the_task_itself_is_taken_for_one_of_a_childs(begin):
    async def scenario():
        rt = runtime()
        inner, begun = rt.CancelScope(), rt.Event()

        async def child(*, task_status=None):
            with inner:
                begun.set()
                if task_status is not None:
                    task_status.started("yes")
                await rt.Event().wait()

        async with rt.open_nursery() as nursery:
            if begin == "start":
                assert await nursery.start(child) == "yes"
            else:
                nursery.start_soon(child)
                await begun.wait()
            inner.cancel()
            nursery.cancel_scope.cancel()

    assert asyncio.run(cancel_everywhere(scenario, native=True)) >= 6


async def _fail_while_a_child_leaves(leaving, left):
    """Raises OSError; meanwhile a child takes its time to end, from `leaving` until `left`."""
    rt = runtime()

    async def child():
        try:
            await rt.Event().wait()
        finally:
            with rt.CancelScope(shield=True):
                leaving.set()
                await left.wait()

    async with open_plain_nursery(rt) as nursery:
        nursery.start_soon(child)
        await rt.checkpoint()
        raise OSError("the block has failed")


def test_a_cancellation_while_a_failed_block_waits_for_its_tasks_comes_at_the_next_await():
    seen = []

    async def program(leaving, left):
        try:
            await _fail_while_a_child_leaves(leaving, left)
        except OSError:
            seen.append("the failure")
        await asyncio.sleep(0)
        seen.append("it went on")

    async def main():
        leaving, left = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(program(leaving, left))
        await leaving.wait()
        task.cancel()
        await asyncio.sleep(0)
        left.set()
        await asyncio.wait([task])
        assert task.cancelled()
        assert task.cancelling() == 1

    asyncio.run(main())
    assert seen == ["the failure"]


def test_a_scope_that_is_cancelled_meanwhile_takes_back_what_it_has_asked():
    """Only that: the task must not be left cancelled by what was the scope's."""

    async def program(leaving, left, scope):
        with scope:
            try:
                await _fail_while_a_child_leaves(leaving, left)
            except OSError:
                await asyncio.sleep(0)
        assert scope.cancelled_caught
        await asyncio.sleep(0)

    async def main():
        leaving, left, scope = asyncio.Event(), asyncio.Event(), runtime().CancelScope()
        task = asyncio.create_task(program(leaving, left, scope))
        await leaving.wait()
        scope.cancel()
        await asyncio.sleep(0)
        left.set()
        await task
        assert task.cancelling() == 0

    asyncio.run(main())


def test_a_task_has_the_name_of_its_function():
    async def look_at_it():
        task = asyncio.current_task()
        assert task is not None
        assert task.get_name().endswith("look_at_it")

    async def main():
        async with runtime().open_nursery() as nursery:
            nursery.start_soon(look_at_it)

    asyncio.run(main())
