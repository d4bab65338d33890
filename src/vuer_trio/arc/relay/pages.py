"""What a relay answers to plain HTTP: ``/register`` and ``/stats``."""

from __future__ import annotations

import hmac
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..._hosting.places import network
from ..._net.http_request import BadRequest
from ..._runtime import Runtime
from .reading import Unreadable, read_json
from .registry import Refusal, Registry
from .windows import Windows

if TYPE_CHECKING:
    from ..._websocket.incoming_request import IncomingRequest

__all__ = ["Pages"]

#: bytes of a request's body
_LIMIT = 65_536
#: seconds that a client has to read an answer
_TIMEOUT = 30.0
_PAGES_MAY = [
    ("access-control-allow-methods", "GET, POST, OPTIONS"),
    ("access-control-allow-headers", "Content-Type, Authorization"),
]
#: of all that is answered: no page is to read or show it that the relay does not let
_GUARDS = [
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
]


class Pages:
    """``windows`` limit registrations, if there are any; a ``secret`` is asked for by them."""

    def __init__(
        self,
        rt: Runtime,
        registry: Registry,
        windows: Windows | None,
        secret: str | None,
        stats: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._rt = rt
        self._registry = registry
        self._windows = windows
        self._secret = None if secret is None else secret.encode()
        self._stats = stats

    async def answer(self, incoming: IncomingRequest, more: Sequence[tuple[str, str]] = ()) -> None:
        """Answer one request; ``more`` are headers of the answer.

        Raises OSError. Cancelled: the answer may be cut.
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
            window = None if self._windows is None else self._windows.of(incoming.host)
            if window is not None and not window.try_admit():
                seconds = math.ceil(window.wait_time())
                headers.append(("retry-after", str(seconds)))
                raise Refusal(429, "rate_limited", f"Try again in {seconds} s")
            self._check_secret(incoming.request.header("authorization") or "")
            agent_id, token = self._registry.register(_wanted(body), network(incoming.host))
        except Refusal as exc:
            status, found = exc.status, {"error": exc.code, "message": str(exc)}
        else:
            found = {"agent_id": agent_id, "token": token}
        return status, "application/json", json.dumps(found, separators=(",", ":")), headers

    def _check_secret(self, given: str) -> None:
        """Raises Refusal. It takes as long for a secret that is nearly right as for any other."""
        if self._secret is None:
            return
        kind, _, secret = given.partition(" ")
        right = hmac.compare_digest(secret.encode("latin-1"), self._secret)
        if kind.lower() != "bearer" or not right:
            raise Refusal(401, "unauthorized", "This relay registers who knows its register_secret")


def _wanted(body: bytes) -> object:
    """The agent id that is asked for, None for any. Raises Refusal."""
    if not body:
        return None
    try:
        found = read_json(body.decode())
    except (Unreadable, UnicodeDecodeError):
        found = None
    if found is None:
        raise Refusal(400, "invalid_json", "Malformed JSON")
    return found.get("agent_id") if isinstance(found, dict) else None
