"""From a client's options to an open link, and what can go wrong on the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any

from msgpack import unpackb

from .._connection.connection import Connection
from .._connection.handler import ConnectionHandler
from .._connection.link import Link
from .._connection.lossy_queue import Keyed
from .._connection.observers import Observers
from .._connection.policies import open_inbox
from .._connection.queue import Queue
from .._errors import ConnectionFailed, ProtocolError, VuerError, renew
from .._net.client_tls import TLSSessions
from .._net.failure_reason import say_why
from .._net.rejection import way_of
from .._received import ReceivedServerEvent, received_server_event
from .._runtime import Runtime
from .._values import FREE
from .._websocket.transport import Text, Transport
from ..codec import as_plain_extension
from ..events import Event, ServerEvent
from .options import Options

if TYPE_CHECKING:
    from .._async_types import Nursery

__all__ = [
    "connection_failed",
    "dial_in_time",
    "dial_now",
    "in_time",
    "new_connection",
    "received",
    "with_key",
]


def new_connection(
    rt: Runtime,
    options: Options,
    handler: ConnectionHandler,
    outbox: Queue[Any],
    *,
    shielded: bool,
    observers: Observers | None = None,
) -> Connection:
    """A connection with these options, not open yet."""
    return Connection(
        rt,
        options.address.shown,
        handler,
        open_inbox(rt, options.inbox),
        outbox,
        heartbeat=options.heartbeat,
        close_timeout=options.close_timeout,
        backoff=options.backoff,
        shielded=shielded,
        observers=observers,
    )


async def dial_in_time(
    options: Options, link: Link, nursery: Nursery, sessions: TLSSessions
) -> Transport:
    """One dial, which may resume one of ``sessions``. Raises TimeoutError after
    ``connect_timeout``."""
    return await in_time(options, link, _dial_now(options, link, nursery, None, sessions))


async def in_time(options: Options, link: Link, dial: Awaitable[Transport]) -> Transport:
    """What is dialled, however that goes. Raises TimeoutError after ``connect_timeout``."""
    with link.rt.move_on_after(options.connect_timeout):
        return await dial
    raise TimeoutError(f"it was not open within {options.connect_timeout:g} s")


async def dial_now(
    options: Options, link: Any, nursery: Nursery, *, stays: str | None = None
) -> Transport:
    """One dial, without a deadline. ``link`` is a `Sink` that knows its runtime as ``rt``;
    ``stays`` is why no redirect to another origin is followed, if none is."""
    return await _dial_now(options, link, nursery, stays)


async def _dial_now(
    options: Options,
    link: Any,
    nursery: Nursery,
    stays: str | None = None,
    sessions: TLSSessions | None = None,
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
            sessions=sessions,
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
    if kind is bytes and len(item) <= FREE:
        try:  # what is below, in one call: it runs for every message
            raw = unpackb(item, ext_hook=as_plain_extension)
            if type(raw["etype"]) is str:
                return ReceivedServerEvent(raw)
        except Exception:  # which `decode` tells
            pass
    if kind is bytes or kind is memoryview or kind is bytearray:
        return received_server_event(item)
    if kind is Text:
        raise ProtocolError(
            f"a text frame of {len(item)} bytes, but only binary frames are allowed",
            frame=bytes(item),
        )
    event: ServerEvent | ProtocolError = item.event  # decoded when it was read
    if isinstance(event, ProtocolError):
        raise renew(event)
    return event
