"""The server behind a proxy: where it is, and streams to it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from .._net.address import Address, parse_address
from .._net.backend import net_backend
from .._net.byte_stream import ByteStream
from .._net.connect_options import ConnectOptions
from .._net.dial import open_stream
from .._net.failure_reason import say_why
from .._net.rejection import Rejected
from .._runtime import Runtime
from .headers import Fields

__all__ = ["Unreachable", "Upstream", "parse_upstream"]


class Unreachable(Exception):
    """The server behind the proxy does not answer; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, repr=False)
class Upstream:
    """``headers`` are sent with each request, and replace the client's headers of these names;
    ``timeout`` (seconds) is for one dial."""

    address: Address
    tls: ssl.SSLContext | None = None
    headers: Fields = ()
    timeout: float = 10.0

    def __repr__(self) -> str:
        return f"<Upstream {self.address.shown}>"

    async def open(self, rt: Runtime) -> ByteStream:
        """A stream to it. Raises Unreachable. Cancelled: nothing is left open."""
        options = ConnectOptions(self.address, 1, tls=self.tls)
        where = self.address.shown
        try:
            with rt.move_on_after(self.timeout):
                return await open_stream(net_backend(rt), options)
        except (OSError, Rejected) as exc:
            why = say_why(exc, "a Vuer server", secure=self.address.secure)
            raise Unreachable(f"{where} cannot be reached: {why}") from exc
        raise Unreachable(f"{where} has not answered within {self.timeout:g} s; is it overloaded?")


def parse_upstream(uri: str) -> Address:
    """``ws://``, ``wss://``, ``http://`` or ``https://``. Raises ValueError."""
    if uri.startswith(("http://", "https://")):
        uri = "ws" + uri.removeprefix("http")
    address = parse_address(uri)
    if address.resource != "/":
        raise ValueError(
            f"uri must be a server without a path and a query, got {address.shown!r}: each request "
            "is passed on with its own; use ws://host:port"
        )
    if address.user is not None:
        raise ValueError(
            f"uri must be a server without a user, got {address.shown!r}: everybody who reaches "
            "the proxy would be that user; use --header 'Authorization: ...' if that is meant"
        )
    return address
