"""A bounded number of places, and who loses theirs when there is no room."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from .._interrupts import protected_methods
from .._runtime import Runtime

__all__ = ["NoPlace", "Places", "network", "quarter"]

T = TypeVar("T", bound=Hashable)


class NoPlace(Exception):
    """There is no room, and nobody to give way. The text says which limit was reached."""


@protected_methods
class Places(Generic[T]):
    """At most ``most`` members, and at most ``per_host`` of them from one `network`.

    A member is a newcomer until `settle`. Newcomers give way to others, the oldest first.
    """

    def __init__(self, rt: Runtime, most: int, per_host: int) -> None:
        self._rt = rt
        self._most = most
        self._per_host = per_host
        self._inside: dict[T, str | None] = {}  # and its network
        self._new: dict[T, float] = {}  # and when they came; the oldest first
        self._counts: dict[str, int] = {}  # members of each network
        self._arrival = rt.Event()

    def __len__(self) -> int:
        return len(self._inside)

    def __iter__(self) -> Iterator[T]:
        """Iterate over a snapshot of the members, in the order of their arrival."""
        return iter(list(self._inside))

    def enter(self, who: T, host: str | None) -> T | None:
        """Take a place. Returns the newcomer that has lost its place for it, if any; the caller
        must end that one. Raises NoPlace.
        """
        where = network(host)
        out: T | None = None
        if where is not None and self._counts.get(where, 0) >= self._per_host:
            out = next((other for other in self._new if self._inside[other] == where), None)
            if out is None:
                raise NoPlace(f"{where} has all of its {self._per_host} places")
        elif len(self._inside) >= self._most:
            out = next(iter(self._new), None)
            if out is None:
                raise NoPlace(f"all of the {self._most} places are taken")
        if out is not None:
            self.leave(out)
        self._inside[who] = where
        if where is not None:
            self._counts[where] = self._counts.get(where, 0) + 1
        self._new[who] = self._rt.current_time()
        self._arrival.set()
        return out

    def settle(self, who: T) -> None:
        """``who`` is not a newcomer any more."""
        self._new.pop(who, None)

    def leave(self, who: T) -> None:
        """Give a place back; calling it twice is harmless."""
        self._new.pop(who, None)
        where = self._inside.pop(who, None)
        if where is not None:
            self._counts[where] -= 1
            if not self._counts[where]:
                del self._counts[where]

    async def watch(self, timeout: float, end: Callable[[T], None]) -> None:
        """Run until cancelled: call ``end(who)`` once for each that is still a newcomer after
        ``timeout`` seconds. It keeps its place until it leaves.
        """
        while True:
            if not self._new or timeout == math.inf:
                self._arrival = self._rt.Event()
                await self._arrival.wait()
                continue
            oldest, since = next(iter(self._new.items()))
            if since + timeout > self._rt.current_time():
                await self._rt.sleep_until(since + timeout)
                continue
            self.settle(oldest)
            end(oldest)


def network(host: str | None) -> str | None:
    """What an address is counted as: itself, or in IPv6 its /64, which belongs to one customer.

    Returns None for this machine, where proxies and tunnels are, and for what is not an address.
    """
    if host is None:
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif not (address.is_loopback or address.is_link_local):
            return str(ipaddress.IPv6Network((int(address), 64), strict=False))
    return None if address.is_loopback else str(address)


def quarter(whole: int) -> int:
    """The default share of one address."""
    return -(-whole // 4)
