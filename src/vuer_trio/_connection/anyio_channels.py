"""The two ends of a connection as anyio object streams.

They raise EndOfStream after a normal close, BrokenResourceError after a loss, ClosedResourceError
after a local close, and WouldBlock, each ``from`` the more specific error of this library.
"""

from __future__ import annotations

from typing import NoReturn, TypeVar

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from .._errors import ClientClosed, ConnectionClosed, InboxEmpty, OutboxFull, VuerError
from .channel_ends import End, ReceivingEnd, SendingEnd

__all__ = ["ReceiveStream", "SendStream"]

E = TypeVar("E")


class _AnyioEnd(End):
    def _fail(self, error: VuerError | None) -> NoReturn:
        match error:
            case None:
                raise anyio.ClosedResourceError
            case ConnectionClosed(normal=True) if isinstance(self, ReceiveStream):
                raise anyio.EndOfStream from error
            case ConnectionClosed():
                raise anyio.BrokenResourceError from error
            case ClientClosed():
                raise anyio.ClosedResourceError from error
            case OutboxFull() | InboxEmpty():
                raise anyio.WouldBlock from error
            case _:
                raise error


class SendStream(_AnyioEnd, SendingEnd[E], ObjectSendStream[E]):
    """An ``anyio.abc.ObjectSendStream``."""


class ReceiveStream(_AnyioEnd, ReceivingEnd[E], ObjectReceiveStream[E]):
    """An ``anyio.abc.ObjectReceiveStream``."""
