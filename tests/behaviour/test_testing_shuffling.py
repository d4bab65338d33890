"""`shuffled` itself: what it must find, it finds, and finds again."""

from __future__ import annotations

import asyncio
import random
import sys
import threading

import anyio
import anyio.lowlevel
import pytest
import sniffio
import trio
import trio.lowlevel

from vuer_trio.testing import shuffled, trio_orders
from vuer_trio.testing.asyncio_orders import ShuffledLoop

BOTH = pytest.mark.parametrize("backend", ["trio", "asyncio"])


async def order_of(count: int) -> list[int]:
    """In which order so many tasks run, twice."""
    order = []

    async def step(n):
        await anyio.lowlevel.checkpoint()
        order.append(n)
        await anyio.sleep(1)
        order.append(n)

    async with anyio.create_task_group() as tasks:
        for n in range(count):
            tasks.start_soon(step, n)
    return order


@BOTH
def test_each_seed_is_an_order_of_its_own_and_always_the_same(backend):
    def orders(seeds):
        found = []

        async def scenario():
            found.append(tuple(await order_of(4)))

        assert shuffled(scenario, seeds=seeds, backend=backend) == len(found)
        return found

    first = orders(60)
    assert len(set(first)) > 50
    assert {order[0] for order in first} == {0, 1, 2, 3}
    assert orders(60) == first
    assert orders([17]) == [first[17]]
    assert orders(range(20, 25)) == first[20:25]


def test_another_thread_that_runs_trio_changes_no_order():
    def orders():
        found = []

        async def scenario():
            found.append(tuple(await order_of(4)))

        shuffled(scenario, seeds=60)
        return found

    alone = orders()
    began, over = threading.Event(), threading.Event()

    async def beside():
        async with trio.open_nursery() as nursery:
            for _ in range(2):  # one task alone has no order
                nursery.start_soon(take_turns)

    async def take_turns():
        began.set()
        while not over.is_set():
            await trio.lowlevel.checkpoint()

    thread = threading.Thread(target=trio.run, args=[beside])
    thread.start()
    try:
        began.wait()
        assert orders() == alone
    finally:
        over.set()
        thread.join()


@BOTH
def test_a_race_is_found_and_its_seed_told(backend):
    async def scenario():
        account = {"balance": 100}

        async def withdraw():
            balance = account["balance"]
            await anyio.lowlevel.checkpoint()
            account["balance"] = balance - 60 if balance >= 60 else balance

        async def deposit():
            account["balance"] += 10

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(withdraw)
            tasks.start_soon(deposit)
        assert account["balance"] == 50

    with pytest.raises(AssertionError, match="40 == 50") as raised:
        shuffled(scenario, backend=backend)
    (note,) = raised.value.__notes__
    seed = int(note.split("seed ")[1].split()[0])
    assert note == (
        f'shuffled: seed {seed} on {backend}; seeds=[{seed}], backend="{backend}" runs it again'
    )
    with pytest.raises(AssertionError, match="40 == 50"):
        shuffled(scenario, seeds=[seed], backend=backend)
    if seed:
        shuffled(scenario, seeds=seed, backend=backend)  # those before it pass


@BOTH
def test_tasks_that_wait_for_each_other_are_told_of(backend):
    async def scenario():
        one, other = anyio.Lock(), anyio.Lock()

        async def both(first, second):
            async with first:
                await anyio.lowlevel.checkpoint()
                async with second:
                    await anyio.sleep(3600)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(both, one, other)
            tasks.start_soon(both, other, one)

    with pytest.raises(AssertionError, match="not ended after 100,000 virtual seconds") as raised:
        shuffled(scenario, backend=backend)
    assert "shuffled: seed 0" in raised.value.__notes__[0]
    with pytest.raises(AssertionError, match="not ended after 5 virtual seconds"):
        shuffled(lambda: anyio.sleep(6), backend=backend, limit=5)


@BOTH
def test_time_is_virtual_and_begins_at_0(backend):
    times = []

    async def scenario():
        times.append(anyio.current_time())
        await anyio.sleep(3600.25)
        with anyio.move_on_after(0.5):
            await anyio.sleep_forever()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 1e6)
            tasks.start_soon(anyio.sleep, 10)
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        times.append(anyio.current_time())

    shuffled(scenario, seeds=1, backend=backend, limit=1e7)
    assert times == [0, pytest.approx(3601.75)]


def test_the_library_that_was_asked_for_runs():
    found = []

    async def scenario():
        found.append(sniffio.current_async_library())

    shuffled(scenario, seeds=1)
    shuffled(scenario, seeds=1, backend="asyncio")
    assert found == ["trio", "asyncio"]


def test_on_asyncio_callbacks_keep_their_order_and_a_task_its_own():
    async def scenario():
        loop, seen, steps = asyncio.get_running_loop(), [], []

        async def step(n):
            for part in range(3):
                steps.append((n, part))
                await asyncio.sleep(0)

        tasks = []
        for n in range(5):
            loop.call_soon(seen.append, n)
            tasks.append(asyncio.create_task(step(n)))
        await asyncio.gather(*tasks)
        assert seen == list(range(5))
        for n in range(5):
            assert [part for m, part in steps if m == n] == [0, 1, 2]

    shuffled(scenario, backend="asyncio")


def test_on_asyncio_no_task_overtakes_a_callback():
    """`loop.sock_connect`, for one, gives back its socket before the loop has let go of it."""

    async def scenario():
        loop, seen = asyncio.get_running_loop(), []

        async def wait(future, n):
            await future
            seen.append(f"task {n}")

        futures = [loop.create_future() for _ in range(4)]
        tasks = []
        for n, future in enumerate(futures):
            future.add_done_callback(lambda future, n=n: seen.append(f"callback {n}"))
            tasks += [asyncio.create_task(wait(future, n)) for _ in range(2)]
        await asyncio.sleep(1)
        for future in futures:
            future.set_result(None)
        await asyncio.gather(*tasks)
        for n in range(4):
            assert seen.index(f"callback {n}") < seen.index(f"task {n}")

    shuffled(scenario, backend="asyncio")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
def test_eager_tasks():
    async def scenario():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        assert sorted(await order_of(3)) == [0, 0, 1, 1, 2, 2]

    shuffled(scenario, seeds=5, backend="asyncio")


def test_trio_s_own_generator_and_flag_are_back_afterwards():
    names = vars(trio_orders.scheduler)
    before = names["_r"], names["_ALLOW_DETERMINISTIC_SCHEDULING"]
    with pytest.raises(ZeroDivisionError), trio_orders.seeded(1):
        assert names["_r"] is not before[0]
        1 / 0
    assert (names["_r"], names["_ALLOW_DETERMINISTIC_SCHEDULING"]) == before


def test_a_trio_without_the_switch_is_told_of(monkeypatch):
    monkeypatch.delattr(trio_orders.scheduler, "_r")
    with pytest.raises(RuntimeError, match="no switch for the order"):
        shuffled(trio.lowlevel.checkpoint)


def test_a_loop_without_virtual_time():
    async def main():
        started = asyncio.get_running_loop().time()
        await asyncio.sleep(0.01)
        return asyncio.get_running_loop().time() - started

    with asyncio.Runner(loop_factory=lambda: ShuffledLoop(1, virtual_time=False)) as runner:
        assert runner.run(main()) >= 0.01


def test_a_thread_wakes_a_loop_with_virtual_time():
    async def main():
        return await asyncio.get_running_loop().run_in_executor(None, random.Random(1).random)

    with asyncio.Runner(loop_factory=lambda: ShuffledLoop(1, virtual_time=True)) as runner:
        assert runner.run(main()) == random.Random(1).random()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"seeds": 0}, ValueError, "seeds must be at least one, got 0"),
        ({"seeds": []}, ValueError, r"seeds must be at least one, got \[\]"),
        ({"seeds": "7"}, TypeError, "seeds must be a number of them, or the seeds, got '7'"),
        ({"seeds": True}, TypeError, "seeds must be a number of them, or the seeds, got True"),
        ({"seeds": [1.5]}, TypeError, "each seed must be an int, got 1.5"),
        ({"backend": "uvloop"}, ValueError, 'backend must be "trio" or "asyncio", got \'uvloop\''),
    ],
)
def test_misuse_is_told(options, error, said):
    with pytest.raises(error, match=said):
        shuffled(trio.lowlevel.checkpoint, **options)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio", "asyncio"])
async def test_within_a_loop_it_says_where_to_call_it(anyio_backend):
    with pytest.raises(RuntimeError, match=f"{anyio_backend} is running: call it from a function"):
        shuffled(lambda: anyio.lowlevel.checkpoint())
