"""The inbox item of a message that was processed when it was read."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["ReceivedItem"]

T = TypeVar("T")


class ReceivedItem(Generic[T]):
    """An event or the error of decoding it, and the size of the message in bytes.

    It has a ``key`` if the inbox keeps only the newest item of each key.
    """

    __slots__ = ("event", "key", "size")

    key: Hashable

    def __init__(self, event: T, size: int) -> None:
        self.event: T = event
        self.size: int = size

    def __len__(self) -> int:
        return self.size
