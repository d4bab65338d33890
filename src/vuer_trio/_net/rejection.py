"""The opening handshake, whatever carried it: what it can fail with, and a header of it."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import quote

from .._formatting import shown, without

__all__ = [
    "GUID",
    "REDIRECTED",
    "SILENT",
    "Rejected",
    "basic_authorization",
    "secrets_of_user",
    "way_of",
]

#: what a key is answered with (RFC 6455 §1.3)
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: how a note begins on what a dial fails with after it was sent elsewhere
REDIRECTED = "redirected to "
#: what is said of a server that has hung up
SILENT = "the server closed the stream before it answered"
#: characters of a reason, with what the peer says of it
_LONGEST = 600


class Rejected(Exception):
    """The server answered, but not with a WebSocket. ``status`` is the HTTP status, if any.

    The message may quote the server: it is shown escaped, and bounded. A ``cause`` whose text
    would have to be escaped, or is long, is left out. ``location`` is where the server sends its
    clients instead, as it said so: empty if it did not, None for an answer that is no redirect.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        location: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(shown(message, _LONGEST))
        self.status = status
        self.location = location
        told = str(cause)
        self.__cause__ = cause if told.isprintable() and len(told) <= _LONGEST else None

    def without(self, secrets: Iterable[str]) -> Rejected:
        """The same, should the server have sent back what is secret here."""
        message, told = without(str(self), secrets), str(self.__cause__)
        cause = self.__cause__ if without(told, secrets) == told else None
        return Rejected(message, status=self.status, location=self.location, cause=cause)


def way_of(exc: BaseException) -> str:
    """Where a dial that failed with ``exc`` was sent, for messages; empty if it was not."""
    notes: list[str] = getattr(exc, "__notes__", [])
    return next((f", {note}" for note in notes if note.startswith(REDIRECTED)), "")


def secrets_of_user(user: str, password: str) -> list[str]:
    """What of them is not to be shown: the password, in every form that it is sent in."""
    _, _, encoded = basic_authorization(user, password).partition(" ")
    return [password, quote(password, ""), encoded]


def basic_authorization(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
