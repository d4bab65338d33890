"""The opening handshake, whatever carried it: what it can fail with, and a header of it."""

from __future__ import annotations

import base64
from http import HTTPStatus

__all__ = ["Rejected", "basic_authorization", "refusal"]


class Rejected(Exception):
    """The server answered, but not with a WebSocket. ``status`` is the HTTP status, if any."""

    def __init__(
        self, message: str, *, status: int | None = None, cause: BaseException | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.__cause__ = cause


def refusal(
    status: int, phrase: str, body: bytes, *, cause: BaseException | None = None
) -> Rejected:
    """For an HTTP response that is not 101."""
    if not phrase:
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = ""
    shown = body[:200].decode(errors="replace").strip()
    message = f"the server answered HTTP {status} {phrase}".rstrip()
    return Rejected(message + (f": {shown}" if shown else ""), status=status, cause=cause)


def basic_authorization(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
