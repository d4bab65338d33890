"""The options of a client: documented names, the environment, and the names of the peers.

A program that was written for the reference client may pass keywords of ``websockets.connect()``;
those that mean something here are taken under their own names. Any other is a TypeError that
names the nearest of ours.
"""

from __future__ import annotations

import difflib
import math
import os
import ssl
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from ._link.backoff import Backoff
from ._link.policy import DEFAULT_INBOX, Fifo, Policy
from ._transport.address import Address, parse_address
from ._transport.base import TransportName

__all__ = [
    "Headers",
    "Options",
    "WebsocketsOptions",
    "check_choice",
    "check_policies",
    "check_seconds",
    "check_size",
    "environment_int",
]

#: names and values of HTTP headers
Fields: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
#: headers, or what is asked for them at each dial
Headers: TypeAlias = Fields | Callable[[], Fields]

DEFAULT_URI = "ws://localhost:8012"
DEFAULT_MAX_SIZE = 2**28


class WebsocketsOptions(TypedDict, total=False):
    """Keywords of ``websockets.connect()``, and the documents' ``URI=``."""

    URI: str
    ssl: ssl.SSLContext | None
    additional_headers: Headers | None
    extra_headers: Headers | None
    open_timeout: float | None
    ping_interval: float | None
    server_hostname: str | None
    subprotocols: Sequence[str] | None
    origin: str | None


#: keyword of ``websockets.connect()``: option here
_ALIASES = {
    "URI": "uri",
    "ssl": "ssl_context",
    "additional_headers": "headers",
    "extra_headers": "headers",
    "open_timeout": "connect_timeout",
    "ping_interval": "heartbeat",
}
#: other keywords of ``websockets.connect()`` that have something near them here
_NEAREST = {
    "max_queue": "inbox",
    "write_limit": "outbox",
    "ping_timeout": "heartbeat",
    "sock": "stream",
    "user_agent_header": "headers",
    "process_exception": "reconnect",
}
_SECONDS = ("connect_timeout", "close_timeout", "heartbeat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All options of a client, checked. Times in seconds, sizes in bytes."""

    uri: str
    max_size: int
    ssl_verify: bool
    ssl_context: ssl.SSLContext | None = None
    headers: Headers | None = None
    proxy: str | Literal[True] | None = None
    connect_timeout: float = 10.0
    close_timeout: float = 1.0
    heartbeat: float = 20.0
    inbox: Policy = DEFAULT_INBOX
    outbox: Policy = Fifo()
    compression: Literal["deflate"] | None = None
    floats: Literal["double", "single"] = "double"
    mirror_scene: bool = False
    checkpoints: Literal["amortised", "every"] = "amortised"
    transport: TransportName = "auto"
    stream: Any = None
    reconnect: bool | Backoff | None = None
    server_hostname: str | None = None
    subprotocols: Sequence[str] | None = None
    origin: str | None = None

    @classmethod
    def names(cls) -> set[str]:
        """The names of all options."""
        return {field.name for field in fields(cls)}

    @classmethod
    def gather(cls, given: Mapping[str, Any]) -> Options:
        """Options from keywords. Raises TypeError and ValueError that name the option."""
        known = cls.names()
        options: dict[str, Any] = {}
        for name, value in given.items():
            ours = _ALIASES.get(name, name)
            if ours not in known:
                raise TypeError(_unknown(name, known))
            if value is None and name in ("open_timeout", "ping_interval"):
                value = math.inf  # what None means to websockets
            if options.get(ours) is not None and value is not None:
                raise TypeError(f"{name}= and {ours}= are one option; give one of them")
            if options.get(ours) is None:
                options[ours] = value
        if options.get("uri") is None:
            options["uri"] = os.environ.get("VUER_CLIENT_URI") or DEFAULT_URI
        if options.get("max_size") is None:
            options["max_size"] = environment_int("WEBSOCKET_MAX_SIZE", DEFAULT_MAX_SIZE)
        if options.get("ssl_verify") is None:
            options["ssl_verify"] = _environment_flag("VUER_SSL_VERIFY")
        made = cls(**options)
        made._check()
        return made

    def _check(self) -> None:
        if not isinstance(self.uri, str):
            raise TypeError(f"uri={self.uri!r}: write a string, {DEFAULT_URI!r}")
        parse_address(self.uri)
        check_size("max_size", self.max_size)
        check_seconds(self, _SECONDS)
        for name, allowed in (
            ("floats", ("double", "single")),
            ("checkpoints", ("amortised", "every")),
            ("transport", get_args(TransportName)),
            ("compression", (None, "deflate")),
        ):
            check_choice(name, getattr(self, name), allowed)
        check_policies(self)
        if self.headers is not None and not (
            callable(self.headers) or isinstance(self.headers, Mapping | Iterable)
        ):
            raise TypeError(f"headers={self.headers!r}: write a mapping, pairs, or a callable")
        if isinstance(self.proxy, str):
            from ._transport.proxy import parse_proxy

            parse_proxy(self.proxy)
        elif self.proxy is not None and self.proxy is not True:
            raise TypeError(f"proxy={self.proxy!r}: write a URL, or True for the environment's")
        names = self.subprotocols
        if names is not None and (
            isinstance(names, str) or not all(isinstance(name, str) for name in names)
        ):
            raise TypeError(f"subprotocols={names!r}: write a list of strings")
        if self.reconnect is not None and not isinstance(self.reconnect, bool | Backoff):
            raise TypeError(f"reconnect={self.reconnect!r}: write True, or a Backoff(...)")
        if self.stream is not None and self.reconnect:
            raise ValueError("stream= can not be opened again; leave reconnect= out")
        if self.backoff is not None and self.backoff.replay and not self.outbox.lossless:
            raise ValueError("replay=True keeps what is not confirmed; write outbox=Fifo(...)")
        if not isinstance(self.mirror_scene, bool):
            raise TypeError(f"mirror_scene={self.mirror_scene!r}: write True or False")
        if self.ssl_context is not None and not isinstance(self.ssl_context, ssl.SSLContext):
            raise TypeError(f"ssl_context={self.ssl_context!r}: write an ssl.SSLContext")

    @property
    def backoff(self) -> Backoff | None:
        """When to dial again; None for never."""
        return Backoff() if self.reconnect is True else self.reconnect or None

    @property
    def address(self) -> Address:
        return parse_address(self.uri)

    def header_fields(self) -> list[tuple[str, str]]:
        """The headers for one dial. Raises TypeError or ValueError for what HTTP can not carry."""
        headers = self.headers() if callable(self.headers) else self.headers
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        checked = []
        for name, value in pairs:
            if not isinstance(name, str) or not isinstance(value, str):
                raise TypeError(f"headers: {name!r}: {value!r}: names and values are strings")
            if not name or any(c in "\r\n\0" for c in name + value):
                raise ValueError(f"headers: {name!r} holds what HTTP can not carry")
            checked.append((name, value))
        return checked


def _unknown(name: str, known: set[str]) -> str:
    nearest = _NEAREST.get(name)
    if nearest not in known:
        names = sorted(known | set(_ALIASES))
        nearest = next(iter(difflib.get_close_matches(name, names, 1, 0.0)), None)
    return f"a client has no option {name!r}; the nearest is {nearest!r}"


def check_size(name: str, value: object) -> None:
    """A positive number of bytes or things."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}={value!r}: write a number")
    if value < 1:
        raise ValueError(f"{name}={value}: write a positive number")


def check_choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """One of a few."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: write one of {allowed}")


def check_seconds(
    options: object, names: Iterable[str], positive: Collection[str] = ("heartbeat",)
) -> None:
    """Times that may be infinite; those in ``positive`` may not be 0."""
    for name in names:
        value = getattr(options, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name}={value!r}: write seconds, or math.inf for no limit")
        if not value >= 0 or (value == 0 and name in positive):
            raise ValueError(f"{name}={value!r}: write positive seconds, or math.inf")


def check_policies(options: object) -> None:
    """Of the two boxes."""
    for name in ("inbox", "outbox"):
        policy = getattr(options, name)
        if not isinstance(policy, Policy):
            raise TypeError(f"{name}={policy!r}: write a policy, Fifo(1024)")


def environment_int(name: str, default: int) -> int:
    """A number in the environment. Raises ValueError for anything else."""
    text = os.environ.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise ValueError(f"the environment has {name}={text!r}: write a number") from None


def _environment_flag(name: str) -> bool:
    text = os.environ.get(name, "").strip().lower()
    if text in ("", "1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"the environment has {name}={text!r}: write true or false")
