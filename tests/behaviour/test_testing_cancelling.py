"""`cancel_everywhere` and `assert_no_leaks` themselves: what they must find, they find."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections import deque
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
import sniffio
import trio

from vuer_trio import Vuer
from vuer_trio.events import ClientEvent
from vuer_trio.testing import assert_no_leaks, cancel_everywhere, vuer_pair

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["trio", ("asyncio", {}), ("asyncio", {"use_uvloop": True})], ids=str)
def anyio_backend(request):
    return request.param


def on_trio() -> bool:
    return sniffio.current_async_library() == "trio"


async def test_each_await_is_cancelled_while_it_waits_and_when_its_result_is_there(anyio_backend):
    async def scenario():
        for n in range(2):
            started.append(n)
            try:
                await anyio.sleep(0.05)
            except BaseException:
                cancelled.append(n)
                raise

    started, cancelled = [], []
    places = await cancel_everywhere(scenario)
    assert cancelled.count(0) >= 1
    assert cancelled.count(1) >= 1
    assert len(started) >= places + 2
    assert places >= 4


async def test_other_tasks_are_somewhere_else_each_time(anyio_backend):
    seen = set()

    async def scenario(here):
        steps = []

        async def other():
            for n in range(3):
                steps.append(n)
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            async with here:
                await anyio.sleep(0.3)  # which all the steps are in
            seen.add(len(steps))

    for _ in range(20):  # in an order of tasks that Trio chooses by chance, each time
        assert await cancel_everywhere(scenario) >= 3
        if len(seen) >= 3:
            break
    assert len(seen) >= 3


class HandsOver:
    """A queue that gives an item to who waits; who is cancelled then has lost it."""

    def __init__(self):
        self.items, self.waiting = deque(), deque()

    def put(self, item):
        if self.waiting:
            slot, event = self.waiting.popleft()
            slot.append(item)
            event.set()
        else:
            self.items.append(item)

    async def get(self):
        if self.items:
            item = self.items.popleft()
            await anyio.lowlevel.checkpoint()  # too late
            return item
        slot, event = [], anyio.Event()
        self.waiting.append((slot, event))
        try:
            await event.wait()
        except BaseException:
            if not slot:
                self.waiting.remove((slot, event))
            raise
        return slot[0]


@pytest.mark.parametrize("native", [False, True])
async def test_a_queue_that_loses_is_found_out(anyio_backend, native):
    async def scenario(here):
        queue, got = HandsOver(), []
        for n in range(3):
            queue.put(n)
        async with here:
            for _ in range(3):
                got.append(await queue.get())
        assert got + list(queue.items) == [0, 1, 2]

    with pytest.raises(AssertionError) as lost:
        await cancel_everywhere(scenario, native=native)
    assert "cancel_everywhere: cancelled at place 1" in lost.value.__notes__[0]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_result_that_is_there_is_lost_by_a_native_cancellation_only(anyio_backend):
    async def scenario(here):
        queue, got, was_put = HandsOver(), [], asyncio.Event()

        def put():
            queue.put("item")
            was_put.set()

        asyncio.get_running_loop().call_later(0.001, put)
        async with here:
            got.append(await queue.get())
        await was_put.wait()
        assert [*got, *queue.items] == ["item"]

    assert await cancel_everywhere(scenario) >= 2
    with pytest.raises(AssertionError):
        await cancel_everywhere(scenario, native=True)


async def test_what_is_left_behind_is_named(anyio_backend):
    kept = []

    async def a_task():
        if on_trio():
            kept.append(trio.lowlevel.spawn_system_task(trio.sleep, 0.5, name="a leaked task"))
        else:
            kept.append(asyncio.get_running_loop().create_task(asyncio.sleep(0.5), name="a leaked"))

    async def a_socket():
        kept.append(socket.create_server(("127.0.0.1", 0)))

    async def a_thread():
        wait = threading.Event().wait
        kept.append(threading.Thread(target=wait, args=(0.5,), name="a leaked thread"))
        kept[-1].start()

    for leak, named in (
        (a_task, "task a leaked"),
        (a_socket, "at port"),
        (a_thread, "thread a le"),
    ):
        with pytest.raises(AssertionError, match=f"left behind: .*{named}"):
            async with assert_no_leaks(patience=0.02):
                await leak()
        with pytest.raises(AssertionError, match=f"left behind: .*{named}"):
            await cancel_everywhere(leak, patience=0.02)
        for thing in kept:
            if isinstance(thing, socket.socket):
                thing.close()
    await anyio.sleep(0.6)  # all of it has ended


async def test_what_is_on_its_way_out_is_no_leak(anyio_backend):
    async with assert_no_leaks():
        thread = threading.Thread(target=threading.Event().wait, args=(0.05,))
        thread.start()
        await anyio.to_thread.run_sync(int)  # a worker stays, for the next job
    assert not thread.is_alive()


async def test_the_exception_of_the_block_passes(anyio_backend):
    with pytest.raises(KeyError):
        async with assert_no_leaks():
            raise KeyError


async def test_another_thing_may_be_cancelled_instead(anyio_backend):
    calls = []

    async def scenario(here):
        ended = anyio.Event()

        async def other():
            try:
                await anyio.sleep(0.01)
            finally:
                ended.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            ready = []

            def act():
                calls.append(bool(ready))
                if not ready:
                    return False
                tasks.cancel_scope.cancel()
                return True

            async with here.instead(act):
                await anyio.lowlevel.checkpoint()
                ready.append(True)
                await anyio.sleep(0.02)
        assert not here.cancelled
        assert ended.is_set()

    assert await cancel_everywhere(scenario) > 3
    assert {True, False} == set(calls)

    async def fails(here):
        async with here.instead(lambda: 1 / 0):
            await anyio.lowlevel.checkpoint()

    with pytest.raises(ZeroDivisionError):
        await cancel_everywhere(fails)


async def test_misuse_is_told(anyio_backend):
    async def nowhere(here):
        await anyio.lowlevel.checkpoint()

    async def twice(here):
        async with here:
            pass
        async with here:
            pass

    async def endless():
        for _ in range(1000):
            await anyio.lowlevel.checkpoint()

    with pytest.raises(AssertionError, match="has no `async with here:`"):
        await cancel_everywhere(nowhere)
    with pytest.raises(RuntimeError, match="`async with here:` once"):
        await cancel_everywhere(twice)
    with pytest.raises(AssertionError, match="not ended after 5 places"):
        await cancel_everywhere(endless, limit=5)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_swallowed_native_cancellation_is_found_out(anyio_backend):
    async def swallows():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0)

    with pytest.raises(AssertionError, match="swallowed its cancellation"):
        await cancel_everywhere(swallows, native=True)


def test_under_the_plain_runner():
    """No anyio around, and a task that is cancelled before it has begun."""

    async def scenario():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(0.001))
            async with asyncio.timeout(5):
                await asyncio.sleep(0.002)

    async def main():
        factory = asyncio.get_running_loop().get_task_factory()
        assert await cancel_everywhere(scenario, native=True) > 4
        assert await cancel_everywhere(scenario) > 4
        assert asyncio.get_running_loop().get_task_factory() is factory

    asyncio.run(main())


if sys.version_info >= (3, 12):  # before that, no task of asyncio's is eager

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.parametrize("native", [False, True])
    async def test_under_an_eager_task_factory(native):
        cancelled, whole = [], []

        async def step(name):
            try:
                await anyio.sleep(0.02)
            except BaseException:
                cancelled.append(name)
                raise

        async def scenario():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(step, "in a group")
                await asyncio.create_task(step("by itself"))
                await step("at last")
            whole.append(True)

        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        assert await cancel_everywhere(scenario, native=native) > 4
        assert loop.get_task_factory() is asyncio.eager_task_factory
        assert set(cancelled) == {"in a group", "by itself", "at last"}
        assert whole

    @pytest.mark.no_cover
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.parametrize("native", [False, True])
    async def test_a_connection_under_an_eager_task_factory(native):
        received = []

        async def scenario(here):
            async with vuer_pair(Vuer()) as (_, client):
                async with here:
                    await client.send(ClientEvent(etype="EVENT"))
                    await client.flush()
                    received.append(here.place)
                assert client.connected

        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        assert await cancel_everywhere(scenario, native=native) > 4
        assert received
