"""The two ends as anyio's object streams.

EndOfStream after a normal close, BrokenResourceError after a loss, ClosedResourceError when this
side closed, WouldBlock; each ``from`` the error of ours that says more.
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
