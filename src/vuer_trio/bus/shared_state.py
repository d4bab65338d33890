"""What a journal keeps the same in all processes."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["Origin", "SharedState"]


class Origin(NamedTuple):
    """Where a change comes from."""

    #: the process, a random name for each run
    writer: bytes
    #: whether that is this process
    own: bool
    #: milliseconds of the store's clock: the same in all processes
    ms: int
    #: of the change, among those of its writer
    number: int
    #: whether this process has made it already, before the store went back in time
    again: bool = False


class SharedState(Protocol):
    """State that is a function of the changes, in their order: so it is the same everywhere."""

    def apply(self, payload: bytes, origin: Origin) -> None:
        """Make one change. Raises ValueError, and changes nothing, for what is malformed."""

    def dump(self) -> bytes:
        """The whole state. Raises EncodeError."""

    def load(self, state: bytes) -> None:
        """Replace it by another. Raises ValueError, and changes nothing, for what is malformed."""

    def confirmed(self, number: int) -> None:
        """All changes of this process up to that number are in the state. Most were applied one by
        one; the others came with what was loaded."""
