"""Request and reply: whatever the order and whoever gives up, nothing stays behind."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from vuer_trio import ConnectionClosed
from vuer_trio._connection.pending_replies import PendingReplies
from vuer_trio._runtime import runtime

pytestmark = pytest.mark.trio


class Callers:
    """Tasks that call, and what they got."""

    def __init__(self, nursery):
        self.calls = PendingReplies(runtime())
        self.nursery = nursery
        self.got = {}

    async def call(self, *keys):
        for key in keys:
            self.nursery.start_soon(self._call, key)
            await wait_all_tasks_blocked()

    async def _call(self, key):
        with self.calls.expect(key) as call:
            try:
                self.got[key] = await call.wait()
            except ConnectionClosed as exc:
                self.got[key] = exc


async def test_each_caller_gets_its_own_reply_in_any_order():
    async with trio.open_nursery() as nursery:
        callers = Callers(nursery)
        await callers.call("a", "b", "c")
        assert len(callers.calls) == 3
        for key in ("c", "a", "b"):
            assert callers.calls.settle(key, key.upper())
    assert callers.got == {"a": "A", "b": "B", "c": "C"}
    assert len(callers.calls) == 0


async def test_a_reply_that_nobody_awaits_is_told_apart():
    async with trio.open_nursery() as nursery:
        callers = Callers(nursery)
        await callers.call("a")
        assert not callers.calls.settle("z", 0)
        assert callers.calls.settle("a", 1)
        assert not callers.calls.settle("a", 2), "one reply is enough"
    assert callers.got == {"a": 1}


async def test_a_reply_may_come_before_anybody_waits():
    calls = PendingReplies(runtime())
    with trio.fail_after(5), calls.expect("a") as call:
        calls.settle("a", "early")
        assert await call.wait() == "early"


async def test_settle_up_to_answers_all_before_and_none_after():
    async with trio.open_nursery() as nursery:
        callers = Callers(nursery)
        await callers.call(1, 2, 3, 4)
        callers.calls.settle_up_to("unknown", None)
        assert len(callers.calls) == 4
        callers.calls.settle_up_to(3, "pong")
        await wait_all_tasks_blocked()
        assert callers.got == {1: "pong", 2: "pong", 3: "pong"}
        assert len(callers.calls) == 1
        callers.calls.settle_up_to(4, "pong")
    assert len(callers.calls) == 0


async def test_a_cancelled_caller_leaves_nothing():
    async with trio.open_nursery() as nursery:
        callers = Callers(nursery)
        await callers.call("a", "b")
        nursery.cancel_scope.cancel()
    assert len(callers.calls) == 0
    assert not callers.calls.settle("a", 1)


async def test_a_block_that_raises_leaves_nothing():
    calls = PendingReplies(runtime())
    with pytest.raises(ZeroDivisionError), calls.expect("a"):
        raise ZeroDivisionError
    assert len(calls) == 0


async def test_failing_ends_every_call_with_an_exception_of_its_own():
    error = ConnectionClosed("lost", code=1011, reason="why")
    error.__cause__ = cause = OSError("reset")
    async with trio.open_nursery() as nursery:
        callers = Callers(nursery)
        await callers.call("a", "b")
        callers.calls.fail(error)
        assert len(callers.calls) == 0
    first, second = callers.got.values()
    assert len({id(error), id(first), id(second)}) == 3
    for exc in (first, second):
        assert (type(exc), str(exc), exc.code, exc.reason) == (
            ConnectionClosed,
            "lost",
            1011,
            "why",
        )
        assert exc.__cause__ is cause


async def test_after_a_failure_new_calls_can_be_made():
    async with trio.open_nursery() as nursery:
        callers = Callers(nursery)
        callers.calls.fail(ConnectionClosed("lost"))
        await callers.call("a")
        callers.calls.settle("a", 1)
    assert callers.got == {"a": 1}
