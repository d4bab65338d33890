"""A bus that is a Redis."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator

from .._connection.backoff import Backoff
from .._formatting import must_be
from .._interrupts import protected_block
from .._runtime import runtime
from .bus import Bus
from .link import BusLink
from .redis_address import parse_redis_uri

__all__ = ["RedisBus"]

_RECONNECT = Backoff(initial=0.2, maximum=5.0)


class RedisBus(Bus):
    """A bus that is a Redis (6.2 or newer), which keeps everything: ``RedisBus("redis://host")``.

    ``uri`` is ``redis://user:password@host:port/db``, ``rediss://`` for TLS, or
    ``unix:///path?db=0``. With TLS the certificate is checked as ``ssl_context`` has it; by
    default, as of a website. ``prefix`` is that of all keys: servers with the same prefix and the
    same database belong together. ``timeout`` is in seconds, for an answer of Redis, and again for
    connecting; a Redis that is silent for longer is lost. ``reconnect`` says how it is tried again;
    with ``first=True`` the first time as well.

    Needs the package `coredis`, which is in the extra ``redis``. Raises ImportError without it, and
    TypeError and ValueError for invalid arguments. No message, log or repr shows the password.
    """

    def __init__(
        self,
        uri: str = "redis://localhost:6379",
        *,
        prefix: str = "vuer-trio",
        timeout: float = 5.0,
        ssl_context: ssl.SSLContext | None = None,
        reconnect: Backoff = _RECONNECT,
    ) -> None:
        super().__init__(reconnect)
        self._address = parse_redis_uri(uri)
        if not isinstance(prefix, str) or not prefix or not prefix.isprintable():
            raise TypeError(must_be("prefix", "a str that is not empty", prefix, "use 'vuer-trio'"))
        if "{" in prefix or "}" in prefix:
            raise ValueError(must_be("prefix", "a str without { and }", prefix, "use 'vuer-trio'"))
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise TypeError(must_be("timeout", "a number of seconds", timeout, "use 5.0"))
        if not 0 < timeout < float("inf"):
            raise ValueError(
                must_be("timeout", "more than 0 seconds, and finite", timeout, "use 5.0")
            )
        if ssl_context is not None:
            if not isinstance(ssl_context, ssl.SSLContext):
                raise TypeError(must_be("ssl_context", "an ssl.SSLContext, or None", ssl_context))
            if not self._address.secure:
                raise ValueError("ssl_context= is for TLS, which a URI with rediss:// has")
        self._prefix = prefix
        self._timeout = float(timeout)
        self._context = ssl_context
        try:
            import coredis  # noqa: F401  # here, not when a server starts
        except ImportError as exc:
            raise ImportError(
                "a RedisBus needs the package coredis: pip install 'vuer-trio[redis]'"
            ) from exc

    @protected_block
    async def _open_link(self) -> AsyncGenerator[BusLink, None]:
        from .redis_link import open_redis_link

        rt = runtime()
        if self._address.secure and self._context is None:
            self._context = await rt.run_in_thread(ssl.create_default_context)
        async with open_redis_link(
            rt, self._address, self._context, self._prefix, self._timeout
        ) as link:
            yield link

    @property
    def _shown(self) -> str:
        return self._address.shown

    def __repr__(self) -> str:
        return f"<RedisBus {self._shown}>"
