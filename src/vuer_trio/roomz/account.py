"""The credentials of a client: a magic link's token, then a session."""

from __future__ import annotations

from typing import Any

from . import http
from .address import Server
from .cache import SessionCache
from .errors import AuthenticationError

__all__ = ["Account"]


class Account:
    """The session, in memory and, with a cache, on disk."""

    def __init__(self, server: Server, token: str, cache: SessionCache | None) -> None:
        self.server = server
        self._token = token  # not redeemed yet
        self._cookie: str | None = None
        self._cache = cache

    def known(self) -> bool:
        """Whether there is a token or a session to connect with."""
        return bool(self._token) or self._session() is not None

    async def cookie(self, token: str) -> str:
        """Get a session from ``token``, from the first token, or from the cache.

        If a token is refused, no other session is tried. Raises AuthenticationError and
        ConnectionError. Cancelled: the token may have been used.
        """
        token = token or self._token
        if token:
            try:
                cookie = await http.redeem(self.server, token)
            except AuthenticationError:
                if token == self._token:
                    self._token = ""  # a refused token stays invalid
                raise
            self._token, self._cookie = "", cookie
            if self._cache is not None:
                self._cache.save(self.server.key, cookie)
            return cookie
        found = self._session()
        if found is None:
            raise AuthenticationError(
                f"there is no token and no session for {self.server.shown}: request a link with "
                "login(email), then connect(token)",
                reason="missing_token",
            )
        return found

    def _session(self) -> str | None:
        if self._cookie is None and self._cache is not None:
            self._cookie = self._cache.load(self.server.key)
        return self._cookie

    def forget(self) -> None:
        """Forget the session, in memory and on disk, but not a token that was not redeemed."""
        self._cookie = None
        if self._cache is not None:
            self._cache.remove(self.server.key)

    async def me(self) -> dict[str, Any]:
        """Ask the server for the session's user. A rejected session is forgotten."""
        cookie = self._session()
        if cookie is None:
            raise AuthenticationError("there is no session", reason="invalid_session")
        try:
            return await http.ask_who(self.server, cookie)
        except AuthenticationError:
            self.forget()
            raise

    async def log_out(self) -> None:
        """End the session at the server. It is forgotten here whatever the server answers."""
        cookie = self._session()
        self.forget()
        if cookie is not None:
            await http.log_out(self.server, cookie)
