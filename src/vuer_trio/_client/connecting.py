"""From a client's options to an open link, and what can go wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Literal

from .._connection.link import Link
from .._connection.lossy_queue import Keyed
from .._errors import ConnectionFailed, ProtocolError, VuerError, renew
from .._net.failure_reason import say_why
from .._net.rejection import way_of
from .._received import ReceivedServerEvent
from .._websocket.transport import Text, Transport
from ..codec import decode, make_encoder
from ..events import Event, ServerEvent
from .options import Options

if TYPE_CHECKING:
    from .._async_types import Nursery

__all__ = [
    "connection_failed",
    "dial_in_time",
    "dial_now",
    "event_encoder",
    "received",
    "with_key",
]


async def dial_in_time(options: Options, link: Link, nursery: Nursery) -> Transport:
    with link.rt.move_on_after(options.connect_timeout):
        return await _dial_now(options, link, nursery)
    raise TimeoutError(f"it was not open within {options.connect_timeout:g} s")


async def dial_now(
    options: Options, link: Any, nursery: Nursery, *, stays: str | None = None
) -> Transport:
    """One dial, without a deadline. ``link`` is a `Sink` that knows its runtime as ``rt``;
    ``stays`` is why no redirect to another origin is followed, if none is."""
    return await _dial_now(options, link, nursery, stays)


async def _dial_now(
    options: Options, link: Any, nursery: Nursery, stays: str | None = None
) -> Transport:
    from .._net.connect_options import ConnectOptions
    from .._websocket.connect import dial

    return await dial(
        link.rt,
        ConnectOptions(
            address=options.address,
            max_size=options.max_size,
            transport=options.transport,
            headers=options.header_fields(),
            tls=options.ssl_context,
            verify=options.ssl_verify,
            server_hostname=options.server_hostname,
            proxy=options.proxy,
            compression=options.compression,
            subprotocols=options.subprotocols,
            origin=options.origin,
            stream=options.stream,
            stays=stays,
        ),
        link,
        nursery,
    )


def connection_failed(uri: str, exc: Exception, what: str = "a Vuer server") -> Exception:
    """What opening raises for what the dial failed with."""
    if isinstance(exc, VuerError | TypeError) or type(exc) is ValueError:
        return exc  # the caller's mistake
    why = say_why(exc, what, secure=uri.startswith("wss:"))
    status = getattr(exc, "status", None)
    return ConnectionFailed(
        f"could not connect to {uri}{way_of(exc)}: {why}", uri=uri, status=status
    )


def event_encoder(
    floats: Literal["double", "single"], expected: str = "ClientEvent"
) -> Callable[[Event], bytes]:
    """From an event to a payload. It raises EncodeError, and knows no client."""
    return make_encoder(floats, expected)


def with_key(
    encode: Callable[[Event], bytes], key: Callable[[Any], Hashable] | None
) -> Callable[[Event], bytes]:
    """An encoder whose payloads know their key, if there is a function for it."""
    if key is None:
        return encode

    def encode_with_key(event: Event) -> Keyed:
        payload = Keyed(encode(event))
        payload.key = key(event)
        hash(payload.key)  # a TypeError is the caller's
        return payload

    return encode_with_key


def received(item: Any) -> ServerEvent:
    """The event in an item of an inbox. Raises ProtocolError."""
    kind = type(item)
    if kind is bytes or kind is bytearray:
        return ReceivedServerEvent(decode(item))
    if kind is Text:
        raise ProtocolError(
            f"a text frame of {len(item)} bytes, but only binary frames are allowed",
            frame=bytes(item),
        )
    event: ServerEvent | ProtocolError = item.event  # decoded when it was read
    if isinstance(event, ProtocolError):
        raise renew(event)
    return event
