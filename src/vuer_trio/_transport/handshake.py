"""The opening handshake, whatever carried it: what it can fail with, and a header of it."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from http import HTTPStatus

from .._shown import shown, without

__all__ = ["SILENT", "Rejected", "basic_authorization", "refusal"]


#: what is said of a server that has hung up
SILENT = "the server closed the stream before it answered"
#: characters of a reason, with what the peer says of it
_LONGEST = 600


class Rejected(Exception):
    """The server answered, but not with a WebSocket. ``status`` is the HTTP status, if any.

    The message may quote the server: it is shown escaped, and bounded. A ``cause`` whose text
    would have to be escaped, or is long, is left out.
    """

    def __init__(
        self, message: str, *, status: int | None = None, cause: BaseException | None = None
    ) -> None:
        super().__init__(shown(message, _LONGEST))
        self.status = status
        told = str(cause)
        self.__cause__ = cause if told.isprintable() and len(told) <= _LONGEST else None

    def without(self, secrets: Iterable[str]) -> Rejected:
        """The same, should the server have sent back what is secret here."""
        message, told = without(str(self), secrets), str(self.__cause__)
        cause = self.__cause__ if without(told, secrets) == told else None
        return Rejected(message, status=self.status, cause=cause)


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
