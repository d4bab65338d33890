"""ARC messages on the wire: text frames, each with one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._errors import EncodeError, ProtocolError
from .._formatting import must_be, shown
from .._json import TooDeep, TooMany, parse_json
from .._websocket.transport import Message, Text

__all__ = ["EVERYONE", "RELAY", "ARCMessage", "encode_message", "parse_message"]

#: the recipient of a broadcast
EVERYONE = "*"
#: the recipient of commands
RELAY = "relay"

_KNOWN = frozenset(("id", "from", "to", "payload", "ts", "type", "ref"))
_RESERVED = frozenset(("id", "from", "ts"))  # set by the relay only


class ARCMessage(Mapping[str, Any]):
    """A message as the relay passed it on.

    ``id``, ``sender``, ``type`` and ``ref`` are None where the message has none, or no string;
    ``to`` is a list of agent ids, `payload` any JSON value. ``ts`` is the relay's time in
    milliseconds. ``extra`` holds all other fields. It is also a read-only mapping of the received
    fields: ``message["from"]``, ``message.get("type", "message")``.
    """

    __slots__ = ("_fields", "dropped_before", "id", "payload", "ref", "sender", "to", "ts", "type")

    def __init__(self, fields: Mapping[str, Any]) -> None:
        get = fields.get
        self._fields = fields
        self.id: str | None = _text(get("id"))
        self.sender: str | None = _text(get("from"))
        self.type: str | None = _text(get("type"))
        self.ref: str | None = _text(get("ref"))
        self.payload: Any = get("payload")
        self.ts: float | None = _number(get("ts"))
        to = get("to")
        self.to: list[str] = (
            [name for name in to if type(name) is str] if isinstance(to, list) else []
        )
        #: messages dropped from a full inbox since the previously received one
        self.dropped_before: int = 0

    @property
    def extra(self) -> dict[str, Any]:
        """The fields that are not part of the protocol."""
        return {name: value for name, value in self._fields.items() if name not in _KNOWN}

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        kind = f" {shown(self.type, 64)}" if self.type else ""
        to = shown(", ".join(self.to[:8]), 200)
        return f"<ARCMessage{kind} from {shown(self.sender, 64)} to {to}>"


def _text(value: Any) -> str | None:
    return value if type(value) is str else None


def _number(value: Any) -> float | None:
    return value if type(value) is int or type(value) is float else None


def parse_message(data: Message) -> ARCMessage:
    """The message in a frame, text or binary. Raises ProtocolError, with the ``frame``."""
    try:
        fields = parse_json(str(data, "utf-8"))
    except (TooDeep, TooMany) as exc:
        error = ProtocolError(
            f"the relay sent a message of {len(data):,} bytes that is not parsed: {exc}; its "
            "sender can send JSON text as a string, or several messages",
            frame=bytes(data),
        )
        error.too_large = True
        raise error from None
    except ValueError as exc:
        raise ProtocolError(
            f"the relay sent invalid JSON: {_short(exc)}", frame=bytes(data)
        ) from None
    if not isinstance(fields, dict):
        kind = type(fields).__name__
        raise ProtocolError(
            f"the relay sent a JSON {kind}, but messages are objects", frame=bytes(data)
        )
    return ARCMessage(fields)


def _short(exc: ValueError) -> str:
    """Describe the error without showing the data."""
    if isinstance(exc, json.JSONDecodeError):
        return exc.msg
    return "it is not UTF-8" if isinstance(exc, UnicodeDecodeError) else "a number is too long"


def check_names(what: str, names: Any, example: str) -> list[str]:
    """Check a list of at least one agent id. Raises TypeError, ValueError."""
    if isinstance(names, str):
        raise TypeError(must_be(what, "a list of agent ids", names, f"use {[names]!r:.80}"))
    if not isinstance(names, Sequence | set | frozenset):
        raise TypeError(must_be(what, "a list of agent ids", names, f"use {example}"))
    wanted = list(names)
    for name in wanted:
        if not isinstance(name, str):
            raise TypeError(must_be(f"each of {what}", "a str", name))
    if not wanted:
        raise ValueError(must_be(what, "a list of at least one agent id", names, f"use {example}"))
    return wanted


def encode_message(
    to: list[str],
    payload: Any,
    message_type: str | None = None,
    ref: str | None = None,
    extra: Mapping[str, Any] = {},  # never modified
) -> Text:
    """Encode a message. Raises EncodeError for values that JSON cannot express, TypeError."""
    for name, value in (("message_type", message_type), ("ref", ref)):
        if value is not None and not isinstance(value, str):
            raise TypeError(must_be(name, "a str, or None", value))
    fields: dict[str, Any] = {"to": to}
    if message_type:
        fields["type"] = message_type
    if ref:
        fields["ref"] = ref
    fields["payload"] = payload
    for name, value in extra.items():
        if name in _RESERVED:
            raise TypeError(f"{name}= is set by the relay; leave it out")
        if name in _KNOWN:
            raise TypeError(f"{name}= cannot be an extra field; use message_type= for the type")
        fields[name] = value
    return encode_fields(fields)


def encode_outgoing(message: Mapping[str, Any]) -> tuple[list[str], Text]:
    """Return the recipients and the encoded form of a message given as a mapping of its fields.

    ``to`` and ``payload`` are required. Raises TypeError, ValueError, EncodeError.
    """
    if not isinstance(message, Mapping) or not {"to", "payload"} <= message.keys():
        what = 'a mapping with at least "to" and "payload"'
        hint = 'use {"to": ["*"], "payload": "Hello"}'
        raise TypeError(must_be("a message", what, message, hint, secret=True))
    fields = dict(message)
    to = check_names("to", fields.pop("to"), '["*"]')
    payload, kind, ref = fields.pop("payload"), fields.pop("type", None), fields.pop("ref", None)
    return to, encode_message(to, payload, kind, ref, fields)


def encode_fields(fields: Mapping[str, Any]) -> Text:
    """Encode a message as JSON. Raises EncodeError."""
    try:
        text = _dense(fields)
        try:
            return Text(text.encode())
        except UnicodeEncodeError:  # half a surrogate pair: JSON has an escape for it
            return Text(_ascii(fields).encode())
    except (TypeError, ValueError, RecursionError) as exc:
        why = "nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise EncodeError(
            f"a message holds what JSON cannot carry: {why}; JSON has null, booleans, finite "
            "numbers, strings, lists and maps with string keys",
            path="payload",
        ) from None


_dense = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_ascii = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode
