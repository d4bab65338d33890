"""Ctrl-C."""

from __future__ import annotations

import signal

import pytest
import trio

from peer import accept_and_read, memory_peer
from vuer_trio import open_vuer_client


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
