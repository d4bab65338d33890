"""The address of a Redis, taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from .._formatting import must_be, shown_uri

__all__ = ["RedisAddress", "parse_redis_uri"]

_PORT = 6379
_HINT = "use 'redis://localhost:6379'"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a Redis is, and as whom to log in. The repr holds no secret."""

    shown: str
    secure: bool
    host: str
    port: int
    #: of a Unix socket, in place of host and port
    path: str | None
    db: int
    user: str | None
    password: str | None = field(repr=False)

    @property
    def secrets(self) -> list[str]:
        """What of it is not to be shown."""
        return [] if self.password is None else [self.password]


def parse_redis_uri(uri: object) -> RedisAddress:
    """Take a URI apart: ``redis://user:password@host:port/db``, ``rediss://`` for TLS, and
    ``unix:///path?db=0``.

    Raises TypeError, and ValueError that says what is wrong.
    """
    if not isinstance(uri, str):
        raise TypeError(must_be("the URI of a RedisBus", "a str", uri, _HINT, secret=True))

    def wrong(what: str) -> ValueError:
        return ValueError(
            f"the URI of a RedisBus must be redis://host:port, got {shown_uri(uri)!r}: {what}; "
            f"{_HINT}"
        )

    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise wrong(
            "it cannot be taken apart (in a password, / ? # and @ are written %2F %3F %23 and %40)"
        ) from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise wrong("the scheme must be redis, rediss (with TLS) or unix")
    local = parts.scheme == "unix"
    if local and not parts.path.strip("/"):
        raise wrong("it has no path")
    if not local and not parts.hostname:
        raise wrong("it has no host")
    query = parse_qs(parts.query)
    if parts.fragment or query.keys() - {"db"}:
        raise wrong("only db= can be in its query; other options are keywords of RedisBus")
    db = query.get("db", [parts.path.strip("/") if not local else ""])[0] or "0"
    if not (db.isascii() and db.isdigit()):
        raise wrong("its path must be the number of a database")
    return RedisAddress(
        shown_uri(uri),
        parts.scheme == "rediss",
        unquote(parts.hostname or ""),
        port if port is not None else _PORT,
        unquote(parts.path) if local else None,
        int(db),
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )
