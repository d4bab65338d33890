"""The changes of this process that have not come back yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

__all__ = ["Pending"]

#: changes and bytes of one entry; a larger change is one by itself
_BATCH, _BATCH_BYTES = 512, 1 << 20


class Pending:
    """Numbered from 1; up to ``most`` of them, of ``max_bytes`` together.

    One change may overshoot ``max_bytes``: it has room while there is some.
    """

    def __init__(self, most: int, max_bytes: int) -> None:
        self._most, self._max_bytes = most, max_bytes
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        #: the number of the newest change
        self.newest: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def size(self) -> int:
        """In bytes."""
        return self._bytes

    @property
    def confirmed(self) -> int:
        """The number of the newest change that has come back."""
        return self.newest - len(self._waiting)

    @property
    def has_room(self) -> bool:
        return len(self._waiting) < self._most and self._bytes < self._max_bytes

    def add(self, payload: bytes) -> None:
        self.newest += 1
        self._waiting.append(payload)
        self._bytes += len(payload)

    def batch(self, after: int) -> tuple[int, Sequence[bytes]]:
        """The changes for the next entry, those after a number, and the number of the first."""
        first = max(after, self.confirmed) + 1
        found: list[bytes] = []
        size = 0
        at = first - self.confirmed - 1
        while at < len(self._waiting) and len(found) < _BATCH:
            payload = self._waiting[at]
            if found and size + len(payload) > _BATCH_BYTES:
                break
            found.append(payload)
            size += len(payload)
            at += 1
        return first, found

    def confirm(self, number: int) -> None:
        """Everything up to that number has come back."""
        while self._waiting and self.confirmed < number:
            self._bytes -= len(self._waiting.popleft())
