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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from .._connection.backoff import Backoff
from .._connection.policies import DEFAULT_INBOX, Fifo, Policy
from .._formatting import HIDDEN, must_be, shown, shown_uri
from .._net.address import Address, parse_address
from .._transport_name import TransportName

__all__ = [
    "Headers",
    "Options",
    "WebsocketsOptions",
    "check_choice",
    "check_context",
    "check_policies",
    "check_port",
    "check_seconds",
    "check_size",
    "check_token",
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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
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
    def among(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Those of ``given`` that are options: of the arguments of a constructor, most are."""
        known = cls.names()
        return {name: value for name, value in given.items() if name in known}

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
        headers = options.get("headers")
        if isinstance(headers, Iterator):
            options["headers"] = tuple(headers)  # it is asked at each dial
        made = cls(**options)
        made._check()
        return made

    def _check(self) -> None:
        if not isinstance(self.uri, str):
            raise TypeError(must_be("uri", "a str", self.uri, f"use {DEFAULT_URI!r}", secret=True))
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
        headers = self.headers
        if headers is not None and not callable(headers):
            if isinstance(headers, str | bytes) or not isinstance(headers, Mapping | Iterable):
                what = "a mapping, pairs of a name and a value, or a callable"
                raise TypeError(must_be("headers", what, headers, secret=True))
            self.header_fields()
        if not isinstance(self.ssl_verify, bool):
            raise TypeError(must_be("ssl_verify", "True or False", self.ssl_verify))
        if isinstance(self.proxy, str):
            from .._net.proxy import parse_proxy

            parse_proxy(self.proxy)
        elif self.proxy is not None and self.proxy is not True:
            what = "a URL, or True for the environment's"
            raise TypeError(must_be("proxy", what, self.proxy, secret=True))
        names = self.subprotocols
        if names is not None and (
            isinstance(names, str) or not all(isinstance(name, str) for name in names)
        ):
            raise TypeError(must_be("subprotocols", "a list of str", names))
        if self.reconnect is not None and not isinstance(self.reconnect, bool | Backoff):
            raise TypeError(must_be("reconnect", "True, False, or a Backoff(...)", self.reconnect))
        if self.stream is not None and self.reconnect:
            raise ValueError("stream= cannot be opened again; leave reconnect= out")
        if self.backoff is not None and self.backoff.replay and not self.outbox.lossless:
            raise ValueError("replay=True keeps what is not confirmed; use outbox=Fifo(...)")
        if not isinstance(self.mirror_scene, bool):
            raise TypeError(must_be("mirror_scene", "True or False", self.mirror_scene))
        check_context("ssl_context", self.ssl_context)

    def __repr__(self) -> str:
        """Without what may be secret: of headers and a proxy only that they are there."""
        said = [f"uri={shown_uri(self.uri)!r}"]
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                hidden = field.name in ("headers", "proxy") and value is not True
                said.append(f"{field.name}={HIDDEN if hidden else repr(value)}")
        return f"Options({', '.join(said)})"

    @property
    def backoff(self) -> Backoff | None:
        """When to dial again; None for never."""
        return Backoff() if self.reconnect is True else self.reconnect or None

    @property
    def address(self) -> Address:
        return parse_address(self.uri)

    def unsafe(self, because: str) -> str:
        """What to warn of: that certificates are not checked, and why; empty if they are."""
        address = self.address
        checked = self.ssl_verify or not address.secure
        if checked or self.ssl_context is not None or self.stream is not None:
            return ""
        return (
            f"the certificate of {address.host} is not checked ({because}): anybody on the way "
            "can read and change everything; trust it with ssl_context= instead"
        )

    def header_fields(self) -> list[tuple[str, str]]:
        """The headers for one dial. Raises TypeError or ValueError for what HTTP cannot carry."""
        headers = self.headers() if callable(self.headers) else self.headers
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        return [_header(pair) for pair in pairs]


def _header(pair: Any) -> tuple[str, str]:
    """A header's name and value, checked. An error shows the name only."""
    if isinstance(pair, str | bytes) or not isinstance(pair, Iterable):
        raise TypeError(must_be("a header", "a pair of a name and a value", pair, secret=True))
    name, value, *more = (*pair, None, None)
    if len(more) != 2:
        raise TypeError(f"a header must be a pair of a name and a value, got {len(more)} items")
    if not isinstance(name, str):
        raise TypeError(must_be("the name of a header", "a str", name, secret=True))
    if not isinstance(value, str):
        header = f"the value of the header {shown(name, 64)!r}"
        raise TypeError(must_be(header, "a str", value, secret=True))
    if not (name and name.isascii()) or any(c in "\r\n\0" for c in name + value):
        raise ValueError(f"the header {shown(name, 64)!r} holds characters that HTTP cannot carry")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(
            f"the value of the header {shown(name, 64)!r} must be ASCII or Latin-1; send other "
            "characters in percent-encoding or base64"
        ) from None
    return name, value


def _unknown(name: str, known: set[str]) -> str:
    nearest = _NEAREST.get(name)
    if nearest not in known:
        names = sorted(known | set(_ALIASES))
        nearest = next(iter(difflib.get_close_matches(name, names, 1, 0.0)), None)
    return f"a client has no option {name!r}; the nearest is {nearest!r}"


def check_size(name: str, value: object) -> None:
    """A positive number of bytes or things."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(must_be(name, "an int", value))
    if value < 1:
        raise ValueError(must_be(name, "at least 1", value))


def check_port(value: object) -> None:
    """Where to listen."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(must_be("port", "an int", value, "use 0 for any free port"))
    if not 0 <= value < 65_536:
        raise ValueError(must_be("port", "from 0 to 65535", value, "use 0 for any free port"))


def check_context(name: str, value: object, *, server: bool = False) -> None:
    """Of TLS, for this side of it."""
    if value is None:
        return
    if not isinstance(value, ssl.SSLContext):
        made = (
            "ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)"
            if server
            else "ssl.create_default_context()"
        )
        raise TypeError(must_be(name, "an ssl.SSLContext", value, f"make one with {made}"))
    other = ssl.PROTOCOL_TLS_CLIENT if server else ssl.PROTOCOL_TLS_SERVER
    if value.protocol is other:
        made = "ssl.Purpose.CLIENT_AUTH" if server else ""
        raise ValueError(
            f"{name} must be a {'server' if server else 'client'}'s context, got one of "
            f"{other.name}; make one with ssl.create_default_context({made})"
        )


def check_token(token: object, name: str = "token") -> None:
    """Check that a token fits into a header. Raises TypeError, ValueError; neither shows it."""
    if token is None:
        return
    if not isinstance(token, str):
        raise TypeError(must_be(name, "a str", token, secret=True))
    if not token or not token.isascii() or any(c <= " " or c == "\x7f" for c in token):
        raise ValueError(f"{name} must be printable ASCII without spaces, and not empty")


def check_choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """One of a few."""
    if value not in allowed:
        choices = ", ".join(map(repr, allowed))
        raise ValueError(must_be(name, f"one of {choices}", value))


def check_seconds(
    options: object, names: Iterable[str], positive: Collection[str] = ("heartbeat",)
) -> None:
    """Times that may be infinite; those in ``positive`` may not be 0."""
    for name in names:
        value = getattr(options, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(
                must_be(name, "a number of seconds", value, "use math.inf for no limit")
            )
        if not value >= 0 or (value == 0 and name in positive):
            what = "more than 0" if name in positive else "0 or more"
            raise ValueError(must_be(name, f"{what} seconds", value, "use math.inf for no limit"))


def check_policies(options: object) -> None:
    """Of the two boxes."""
    for name in ("inbox", "outbox"):
        policy = getattr(options, name)
        if not isinstance(policy, Policy):
            raise TypeError(must_be(name, "a policy", policy, "use Fifo(1024)"))


def environment_int(name: str, default: int) -> int:
    """A number in the environment. Raises ValueError for anything else."""
    text = os.environ.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise ValueError(must_be(f"{name} in the environment", "an int", text)) from None


def _environment_flag(name: str) -> bool:
    text = os.environ.get(name, "").strip().lower()
    if text in ("", "1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise ValueError(must_be(f"{name} in the environment", "true or false", text))
