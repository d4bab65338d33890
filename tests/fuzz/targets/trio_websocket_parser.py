"""What a client and a server make of the other side's frames on the ``trio-websocket`` package, and
what that makes of them alone."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

from tests.fuzz.cutting import cut
from tests.fuzz.targets import client_parser, server_parser
from tests.fuzz.targets._frames import LARGE, MAX_SIZE, walk
from tests.unit import test_fast_parser, test_server_fast_parser
from tests.unit.test_trio_websocket_protocol import compared
from vuer_trio._websocket import fast_parser

MAX_LEN = 500


def seeds() -> Iterator[bytes]:
    for role, target in enumerate((client_parser, server_parser)):
        for n, seed in enumerate(target.seeds()):
            yield bytes((role | (n & 1) << 1, seed[1])) + seed[2:]


def one_input(data: bytes) -> None:
    """The first byte says which role, and whether bytes come with the handshake."""
    if len(data) < 2:
        return
    role, stream = data[0] & 1, data[2:]
    ends_within, lenient = walk(stream)
    if lenient:
        return
    side = test_server_fast_parser if role else test_fast_parser
    with patch.object(fast_parser, "LARGE", LARGE):
        expected, found = compared(side, cut(stream, data[1]), MAX_SIZE, early=bool(data[0] & 2))
    if ends_within and found["code"] != expected["code"]:
        # The one finds a fault where the other waits for the rest of the frame.
        assert {found["code"], expected["code"]} & {1006}, (found, expected)
        assert found["messages"] == expected["messages"], (found, expected)
        return
    assert found == expected, f"{found}, not {expected}"
