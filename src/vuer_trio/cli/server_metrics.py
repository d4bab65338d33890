"""What a server reports about its sessions, if it does: see ``Vuer(metrics=True)``."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import parse_qsl

import trio

from .._client.options import DEFAULT_URI
from .._http import ask
from .._net.address import parse_address
from .connection import tls_context

__all__ = ["ServerMetrics"]

#: seconds until a server is asked again that has not answered
_AGAIN = 10.0
_WHY = {
    401: "the server wants a token to show its sessions; use --header 'Authorization: Bearer ...'",
    403: "the server does not show its sessions to this machine; start it with token=",
    404: "the server does not show its sessions; start it with Vuer(metrics=True)",
}


class ServerMetrics:
    """``latest`` is the server's last report; without one, `why` says the reason."""

    def __init__(self, args: argparse.Namespace) -> None:
        address = parse_address(args.uri or DEFAULT_URI)
        scheme = "https" if address.secure else "http"
        query = address.resource.partition("?")[2]
        token = dict(parse_qsl(query)).get("token")
        self._url = f"{scheme}://{address.host_header}/metrics"
        self._headers = [("accept", "application/json"), *(args.header or ())]
        if token is not None:
            self._headers.append(("authorization", f"Bearer {token}"))
        self._tls = tls_context(args)
        self._timeout = args.timeout
        self.latest: dict[str, Any] | None = None
        self.why: str = ""

    async def follow(self, interval: float) -> None:
        """Ask every ``interval`` seconds until cancelled."""
        while True:
            self.latest = await self._ask()
            await trio.sleep(interval if self.latest is not None else max(_AGAIN, interval))

    async def _ask(self) -> dict[str, Any] | None:
        answer = None
        try:
            with trio.move_on_after(self._timeout):
                answer = await ask("GET", self._url, headers=self._headers, tls=self._tls)
        except ImportError:
            self.why = "sessions are shown with the package httpx2: pip install httpx2"
            return None
        except (OSError, ValueError) as exc:
            self.why = f"/metrics: {exc}"
            return None
        if answer is None:
            self.why = f"/metrics: no answer within {self._timeout:g} s"
            return None
        if answer.status != 200:
            self.why = _WHY.get(answer.status, f"/metrics: the server answered {answer.status}")
            return None
        found = answer.json
        if not isinstance(found.get("sessions"), list):
            self.why = _WHY[404]
            return None
        self.why = ""
        return found
