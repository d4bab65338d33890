"""The HTTP of a Roomz server: links, tokens, sessions. No redirect is followed, no jar is kept."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .address import Server
from .errors import AuthenticationError, ConnectionError, needed, unreachable

__all__ = ["ask_who", "log_out", "redeem", "request_link", "usable"]

#: bytes of an answer that are read
_LIMIT = 65_536
#: what may stand in a Cookie header as it is (RFC 6265 §4.1.1)
_COOKIE = re.compile(r"[!#-+\--:<-\[\]-~]+")
_SET_COOKIE = re.compile(r"\s*session_token=([^;]*)")

_REASONS = {
    "missing_token": "it got no token; request a link with login(email)",
    "invalid_token": "the token is unknown, used or expired (15 min); request another with "
    "login(email)",
    "unauthorized": "this email address is not allowed any more",
}


class _Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        self.json: dict[str, Any] = found if isinstance(found, dict) else {}

    @property
    def detail(self) -> str:
        """What the server says of an error (RFC 7807)."""
        detail = self.json.get("detail")
        return detail if isinstance(detail, str) else ""


async def request_link(server: Server, email: str) -> None:
    """Have a magic link sent. Raises ConnectionError, with the server's status and detail."""
    answer = await _ask(server, "POST", "/auth/request-magic-link", json={"email": email})
    if answer.status != 200:
        raise _refused(server, "no magic link for this address", answer)


async def redeem(server: Server, token: str) -> str:
    """A magic link's token for a session cookie; the token is used up.

    Raises AuthenticationError that says what is wrong with the token, and ConnectionError.
    Cancelled: the token may be used up.
    """
    answer = await _ask(server, "GET", "/auth/verify", params={"token": token})
    location = answer.headers.get("location", "")
    if answer.status == 302:
        reason = parse_qs(urlsplit(location).query).get("error", [""])[0]
        if reason:
            said = _REASONS.get(reason, f"it says {reason[:80]!r}")
            raise AuthenticationError(f"{server.shown} refused the token: {said}", reason=reason)
        for header in answer.headers.get_list("set-cookie"):
            found = _SET_COOKIE.match(header)
            if found and usable(found[1]):
                return found[1]
    raise _refused(server, "no session for this token", answer)


async def ask_who(server: Server, cookie: str) -> dict[str, Any]:
    """Whose session it is. Raises AuthenticationError for one that ended, and ConnectionError."""
    answer = await _ask(server, "GET", "/auth/me", headers=_session(cookie))
    if answer.status == 401:
        raise AuthenticationError(
            f"{server.shown} does not accept this session: {answer.detail or 'it has ended'}",
            reason="invalid_session",
        )
    user = answer.json.get("user")
    if answer.status != 200 or not isinstance(user, dict):
        raise _refused(server, "no answer to whose session this is", answer)
    return user


async def log_out(server: Server, cookie: str) -> None:
    """Tell the server that the session is over. Raises ConnectionError."""
    answer = await _ask(server, "POST", "/auth/logout", headers=_session(cookie))
    if answer.status != 200:
        raise _refused(server, "no logout", answer)


def usable(cookie: object) -> bool:
    """Whether it can be sent as it is."""
    return isinstance(cookie, str) and _COOKIE.fullmatch(cookie) is not None


def _session(cookie: str) -> dict[str, str]:
    return {"Cookie": f"session_token={cookie}"}


def _refused(server: Server, what: str, answer: _Answer) -> ConnectionError:
    return ConnectionError(
        f"{what} from {server.shown}: HTTP {answer.status}"
        + (f": {answer.detail}" if answer.detail else ""),
        status=answer.status,
        detail=answer.detail,
    )


async def _ask(server: Server, method: str, path: str, **request: Any) -> _Answer:
    """One request on a connection of its own. Who asks sets the deadline."""
    httpx2 = needed("httpx2")
    client = httpx2.AsyncClient(timeout=None, trust_env=False, follow_redirects=False)
    body = b""
    try:
        async with client, client.stream(method, server.http + path, **request) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _LIMIT:
                    # Not `break`: it leaves generators to the garbage collector. This ends them.
                    await response.aclose()
            return _Answer(response.status_code, response.headers, body)
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as exc:
        if len(body) > _LIMIT:
            raise ConnectionError(
                f"{server.shown} answers more than {_LIMIT:,} bytes: it is no Roomz server"
            ) from exc
        raise unreachable(server.shown, exc) from exc
