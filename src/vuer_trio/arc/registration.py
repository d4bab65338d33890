"""Registering at a relay, over HTTP."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .._errors import ConnectionFailed
from .._formatting import secrets_of, shown, shown_uri, without
from .._http import Answer, ask
from .._net.failure_reason import say_why
from ._errors import AgentIdTaken, InvalidAgentId, RateLimited, RegistrationError

__all__ = ["Registrar"]

#: the answers of a relay that serves only WebSockets on its port
_ELSEWHERE = (404, 426)


@dataclass(frozen=True, slots=True)
class Registrar:
    """Registers at one relay. ``urls`` are tried in order, the next one after a 404 or 426."""

    urls: tuple[str, ...] = field(repr=False)
    tls: ssl.SSLContext | None = None
    verify: bool = True
    proxy: str | Literal[True] | None = field(default=None, repr=False)
    #: the ``register_secret`` that some relays require
    secret: str | None = field(default=None, repr=False)

    async def register(self, agent_id: str | None) -> dict[str, str]:
        """Return ``{"agent_id": ..., "token": ...}``; for None, the relay chooses the id.

        Raises RegistrationError, RateLimited, ConnectionFailed, and ImportError without
        ``httpx2``. Cancelled: the relay may have registered the agent.
        """
        body = b"{}" if agent_id is None else json.dumps({"agent_id": agent_id}).encode()
        headers = []
        if self.secret is not None:
            headers.append(("authorization", f"Bearer {self.secret}"))
        url, answer = await self._ask("POST", self.urls, body, headers)
        found = answer.json
        given, token = found.get("agent_id"), found.get("token")
        if answer.status == 200 and isinstance(given, str) and isinstance(token, str):
            return {"agent_id": given, "token": token}
        raise _refused(url, answer, agent_id)

    async def stats(self) -> dict[str, Any]:
        """The relay's statistics from ``/stats``. Raises as `register`."""
        urls = tuple(map(_stats_url, self.urls))
        url, answer = await self._ask("GET", urls, None)
        if answer.status != 200:
            raise _refused(url, answer, None, "statistics")
        return answer.json

    async def _ask(
        self,
        method: str,
        urls: tuple[str, ...],
        body: bytes | None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> tuple[str, Answer]:
        answered: tuple[str, Answer] | None = None
        for url in urls:
            try:
                answer = await ask(
                    method,
                    url,
                    body=body,
                    headers=headers,
                    tls=self.tls,
                    verify=self.verify,
                    proxy=self.proxy,
                )
            except ImportError:
                raise ImportError(
                    "registering at a relay needs the package httpx2: pip install "
                    "'vuer-trio[arc]', or give token="
                ) from None
            except OSError as exc:
                if answered is not None:
                    break  # the first answer tells more than an unreachable port
                where = shown_uri(url)
                raise ConnectionFailed(
                    f"could not ask {where}: {say_why(exc, 'an ARC relay')}", uri=where
                ) from exc
            answered = url, answer
            if answer.status not in _ELSEWHERE:
                break
        assert answered is not None
        return answered


def _stats_url(register_url: str) -> str:
    base, mark, query = register_url.partition("?")
    return f"{base.removesuffix('/register')}/stats{mark}{query}"


def _refused(url: str, answer: Answer, agent_id: str | None, what: str = "token") -> Exception:
    status, found = answer.status, answer.json
    secrets = secrets_of(url.partition("?")[2])
    url = shown_uri(url)
    code = found.get("error")
    code = without(code, secrets) if isinstance(code, str) else ""
    told = found.get("message")
    told = f": {without(shown(told), secrets)}" if isinstance(told, str) else ""
    if status == 429:
        error = RateLimited(f"rate limited by {url}{told}", uri=url, status=status)
        after = answer.headers.get("retry-after", "")
        error.retry_after = float(after) if after.isdecimal() else None
        return error
    if code == "agent_id_taken" or status == 409:
        return AgentIdTaken(
            f"the agent id {agent_id!r} is taken at {url}; choose another, or give the token= "
            "that belongs to it",
            status=status,
            code=code,
        )
    if code == "invalid_agent_id":
        return InvalidAgentId(
            f"{url} rejected the agent id {agent_id!r}{told}", status=status, code=code
        )
    hint = "; give register_url=" if status in (*_ELSEWHERE, 400, 405, 200) and not code else ""
    if status == 401:
        hint = "; give the relay's register_secret="
    if 300 <= status < 400:
        hint = (
            f": it redirects to {shown_uri(answer.headers.get('location', ''))!r}; write that URL"
        )
    return RegistrationError(
        f"{url} gave no {what} (HTTP {status}{f', {shown(code, 64)}' if code else ''}{told}){hint}",
        status=status,
        code=code,
    )
