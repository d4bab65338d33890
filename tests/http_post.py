"""A request with a body, as a program sends it."""

from __future__ import annotations

import ssl
from urllib.error import HTTPError
from urllib.request import Request, urlopen

__all__ = ["post"]

#: seconds; a loaded machine may need a tenth of it
_DEADLINE = 60.0


def post(
    url: str, body: bytes, context: ssl.SSLContext | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what a server answers."""
    request = Request(url, body, {"content-type": "application/json", **headers})
    try:
        with urlopen(request, timeout=_DEADLINE, context=context) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()
