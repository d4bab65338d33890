"""What the allocator does with the memory of large messages."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

__all__ = ["keep_freed_memory"]

#: bytes; glibc learns from blocks up to 32 MiB, its own header and a page included
_LARGEST = (32 << 20) - 8192


@cache
def keep_freed_memory() -> None:
    """Have the allocator keep what large messages leave for the next ones.

    glibc gives the end of its heap back to the system when twice the largest block that was mapped
    and freed so far is free there: with messages of 16 MiB in turn, that is now and then. A page
    that comes back costs more than to pack what is in it. So a block of the most that glibc learns
    from is allocated, and freed untouched. Other allocators do nothing of the kind, and lose
    nothing.
    """
    with suppress(MemoryError):  # where the address space has a limit
        bytes(_LARGEST)
