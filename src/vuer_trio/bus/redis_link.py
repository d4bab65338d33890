"""A link to a Redis: two connections, one of which waits for entries."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Iterable, Mapping
from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from coredis import ConnectionPool, Redis
from coredis.connection import (
    BaseConnection,
    TCPConnection,
    TCPLocation,
    UnixDomainSocketConnection,
    UnixDomainSocketLocation,
)
from coredis.exceptions import ConnectionError as Unreachable
from coredis.exceptions import RedisError
from coredis.retry import NoRetryPolicy

from .._formatting import shown, without
from .._interrupts import protected_block
from .._nursery import unwrap
from .._runtime import Runtime
from .entries import SNAPSHOT_FIELD
from .link import PAGE_BYTES, BusLink, Entry, LinkLost, Page, Refused
from .redis_address import RedisAddress
from .redis_errors import refusal
from .redis_scripts import COMPACT, FOUND, LOCK, PAGE, TIME, UNLOCK

__all__ = ["open_redis_link"]

T = TypeVar("T")
#: bytes per second of the slowest line that is not taken for a lost one
_SLOWEST = 1 << 16

#: whether a task belongs to a link. What the package logs there, with a traceback, is raised here
#: as well, or it was a cancellation
_in_a_link: ContextVar[bool] = ContextVar("in_a_link", default=False)
logging.getLogger("coredis").addFilter(lambda record: not _in_a_link.get())


@protected_block
async def open_redis_link(
    rt: Runtime,
    address: RedisAddress,
    context: ssl.SSLContext | None,
    prefix: str,
    timeout: float,
) -> AsyncGenerator[BusLink, None]:
    """See `Bus._open_link`."""

    made: list[BaseConnection] = []

    def connection(*args: Any, **options: Any) -> BaseConnection:
        kind = TCPConnection if address.path is None else UnixDomainSocketConnection
        made.append(kind(*args, **options))
        return made[-1]

    def client() -> Redis[bytes]:
        location: Any = TCPLocation(address.host, address.port)
        if address.path is not None:
            location = UnixDomainSocketLocation(address.path)
        pool: ConnectionPool[Any] = ConnectionPool(
            connection_class=cast(type[BaseConnection], connection),
            location=location,
            max_connections=1,
            db=address.db,
            username=address.user,
            password=address.password,
            connect_timeout=timeout,
            ssl_context=context if address.secure else None,
        )
        return Redis(connection_pool=pool, verify_version=False, retry_policy=NoRetryPolicy())

    _in_a_link.set(True)
    body: BaseException | None = None
    try:
        async with AsyncExitStack() as stack:
            # Not one pool of two: a command could then share the connection that waits.
            reader = await stack.enter_async_context(client())
            writer = await stack.enter_async_context(client())
            link = _RedisLink(rt, address, reader, writer, prefix, timeout)
            await link.now()  # so that a wrong password shows
            try:
                yield link
            except BaseException as exc:
                body = exc
                raise
    except BaseExceptionGroup as group:  # of the task groups of the package
        failure = unwrap(group, body)
        while isinstance(failure, BaseExceptionGroup):
            failure = unwrap(failure, body)
    else:
        return
    finally:
        for one in made:
            _close_buffers(one)
    if isinstance(failure, RedisError | OSError):
        raise LinkLost(without(shown(failure), address.secrets)) from None
    raise failure


def _close_buffers(connection: BaseConnection) -> None:
    """The package leaves those of a connection open that was never opened."""
    for value in vars(connection).values():
        if isinstance(value, MemoryObjectReceiveStream | MemoryObjectSendStream):
            value.close()


class _RedisLink:
    """See `BusLink`."""

    def __init__(
        self,
        rt: Runtime,
        address: RedisAddress,
        reader: Redis[bytes],
        writer: Redis[bytes],
        prefix: str,
        timeout: float,
    ) -> None:
        self._rt = rt
        self._address = address
        self._reader, self._writer = reader, writer
        self._prefix = prefix
        self._timeout = timeout
        self._large = 0.0  # seconds for what is under way, and keeps the others waiting

    def _key(self, topic: str, kind: str) -> str:
        # In one slot of a cluster, by the braces.
        return f"{self._prefix}:{{{topic}}}:{kind}"

    async def _ask(self, request: Awaitable[T], more: float = 0.0) -> T:
        """Its answer, within the timeout."""
        where = self._address.shown
        self._large += more
        with self._rt.move_on_after(self._timeout + self._large):
            try:
                return await request
            except (Unreachable, OSError) as exc:
                text = without(_reason(exc), self._address.secrets)
                raise LinkLost(f"no connection to Redis at {where}: {text}") from None
            except RedisError as exc:
                raise Refused(refusal(where, exc, self._address.secrets)) from None
            finally:
                self._large -= more
        raise LinkLost(f"Redis at {where} has not answered for {self._timeout:g} s")

    async def now(self) -> int:
        seconds, micros = cast("list[bytes]", await self._ask(self._writer.eval(TIME, [], [])))
        return int(seconds) * 1000 + int(micros) // 1000

    async def load(self, topic: str) -> bytes | None:
        key = self._key(topic, "snapshot")
        size = await self._ask(self._reader.strlen(key))
        return await self._ask(self._reader.get(key), size / _SLOWEST)

    async def snapshot_size(self, topic: str) -> int:
        return await self._ask(self._writer.strlen(self._key(topic, "snapshot")))

    async def found(self, topic: str, entry: Entry, snapshot: bytes) -> bool:
        ((name, value),) = entry.fields.items()
        keys = [self._key(topic, "stream"), self._key(topic, "snapshot")]
        return bool(
            await self._ask(
                self._writer.eval(FOUND, keys, [entry.id, name, value, snapshot]),
                len(snapshot) / _SLOWEST,
            )
        )

    async def append(self, topic: str, fields: Mapping[bytes, bytes]) -> bytes | None:
        key = self._key(topic, "stream")
        size = sum(map(len, fields.values()))
        request = self._writer.xadd(key, dict(fields), nomkstream=True)
        return await self._ask(request, size / _SLOWEST)

    async def read(self, topic: str, after: bytes, count: int) -> Page | None:
        key, most = self._key(topic, "stream"), PAGE_BYTES
        while True:
            request = self._reader.eval(PAGE, [key], [after, count, most])
            answer = cast("list[Any]", await self._ask(request, most / _SLOWEST))
            if not answer:
                return None
            found, more = answer
            if found or not more:
                entries = [Entry(at, _fields(parts)) for at, parts in found]
                return Page(entries, bool(more))
            most = more

    async def wait(self, topic: str, after: bytes, count: int, seconds: float) -> Page:
        key = self._key(topic, "stream")
        found = await self._ask(
            self._reader.xread({key: after}, count, round(seconds * 1000)), seconds
        )
        entries = [one for some in (found or {}).values() for one in _entries(some)]
        return Page(entries, len(entries) == count)

    async def newest(self, topic: str) -> bytes | None:
        key = self._key(topic, "stream")
        found = _entries(await self._ask(self._writer.xrevrange(key, "+", "-", 1)))
        return found[0].id if found else None

    async def lock(self, topic: str, owner: bytes, seconds: float) -> bool:
        args: list[Any] = [owner, round(seconds * 1000)]
        return bool(await self._ask(self._writer.eval(LOCK, [self._key(topic, "lock")], args)))

    async def unlock(self, topic: str, owner: bytes) -> None:
        await self._ask(self._writer.eval(UNLOCK, [self._key(topic, "lock")], [owner]))

    async def compact(
        self, topic: str, owner: bytes, snapshot: bytes, at: bytes, keep: float
    ) -> bool:
        keys = [self._key(topic, kind) for kind in ("stream", "snapshot", "lock")]
        args: list[Any] = [owner, snapshot, at, round(keep * 1000), SNAPSHOT_FIELD]
        request = self._writer.eval(COMPACT, keys, args)
        return bool(await self._ask(request, len(snapshot) / _SLOWEST))

    async def beat(self, topic: str, member: bytes, seconds: float) -> None:
        key = self._key(topic, f"alive:{member.hex()}")
        await self._ask(self._writer.set(key, b"1", px=round(seconds * 1000)))

    async def silent(self, topic: str, members: Iterable[bytes]) -> list[bytes]:
        names = list(members)
        if not names:
            return []
        keys = [self._key(topic, f"alive:{name.hex()}") for name in names]
        found = await self._ask(self._writer.mget(keys))
        return [name for name, value in zip(names, found, strict=True) if value is None]


def _entries(found: Iterable[Any]) -> list[Entry]:
    return [Entry(_bytes(one.identifier), one.field_values) for one in found]


def _fields(parts: list[bytes]) -> dict[bytes, bytes]:
    """Of names and values in turn."""
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _reason(error: BaseException) -> str:
    """Of a failed connection: what the system says, if it says anything."""
    found, deeper = error, error.__cause__
    while deeper is not None:
        if isinstance(deeper, BaseExceptionGroup):
            deeper = deeper.exceptions[0]
        if isinstance(deeper, OSError):
            found = deeper
        deeper = deeper.__cause__
    text = found.strerror if isinstance(found, OSError) else None
    return shown(text or found or type(found).__name__)
