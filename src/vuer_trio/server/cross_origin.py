"""What pages of other origins may do with files (the Fetch standard's CORS protocol).

Which pages may is not decided here: `Origins.headers` names the origin of an allowed one, and
nothing is added for any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .._net.http_request import HttpRequest

__all__ = ["allow", "preflight", "vary"]

Fields = Sequence[tuple[str, str]]

_ALLOWED = "access-control-allow-origin"
_EXPOSED = "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Last-Modified"
_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")
#: seconds that a browser may go without asking again
_MAX_AGE = "600"


def allow(fields: Fields) -> list[tuple[str, str]]:
    """Those headers, and for an allowed page what else it may read."""
    found = list(fields)
    if _is_allowed(fields):
        found.append(("access-control-allow-credentials", "true"))
        found.append(("access-control-expose-headers", _EXPOSED))
    return found


def preflight(
    request: HttpRequest, fields: Fields, methods: Iterable[str]
) -> list[tuple[str, str]]:
    """Of the answer to OPTIONS."""
    allowed = ", ".join(methods)
    found = [("allow", allowed), *fields]
    if not _is_allowed(fields):
        return found
    found.append(("access-control-allow-credentials", "true"))
    found.append(("access-control-allow-methods", allowed))
    names = request.header("access-control-request-headers")
    if names is not None and _NAMES.fullmatch(names):
        found.append(("access-control-allow-headers", names))
    if request.header("access-control-request-private-network") == "true":
        found.append(("access-control-allow-private-network", "true"))
    found.append(("access-control-max-age", _MAX_AGE))
    return vary(found, "Access-Control-Request-Headers")


def vary(fields: Fields, name: str) -> list[tuple[str, str]]:
    """With ``name`` among what the answer depends on."""
    found = [(key, value) for key, value in fields if key != "vary"]
    names = [value for key, value in fields if key == "vary"]
    return [*found, ("vary", ", ".join([*names, name]))]


def _is_allowed(fields: Fields) -> bool:
    return any(name == _ALLOWED for name, _ in fields)
