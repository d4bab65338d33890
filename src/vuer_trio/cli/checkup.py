"""The doctor's steps: from a URI to the first event of a Vuer server, layer by layer."""

from __future__ import annotations

import argparse
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import trio

from .._client.client import VuerClient
from .._errors import CallTimeout, ConnectionClosed, ConnectionFailed, ProtocolError, RecvTimeout
from .._formatting import shown_path, shown_uri
from .._net.address import parse_address
from .connection import tls_context, with_scheme
from .diagnosis import (
    VUER_PORT,
    Found,
    Reply,
    closed,
    dns_failed,
    handshake_failed,
    no_event,
    no_vuer,
    port_failed,
    silent_after_init,
    tls_failed,
)
from .json_text import NAME, printable
from .probing import ask, is_open, speaks_tls
from .statuses import CommandFailed, Status

__all__ = ["Checkup", "Finding"]

#: statuses of a server that may have a WebSocket at another path
_NOT_HERE = (200, 301, 302, 303, 307, 308, 400, 404, 405, 410, 426, 500, 501)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a step: "ok", "warning" or "FAILED". ``seconds`` excludes later probes."""

    step: str
    outcome: str
    seconds: float
    what: str
    advice: str = ""


class _Failed(Exception):
    def __init__(self, found: Found, outcome: str = "FAILED") -> None:
        super().__init__(found.what)
        self.found = found
        self.outcome = outcome


#: a step: its name, a function that returns a result or raises, and one that explains the error
_Step = tuple[
    str, Callable[[], Awaitable[str]], Callable[[BaseException | None], Awaitable[Found]] | None
]


class Checkup:
    """Runs ``steps`` in order, each by `take`, until one has failed.

    ``text`` should be a URI, but may be invalid. Use it in ``async with``, which closes everything.
    """

    def __init__(self, text: str, args: argparse.Namespace) -> None:
        self._text = text
        self._timeout: float = args.timeout
        self._headers: list[tuple[str, str]] = args.header
        self._context = tls_context(args)
        self._stack = AsyncExitStack()
        self._address = parse_address("ws://unknown")
        self._stream: trio.abc.Stream | None = None
        self._client: VuerClient | None = None

    async def __aenter__(self) -> Checkup:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @property
    def steps(self) -> list[str]:
        """The names of the steps known so far."""
        return [name for name, _, _ in self._steps()]

    def _steps(self) -> list[_Step]:
        tls: list[_Step] = [("TLS", self._tls, self._explain_tls)]
        return [
            ("address", self._parse, None),
            ("DNS", self._resolve, self._explain_dns),
            ("TCP", self._connect, self._explain_tcp),
            *(tls if self._address.secure else []),
            ("handshake", self._open, self._explain_handshake),
            ("INIT", self._init, None),
            ("first event", self._receive, None),
        ]

    async def take(self, name: str) -> Finding:
        """Run one step. Cancelled: the checkup cannot be continued."""
        check, explain = next((c, e) for n, c, e in self._steps() if n == name)
        began = trio.current_time()
        outcome, found, trouble = "ok", Found(""), None
        try:
            with trio.move_on_after(self._timeout + (explain is None)) as limit:
                found = Found(await check())
        except _Failed as exc:
            outcome, found = exc.outcome, exc.found
        except (OSError, UnicodeError, trio.BrokenResourceError, ConnectionFailed) as exc:
            outcome, trouble = "FAILED", exc
        took = trio.current_time() - began
        if limit.cancelled_caught:
            outcome = "FAILED"
        if outcome == "FAILED" and explain is not None and not found.what:
            found = await explain(trouble)
        return Finding(name, outcome, took, found.what, found.advice)

    # ---- the address

    async def _parse(self) -> str:
        text = self._text.strip()
        scheme, slashes, rest = text.partition("://")
        if slashes and scheme.lower() in ("http", "https"):
            there = shown_uri(f"{'wss' if scheme.lower() == 'https' else 'ws'}://{rest}")
            advice = f"That is the address of a page; its WebSocket is at {there}"
            raise _Failed(Found(f"{scheme}:// is not a WebSocket scheme", advice))
        try:
            self._address = parse_address(with_scheme(text))
        except ValueError as exc:
            raise _Failed(Found(str(exc), "Write ws://host:port, or wss:// with TLS.")) from None
        address = self._address
        scheme = "with TLS" if address.secure else "without TLS"
        return f"{address.host}, port {address.port}, path {shown_path(address.resource)}, {scheme}"

    # ---- DNS

    async def _resolve(self) -> str:
        address = self._address
        found = await trio.socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        return ", ".join(dict.fromkeys(str(item[4][0]) for item in found))

    async def _explain_dns(self, error: BaseException | None) -> Found:
        why = "no answer in time" if error is None else getattr(error, "strerror", None)
        return dns_failed(self._address, why or str(error))

    # ---- TCP

    async def _connect(self) -> str:
        stream = await trio.open_tcp_stream(self._address.host, self._address.port)
        self._stack.push_async_callback(trio.aclose_forcefully, stream)
        self._stream = stream
        host, port = stream.socket.getpeername()[:2]
        return f"connected to {host}, port {port}"

    async def _explain_tcp(self, error: BaseException | None) -> Found:
        address, reasons = self._address, _leaves(error)
        refused = any(isinstance(reason, ConnectionRefusedError) for reason in reasons)
        why = "no answer" if not reasons else reasons[0].strerror or str(reasons[0])
        usual = address.port != VUER_PORT and await is_open(address.host, VUER_PORT)
        return port_failed(address, "connection refused" if refused else why, refused, usual)

    # ---- TLS

    async def _tls(self) -> str:
        assert self._stream is not None
        context = self._context or ssl.create_default_context()
        host = self._address.host
        secure = trio.SSLStream(self._stream, context, server_hostname=host, https_compatible=True)
        await secure.do_handshake()
        self._stream = secure
        checked = "" if context.verify_mode is ssl.CERT_REQUIRED else ", its certificate unchecked"
        return f"{secure.version()}{checked}"

    async def _explain_tls(self, error: BaseException | None) -> Found:
        cause = None if error is None else error.__cause__ or error
        plain = None
        # A certificate, or an alert, comes from who speaks TLS.
        spoken = "ALERT" in (getattr(cause, "reason", None) or "")
        if not (spoken or isinstance(cause, ssl.SSLCertVerificationError)):
            plain = await ask(self._address, self._address.resource)
        return tls_failed(self._address, cause, plain)

    # ---- the opening handshake

    async def _open(self) -> str:
        try:
            client = VuerClient(
                self._address.uri,
                stream=self._stream,
                headers=self._headers or None,
                connect_timeout=self._timeout * 2,  # the step has its own limit
            )
        except ValueError as exc:  # an invalid environment variable
            raise CommandFailed(str(exc), Status.USAGE) from exc
        # In a system task, because the connection outlives the scopes of this step.
        await client.connect()
        self._stack.push_async_callback(client.aclose)
        self._client = client
        return "a WebSocket"

    async def _explain_handshake(self, error: BaseException | None) -> Found:
        address = self._address
        reply: Reply | None = None
        if error is not None:
            reply = await ask(address, address.resource, self._headers, address.secure)
        odd = reply is None or reply.status in (None, 400)
        tls = not address.secure and odd and await speaks_tls(address)
        at_root = False
        if reply is not None and reply.status in _NOT_HERE and address.resource != "/":
            root = await ask(address, "/", self._headers, address.secure)
            at_root = root is not None and root.status == 101
        return handshake_failed(address, str(error), reply, tls, at_root)

    # ---- Vuer

    async def _init(self) -> str:
        assert self._client is not None
        try:
            await self._client.flush(self._timeout)
        except CallTimeout:
            raise _Failed(silent_after_init(self._timeout)) from None
        except ConnectionClosed as exc:
            if not exc.normal:
                raise _Failed(closed(exc.code, exc.reason)) from None
            # A normal close: there may be events before it.
        return "the server has read it"

    async def _receive(self) -> str:
        assert self._client is not None
        try:
            event = await self._client.recv(self._timeout)
        except RecvTimeout:
            raise _Failed(no_event(self._timeout), "warning") from None
        except ConnectionClosed as exc:
            outcome = "warning" if exc.normal else "FAILED"
            raise _Failed(closed(exc.code, exc.reason), outcome) from None
        except ProtocolError as exc:
            raise _Failed(
                no_vuer(f"the first message is not an event: {printable(str(exc))}")
            ) from None
        if event.etype == "INIT":
            raise _Failed(no_vuer("the server sends back what it gets"))
        return printable(event.etype, NAME)


def _leaves(error: BaseException | None) -> list[OSError]:
    """The OSErrors raised by attempts at several addresses."""
    if error is None:
        return []
    inside = error.__cause__ if isinstance(error.__cause__, OSError | BaseExceptionGroup) else error
    if isinstance(inside, BaseExceptionGroup):
        return [leaf for exc in inside.exceptions for leaf in _leaves(exc)]
    return [inside] if isinstance(inside, OSError) else []
