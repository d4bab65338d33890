"""asyncio's nursery, where `asyncio.Task.cancel` meets a nursery that is being cancelled."""

from __future__ import annotations

import asyncio

import pytest

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


def test_a_task_has_the_name_of_its_function():
    async def look_at_it():
        task = asyncio.current_task()
        assert task is not None
        assert task.get_name().endswith("look_at_it")

    async def main():
        async with runtime().open_nursery() as nursery:
            nursery.start_soon(look_at_it)

    asyncio.run(main())
