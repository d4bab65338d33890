"""The two ends of a connection as Trio channels.

They raise EndOfChannel after a normal close, BrokenResourceError after a loss (a ConnectionClosed),
ClosedResourceError after a local close, and WouldBlock.
"""

from __future__ import annotations

from typing import NoReturn, TypeVar

import trio

from .._errors import ConnectionClosed, VuerError
from .channel_ends import End, ReceivingEnd, SendingEnd

__all__ = ["ReceiveEnd", "SendEnd"]

E = TypeVar("E")


class _TrioEnd(End):
    def _fail(self, error: VuerError | None) -> NoReturn:
        if error is None:
            raise trio.ClosedResourceError("this end of the channel was closed")
        if isinstance(error, ConnectionClosed) and error.normal and isinstance(self, ReceiveEnd):
            raise trio.EndOfChannel(str(error)) from error.__cause__
        raise error  # a subclass of Trio's exception


class SendEnd(_TrioEnd, SendingEnd[E], trio.abc.SendChannel[E]):
    """A ``trio.abc.SendChannel``."""


class ReceiveEnd(_TrioEnd, ReceivingEnd[E], trio.abc.ReceiveChannel[E]):
    """A ``trio.abc.ReceiveChannel``."""
