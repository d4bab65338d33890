"""The HTTP API of a Roomz server: magic links, tokens and sessions."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlencode

from .._formatting import shown, without
from .._http import Answer, ask
from .address import Server
from .errors import AuthenticationError, ConnectionError, needed, unreachable

__all__ = ["ask_who", "log_out", "redeem", "request_link", "usable"]

#: cookie values that need no quoting (RFC 6265 §4.1.1)
_COOKIE = re.compile(r"[!#-+\--:<-\[\]-~]+")
_SET_COOKIE = re.compile(r"\s*session_token=([^;]*)")

_REASONS = {
    "missing_token": "no token was sent; request a link with login(email)",
    "invalid_token": "the token is unknown, used or expired (15 min); request another with "
    "login(email)",
    "unauthorized": "this email address is not allowed any more",
}


async def request_link(server: Server, email: str) -> None:
    """Request a magic link. Raises ConnectionError, with the server's status and detail."""
    answer = await _ask(server, "POST", "/auth/request-magic-link", body={"email": email})
    if answer.status != 200:
        raise _refused(server, "no magic link for this address", answer)


async def redeem(server: Server, token: str) -> str:
    """Exchange a magic link's token for a session cookie.

    Raises an AuthenticationError that says what is wrong with the token, and ConnectionError.
    Cancelled: the token may have been used.
    """
    query = urlencode({"token": token}, errors="replace")
    answer = await _ask(server, "GET", f"/auth/verify?{query}")
    if answer.status == 302:
        _, _, query = answer.headers.get("location", "").partition("?")
        reason = parse_qs(query.partition("#")[0]).get("error", [""])[0]
        if reason:
            said = _REASONS.get(reason, f"its reason is {without(shown(reason, 80), [token])!r}")
            raise AuthenticationError(
                f"{server.shown} refused the token: {said}", reason=without(reason, [token])
            )
        for header in answer.headers.get_list("set-cookie"):
            found = _SET_COOKIE.match(header)
            if found and usable(found[1]):
                return found[1]
    raise _refused(server, "no session for this token", answer, token)


async def ask_who(server: Server, cookie: str) -> dict[str, Any]:
    """Return the session's user. Raises AuthenticationError if it ended, ConnectionError."""
    answer = await _ask(server, "GET", "/auth/me", cookie=cookie)
    if answer.status == 401:
        raise AuthenticationError(
            f"{server.shown} does not accept this session: "
            f"{without(_shown_detail(answer), [cookie]) or 'it has ended'}",
            reason="invalid_session",
        )
    user = answer.json.get("user")
    if answer.status != 200 or not isinstance(user, dict):
        raise _refused(server, "no user for this session", answer, cookie)
    return user


async def log_out(server: Server, cookie: str) -> None:
    """End a session. Raises ConnectionError."""
    answer = await _ask(server, "POST", "/auth/logout", cookie=cookie)
    if answer.status != 200:
        raise _refused(server, "no logout", answer, cookie)


def usable(cookie: object) -> bool:
    """Whether a cookie can be sent without quoting."""
    return isinstance(cookie, str) and _COOKIE.fullmatch(cookie) is not None


def _detail(answer: Answer) -> str:
    """The server's explanation of an error (RFC 7807)."""
    detail = answer.json.get("detail")
    return detail if isinstance(detail, str) else ""


def _shown_detail(answer: Answer) -> str:
    return shown(_detail(answer))


def _refused(server: Server, what: str, answer: Answer, secret: str = "") -> ConnectionError:
    told = without(_shown_detail(answer), [secret])
    return ConnectionError(
        f"{what} from {server.shown}: HTTP {answer.status}" + (f": {told}" if told else ""),
        status=answer.status,
        detail=without(_detail(answer), [secret]),
    )


async def _ask(
    server: Server, method: str, path: str, *, body: Any = None, cookie: str | None = None
) -> Answer:
    """Send one request, without following redirects. The caller sets the deadline."""
    needed("httpx2")
    headers = () if cookie is None else [("Cookie", f"session_token={cookie}")]
    data = None if body is None else json.dumps(body).encode()
    try:
        return await ask(method, server.http + path, body=data, headers=headers)
    except OSError as exc:
        raise unreachable(server.shown, exc) from exc
