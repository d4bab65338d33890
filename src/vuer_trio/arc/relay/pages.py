"""The HTTP endpoints of a relay: ``/register`` and ``/stats``."""

from __future__ import annotations

import hmac
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ..._hosting.authorization import Authorization
from ..._hosting.places import network
from ..._net.http_request import BadRequest
from ..._runtime import Runtime
from .reading import Unreadable, read_json
from .registry import Refusal, RegistrationLimit

if TYPE_CHECKING:
    from ..._websocket.incoming_request import IncomingRequest

__all__ = ["Pages"]

#: maximum size of a request body in bytes
_LIMIT = 65_536
#: seconds in which a request must be read and answered
_TIMEOUT = 30.0
_PAGES_MAY = [
    ("access-control-allow-methods", "GET, POST, OPTIONS"),
    ("access-control-allow-headers", "Content-Type, Authorization"),
]
#: headers of every response: web pages cannot read or embed it unless the relay allows them to
_GUARDS = [
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
]

#: registers an agent; gets the id that is wanted, and the network that asks
Register: TypeAlias = Callable[[object, str | None], Awaitable[tuple[str, str]]]


class Pages:
    """Answers plain HTTP requests.

    ``limit`` limits registrations, and ``secret`` is required to register; either may be None.
    """

    def __init__(
        self,
        rt: Runtime,
        register: Register,
        limit: RegistrationLimit | None,
        secret: str | None,
        stats: Callable[[], Mapping[str, Any]],
        authorization: Authorization | None = None,
    ) -> None:
        self._rt = rt
        self._register_agent = register
        self._limit = limit
        self._secret = None if secret is None else secret.encode()
        self._stats = stats
        self._authorization = authorization

    async def answer(self, incoming: IncomingRequest, more: Sequence[tuple[str, str]] = ()) -> None:
        """Answer one request; ``more`` are additional headers of the response.

        Raises OSError. Cancelled: the response may be incomplete.
        """
        with self._rt.move_on_after(_TIMEOUT):
            try:
                status, kind, body, headers = await self._find(incoming)
            except BadRequest as exc:
                status, kind, body, headers = exc.status, "text/plain", str(exc), ()
            fields = [*more, *_GUARDS, *headers]
            if body:
                fields.append(("content-type", kind))
            await incoming.answer(status, fields, body.encode())

    async def _find(
        self, incoming: IncomingRequest
    ) -> tuple[int, str, str, Sequence[tuple[str, str]]]:
        method, target = incoming.request.method, incoming.request.target
        if method == "OPTIONS":
            return 204, "", "", _PAGES_MAY
        if target.partition("?")[0] in ("/register", "/stats") and self._authorization is not None:
            denial = await self._authorization.check(incoming)
            if denial is not None:
                found = {"error": "forbidden", "message": denial.text.rstrip()}
                return denial.status, "application/json", json.dumps(found), ()
        if target == "/register" and method == "POST":
            return await self._register(incoming)
        if target == "/stats" and method in ("GET", "HEAD"):
            return 200, "application/json", json.dumps(self._stats(), indent=2), ()
        if target.partition("?")[0] == "/arc":
            upgrade = [("upgrade", "websocket"), ("connection", "upgrade")]
            return 426, "text/plain", "Upgrade Required", upgrade
        return 404, "text/plain", "Not found", ()

    async def _register(
        self, incoming: IncomingRequest
    ) -> tuple[int, str, str, Sequence[tuple[str, str]]]:
        body = await incoming.read_body(_LIMIT)
        headers: list[tuple[str, str]] = []
        status = 200
        try:
            window = None if self._limit is None else self._limit.window(incoming.host)
            if window is not None and not window.try_admit():
                seconds = math.ceil(window.wait_time())
                headers.append(("retry-after", str(seconds)))
                raise Refusal(429, "rate_limited", f"Try again in {seconds} s")
            self._check_secret(incoming.request.header("authorization") or "")
            agent_id, token = await self._register_agent(_wanted(body), network(incoming.host))
        except Refusal as exc:
            status, found = exc.status, {"error": exc.code, "message": str(exc)}
        else:
            found = {"agent_id": agent_id, "token": token}
        return status, "application/json", json.dumps(found, separators=(",", ":")), headers

    def _check_secret(self, given: str) -> None:
        """Raise Refusal for a wrong secret, compared in constant time."""
        if self._secret is None:
            return
        kind, _, secret = given.partition(" ")
        right = hmac.compare_digest(secret.encode("latin-1"), self._secret)
        if kind.lower() != "bearer" or not right:
            raise Refusal(401, "unauthorized", "This relay requires its register_secret")


def _wanted(body: bytes) -> object:
    """The requested agent id; None lets the relay choose. Raises Refusal."""
    if not body:
        return None
    try:
        found = read_json(body.decode())
    except (Unreadable, UnicodeDecodeError):
        found = None
    if found is None:
        raise Refusal(400, "invalid_json", "Malformed JSON")
    return found.get("agent_id") if isinstance(found, dict) else None
