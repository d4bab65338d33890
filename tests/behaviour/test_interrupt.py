"""Ctrl-C."""

from __future__ import annotations

import asyncio
import gc
import signal

import anyio
import pytest
import trio
import trio.lowlevel

from tests.scripted_server import accept_and_read, memory_peer
from vuer_trio import Vuer, VuerClient, open_vuer_client, open_vuer_server
from vuer_trio._nursery import open_plain_nursery
from vuer_trio._runtime import runtime
from vuer_trio.events import ClientEvent, ServerEvent


@pytest.mark.parametrize("transport", ["trio-websocket", "websockets"])
@pytest.mark.parametrize("when", ["in the body", "while it waits"])
def test_a_keyboard_interrupt_passes_bare_and_leaves_nothing(transport, when):
    async def interrupt():
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGINT)

    async def main():
        async with memory_peer(accept_and_read) as peer:
            with pytest.raises(KeyboardInterrupt):
                async with open_vuer_client(stream=peer.stream, transport=transport) as client:
                    await client.flush()
                    if when == "in the body":
                        signal.raise_signal(signal.SIGINT)
                    trio.lowlevel.spawn_system_task(interrupt)
                    await trio.sleep_forever()
            await peer.conn.wait_disconnected()
            assert peer.conn.protocol_error is None

    trio.run(main)


class InterruptsTheDial(trio.abc.SocketFactory):
    """Ctrl-C where Trio connects, in a task of its own."""

    def socket(self, *args):
        trio.socket.set_custom_socket_factory(None)
        signal.raise_signal(signal.SIGINT)
        return trio.socket.socket(*args)


@pytest.mark.parametrize("form", ["a block", "connect"])
def test_ctrl_c_while_dialling_is_a_keyboard_interrupt(form):
    async def main():
        trio.socket.set_custom_socket_factory(InterruptsTheDial())
        while True:
            try:
                if form == "connect":
                    await VuerClient("ws://127.0.0.1:1").connect()
                else:
                    async with open_vuer_client("ws://127.0.0.1:1"):
                        pass
            except ConnectionError:
                await trio.lowlevel.checkpoint()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


def interrupt():
    raise KeyboardInterrupt


def leave():
    raise SystemExit(3)


@pytest.mark.parametrize("run", [trio.run, lambda fn: asyncio.run(fn())], ids=["trio", "asyncio"])
@pytest.mark.parametrize("form", ["a block", "connect", "a server"])
@pytest.mark.parametrize("strike", [ctrl_c, interrupt, leave])
def test_what_strikes_a_handler_leaves_the_run(run, form, strike):
    """Bare, whatever ConnectionErrors it causes, and whoever catches those."""

    async def works(*_):
        await anyio.lowlevel.checkpoint()
        strike()
        await anyio.sleep(10)  # asyncio cancels the main task for a Ctrl-C

    async def talk(client):
        while True:
            try:
                await client.send(ClientEvent(etype="ASK"))
                await client.recv()
            except ConnectionError:
                await anyio.sleep(0.001)

    async def main():
        app = Vuer(port=0)
        app.add_handler("ASK", lambda event, session: session @ ServerEvent(1, etype="GO"))
        async with open_vuer_server(app) as server:
            client = VuerClient(server.uri)
            if form == "a server":
                app.add_handler("ASK", works)
            else:
                client.on("GO", works)
            if form == "connect":
                await client.connect()
                try:
                    await talk(client)
                finally:
                    with anyio.CancelScope(shield=True):
                        await client.close()
            async with client:
                await talk(client)

    with pytest.raises(SystemExit if strike is leave else KeyboardInterrupt):
        run(main)
    gc.collect()  # asyncio says now of a task that has ended so, and not in another test


def test_an_interrupt_wins_at_every_depth():
    async def fails():
        raise BaseExceptionGroup("a", [BaseExceptionGroup("b", [OSError(), KeyboardInterrupt()])])

    async def main(body):
        async with open_plain_nursery(runtime()) as nursery:
            nursery.start_soon(fails)  # it runs when the body has ended: Trio's order is random
            if body is not None:
                raise body
            await trio.sleep_forever()

    for body in (None, ConnectionError(), ExceptionGroup("c", [ConnectionError()])):
        with pytest.raises(KeyboardInterrupt):
            trio.run(main, body)
    theirs = BaseExceptionGroup("d", [KeyboardInterrupt()])
    with pytest.raises(BaseExceptionGroup) as caught:  # it has one already: as it is
        trio.run(main, theirs)
    assert caught.value is theirs
