"""A class that lacks what its base asks for cannot be made, rather than fail when it is used."""

from __future__ import annotations

import pytest

from vuer_trio import Policy
from vuer_trio._connection.channel_ends import ReceivingEnd, SendingEnd
from vuer_trio._connection.handler import ConnectionHandler
from vuer_trio._net.byte_stream import ForeignStream
from vuer_trio._websocket.stream_transport import StreamTransport
from vuer_trio._websocket.trio_websocket_protocol import TrioWebSocketProtocol

BASES = {
    ConnectionHandler: {"dial"},
    ForeignStream: {"_as_oserror", "_receive", "_send"},
    Policy: {"open"},
    ReceivingEnd: {"_fail"},
    SendingEnd: {"_fail"},
    StreamTransport: {"_framed"},
    TrioWebSocketProtocol: {"_handshake"},
}


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.__name__)
def test_a_subclass_must_have_what_its_base_asks_for(base):
    for missing in BASES[base]:
        methods = {name: lambda self: None for name in BASES[base] - {missing}}
        incomplete = type("Incomplete", (base,), methods)
        with pytest.raises(TypeError, match=f"abstract.*{missing}"):
            incomplete()
