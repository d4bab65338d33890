"""What a client sends before its WebSocket is open, and whether it is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._interrupts import protected_methods
from .._net.byte_stream import ByteStream

if TYPE_CHECKING:
    from .._async_types import CancelScope

__all__ = ["EarlyBytes"]

#: bytes; for more, the client is not read from until its WebSocket is open
_MOST = 65_536


@protected_methods
class EarlyBytes:
    """``data`` has come from ``stream`` already. While `read` runs, nobody else may read it."""

    def __init__(self, stream: ByteStream, data: bytes) -> None:
        self._stream = stream
        self.data: bytes = data
        #: whether the client has left
        self.at_end: bool = False

    async def read(self, scope: CancelScope) -> None:
        """Read on; cancel ``scope`` when the client leaves.

        Cancelled: what has come is in ``data``.
        """
        try:
            while len(self.data) < _MOST:
                more = bytes(await self._stream.receive())
                if not more:
                    break
                self.data += more
            else:
                return
        except OSError:
            pass
        self.at_end = True
        scope.cancel()
