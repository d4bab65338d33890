"""Cancels a whole life of a client once at each of its steps, and looks at what is left."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from support import Number, numbers, task_count

from peer import memory_peer
from vuer_trio import Fifo, VuerError

pytestmark = pytest.mark.trio


class CancelAt(trio.abc.Instrument):
    """Cancels a scope when the loop is about to take its n-th step."""

    def __init__(self, step: int) -> None:
        self.steps_left = step
        self.scope = trio.CancelScope()
        self.fired = False

    def before_task_step(self, task) -> None:
        self.steps_left -= 1
        if self.steps_left == 0:
            self.fired = True
            self.scope.cancel()


async def scripted(conn):
    await conn.accept()
    for n in range(3):
        await conn.send_event({"etype": "N", "data": n})
    await conn.send_event(
        {"etype": "ASK", "uuid": "1", "rtype": "ASK_RESPONSE@1", "key": "k", "data": {}}
    )
    while await conn.recv() is not None:
        pass


@pytest.mark.parametrize("transport", ["trio-websocket", "websockets"])
async def test_a_cancellation_at_any_step_leaves_nothing_behind(transport, autojump_clock):
    tasks = task_count()
    step, ran_through = 1, False
    while not ran_through:
        sent, received = [], []
        client = VuerClientFactory(transport)
        async with memory_peer(scripted) as peer:
            cancel = CancelAt(step)
            trio.lowlevel.add_instrument(cancel)
            try:
                with cancel.scope:
                    async with client(peer.stream) as opened:
                        for n in range(4):
                            await opened.send(Number(value=n))
                            sent.append(n)
                        for _ in range(3):
                            received.append((await opened.recv()).data)
                        await opened.flush()
                        await opened.send @ Number(value=4)
                        sent.append(4)
                        await opened.send_many([Number(value=5), Number(value=6)])
                        sent += [5, 6]
                ran_through = not cancel.scope.cancelled_caught
            finally:
                trio.lowlevel.remove_instrument(cancel)
            with trio.fail_after(60):
                await peer.conn.wait_disconnected()
            arrived = numbers(peer.conn.messages)
            assert peer.conn.protocol_error is None
            # In order, each once; what was cancelled did not arrive.
            assert arrived == list(range(len(arrived)))
            assert len(arrived) <= len(sent)
            if ran_through:
                assert arrived == sent == list(range(7))
                assert peer.conn.close_code == 1000
            assert received == [0, 1, 2][: len(received)]
        await trio.testing.wait_all_tasks_blocked()
        assert task_count() == tasks, f"cancelled at step {step}"
        step += 1
    assert step > 30


async def answer(event):
    await trio.sleep(0.001)


class VuerClientFactory:
    """A client with a small outbox and an answer, on a stream in memory."""

    def __init__(self, transport: str) -> None:
        self.transport = transport

    def __call__(self, stream):
        from vuer_trio import open_vuer_client

        client = open_vuer_client(
            stream=stream, transport=self.transport, outbox=Fifo(2), heartbeat=5
        )
        client.answer("ASK", answer)
        return client


@pytest.mark.parametrize("transport", ["trio-websocket", "websockets"])
async def test_a_cancellation_at_any_step_of_a_background_connection(transport, autojump_clock):
    tasks = task_count()
    step, ran_through = 1, False
    while not ran_through:
        async with memory_peer(scripted) as peer:
            client = VuerClientFactory(transport)(peer.stream)
            cancel = CancelAt(step)
            trio.lowlevel.add_instrument(cancel)
            try:
                with cancel.scope:
                    await client.connect()
                    await client.send(Number(value=1))
                    await client.close()
                ran_through = not cancel.scope.cancelled_caught
            finally:
                trio.lowlevel.remove_instrument(cancel)
            with trio.CancelScope(shield=True), trio.fail_after(60):
                with suppress(VuerError):
                    await client.close()
                await peer.conn.wait_disconnected()
            assert peer.conn.protocol_error is None
            assert not client.connected
        await trio.testing.wait_all_tasks_blocked()
        assert task_count() == tasks, f"cancelled at step {step}"
        step += 1
    assert step > 15
