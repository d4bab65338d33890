"""What an opening handshake can fail with, whatever carried it."""

from __future__ import annotations

__all__ = ["Rejected"]


class Rejected(Exception):
    """The server answered, but not with a WebSocket. ``status`` is the HTTP status, if any."""

    def __init__(
        self, message: str, *, status: int | None = None, cause: BaseException | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.__cause__ = cause
