"""The server's side of the opening handshake (RFC 6455 §4.2): what is asked, and the answer."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from email.utils import formatdate
from hashlib import sha1
from http import HTTPStatus
from typing import NamedTuple

from .._net.http_request import HttpRequest
from .._net.rejection import GUID

__all__ = ["Refusal", "find_fault", "response", "switching"]

Fields = Sequence[tuple[str, str]]


class Refusal(NamedTuple):
    """How a bad upgrade is answered."""

    status: int
    why: str
    headers: Fields = ()


def find_fault(request: HttpRequest) -> Refusal | None:
    """What keeps a request from being a good upgrade to a WebSocket, if anything does."""
    if request.method != "GET":
        return Refusal(405, "a WebSocket opens with GET", [("allow", "GET")])
    if request.version != "1.1":
        return Refusal(505, "a WebSocket opens with HTTP/1.1")
    wanted = "websocket" in request.tokens("upgrade")
    if not wanted or "upgrade" not in request.tokens("connection"):
        why = "only a WebSocket opens here: send Upgrade: websocket and Connection: Upgrade"
        return Refusal(426, why, [("upgrade", "websocket"), ("connection", "upgrade")])
    if request.header("content-length") not in (None, "0") or request.header("transfer-encoding"):
        return Refusal(400, "a request to open a WebSocket has no body")
    if request.header("sec-websocket-version") != "13":
        headers = [("sec-websocket-version", "13"), ("upgrade", "websocket")]
        headers.append(("connection", "upgrade"))
        return Refusal(426, "send Sec-WebSocket-Version: 13", headers)
    key = request.header("sec-websocket-key")
    try:
        size = -1 if key is None else len(b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        size = -1
    if size != 16:
        return Refusal(400, "send one Sec-WebSocket-Key: 16 bytes in base64")
    return None


def switching(request: HttpRequest, headers: Fields = ()) -> bytes:
    """The answer to a good upgrade."""
    key = request.header("sec-websocket-key") or ""
    accepted = b64encode(sha1(key.encode() + GUID).digest()).decode()
    fields = [("upgrade", "websocket"), ("connection", "Upgrade")]
    return _head(101, [*fields, ("sec-websocket-accept", accepted), *headers])


def response(status: int, headers: Fields, size: int | None) -> bytes:
    """The head of a reply with a body of ``size`` bytes, after which the stream ends; None: it
    says so itself, or ends with the stream.

    Raises ValueError for an invalid header.
    """
    fields = [("date", formatdate(usegmt=True))]
    if status >= 200 and status not in (204, 304):
        if size is not None:
            fields.append(("content-length", str(size)))
    elif size:
        raise ValueError(f"a reply with status {status} has no body")
    tokens = [value for name, value in headers if name.lower() == "connection"]
    fields += [field for field in headers if field[0].lower() != "connection"]
    fields.append(("connection", ", ".join(["close", *tokens])))
    return _head(status, fields)


def _head(status: int, headers: Fields) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {status} {phrase}"]
    for name, value in headers:
        if not name or any(c <= " " or c == ":" for c in name) or any(c in "\r\n\0" for c in value):
            raise ValueError(f"not a valid header: {name!r}: {value!r}")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
