"""Who may connect: decided by a token, or by a function of the program, before the answer."""

from __future__ import annotations

import hmac
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from .._failures import describe, has_failed, pass_on
from .._formatting import must_be, without
from .._interrupts import call_unprotected, protected_methods
from .._runtime import Runtime
from .._signatures import check_takes
from .request import Request, request_of
from .visits import Visits

if TYPE_CHECKING:
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["Authorization", "Authorize", "Denial", "check_authorize"]

#: True lets the client in; False, and a status from 400 to 499, do not
Answer = bool | int | None
Authorize = Callable[[Request], Answer | Awaitable[Answer]]

#: questions at a time; for one more the oldest is given up
_QUESTIONS = 1000
#: the subprotocol that is a token begins so
_SUBPROTOCOL = "token."
_NOT_ALLOWED = "not allowed\n"


def check_authorize(authorize: object) -> None:
    """Raises TypeError for anything that cannot be called with a request."""
    if authorize is None:
        return
    if not callable(authorize):
        raise TypeError(must_be("authorize", "a function that takes the request", authorize))
    check_takes("authorize", authorize, ["request"])


class Denial(NamedTuple):
    """The answer to a client that is refused."""

    status: int
    text: str


class _Verdict(NamedTuple):
    """Of the program's function: a status, None to let the client in; and why, for the log."""

    status: int | None
    why: str = ""


_TOO_LATE = _Verdict(503, "authorize has not returned within {:g} s; see handshake_timeout=")


@protected_methods
class Authorization:
    """The rules of one server. ``timeout`` (seconds) is for one call of ``authorize``."""

    def __init__(
        self,
        rt: Runtime,
        log: logging.Logger,
        token: str | None,
        authorize: Authorize | None,
        timeout: float,
    ) -> None:
        self._rt = rt
        self._log = log
        self._authorize = authorize
        self._timeout = timeout
        self._token = None if token is None else token.encode()
        #: a browser sends this with what a scene asks for, which has no place for a token. It is
        #: not the token itself: other servers of the same host get it, at whatever port
        self._cookie = (f"vuer-{self._derived('name')[:8]}", self._derived("cookie"))
        self._questions = Visits(rt, _QUESTIONS)

    async def check(self, incoming: IncomingRequest) -> Denial | None:
        """None to admit the client. The log has the details of a refusal.

        An exception of the program's function refuses the client, and does not propagate.
        Cancelled: so is the function.
        """
        request = request_of(incoming)
        if self._token is not None and (fault := self._fault(request)) is not None:
            self._log.warning("%s: refused: %s", request.peer, fault)
            return Denial(401, f"{fault}\n")
        if self._authorize is not None:
            status, why = await self._ask(self._authorize, request)
            if status is not None:
                self._log.warning("%s: refused with %d: %s", request.peer, status, why)
                return Denial(status, _NOT_ALLOWED)
        if self._token is not None and request.websocket:
            incoming.reply_headers = list(self._headers(request))
        return None

    # ---- a token

    def _derived(self, what: str) -> str:
        return hmac.digest(self._token or b"", f"vuer-trio {what}".encode(), "sha256").hex()

    def _fault(self, request: Request) -> str | None:
        """What is wrong with the token of a request, if anything is."""
        given = list(_tokens(request))
        if any(map(self._is_right, given)):
            return None
        name, value = self._cookie
        if not request.websocket and _same(request.cookies.get(name, ""), value.encode()):
            return None
        return "the token is wrong" if given else "no token was given, and this server needs one"

    def _is_right(self, token: str) -> bool:
        return self._token is not None and _same(token, self._token)

    def _headers(self, request: Request) -> Iterable[tuple[str, str]]:
        """Of the answer to a WebSocket that may open."""
        if request.subprotocols:  # a browser wants to be told one of them
            plain = (name for name in request.subprotocols if not name.startswith(_SUBPROTOCOL))
            yield "sec-websocket-protocol", next(plain, request.subprotocols[0])
        if "origin" in request.headers:
            secure = "; Secure" if request.secure else ""
            name, value = self._cookie
            yield "set-cookie", f"{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}"

    # ---- a function

    async def _ask(self, authorize: Authorize, request: Request) -> _Verdict:
        verdict = None
        with self._questions.visit(self._timeout):
            verdict = await self._call(authorize, request)
        if verdict is None:
            return _Verdict(_TOO_LATE.status, _TOO_LATE.why.format(self._timeout))
        return verdict

    async def _call(self, authorize: Authorize, request: Request) -> _Verdict:
        task = self._rt.current_task()
        try:
            answer = await call_unprotected(authorize, request)
        except BaseException as exc:
            why = self._said(exc, request) if has_failed(exc, self._rt, task) else ""
            pass_on(exc, self._rt, task)
            return _Verdict(403, why)
        if answer is True:
            return _Verdict(None)
        if answer is False or answer is None:
            return _Verdict(403, f"authorize returned {answer}")
        if isinstance(answer, int) and 400 <= answer <= 499:
            return _Verdict(int(answer), f"authorize returned {int(answer)}{_phrase(answer)}")
        what = "True, False or a status from 400 to 499"
        return _Verdict(500, must_be("what authorize returns", what, answer, secret=True))

    def _said(self, exc: BaseException, request: Request) -> str:
        """What was raised and, unless that was meant to refuse, where; without what is secret in
        the request, of which the text may quote anything."""
        secrets = request._secrets()

        def text(exc: BaseException) -> str:
            return without(str(exc), secrets)

        said, name = describe(exc, text), type(exc).__name__
        why = f"authorize raised {name}" + ("" if said == name else f": {said}")
        if isinstance(exc, PermissionError):
            return why
        where = "".join(traceback.format_tb(exc.__traceback__))
        return f"{why}\n{without(where, secrets).rstrip()}"


def _tokens(request: Request) -> Iterable[str]:
    """Those that a request has, wherever they may be."""
    if "token" in request.query:
        yield request.query["token"]
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        yield token.strip()
    for name in request.subprotocols:
        if name.startswith(_SUBPROTOCOL):
            yield unquote(name.removeprefix(_SUBPROTOCOL))


def _same(given: str, expected: bytes) -> bool:
    """In the same time, however much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected)


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""
