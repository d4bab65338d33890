"""Ctrl-C."""

from __future__ import annotations

import signal

import pytest
import trio
from peer import accept_and_read, memory_peer

from vuer_trio import open_vuer_client


@pytest.mark.parametrize("transport", ["trio-websocket", "websockets"])
def test_a_keyboard_interrupt_passes_and_leaves_nothing(transport):
    peers = []

    async def main():
        async with memory_peer(accept_and_read) as peer:
            peers.append(peer)
            async with open_vuer_client(stream=peer.stream, transport=transport) as client:
                await client.flush()
                signal.raise_signal(signal.SIGINT)
                await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
    assert peers[0].conn.protocol_error is None
