"""Hosts inside this process: a dial to one of them opens no socket. For tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["host_inside", "open_inside"]

#: opens a byte stream to the host, in the form of the running library
Open = Callable[[], Awaitable[Any]]

_hosts: Final[dict[str, Open]] = {}


@contextmanager
def host_inside(name: str, open_stream: Open) -> Iterator[None]:
    """In the block every dial to ``name``, in lower case, at any port, gets ``open_stream()``.

    What that raises the dial raises. Over such a stream no TLS is spoken, by any scheme. Raises
    ValueError for a name that another host has.
    """
    if _hosts.setdefault(name, open_stream) is not open_stream:
        raise ValueError(f"the host {name!r} already exists in this process")
    try:
        yield
    finally:
        del _hosts[name]


async def open_inside(name: str) -> Any:
    """A stream to that host, or None if it is not in this process. Raises what opening does."""
    open_stream = _hosts.get(name)
    return None if open_stream is None else await open_stream()
