"""Delivery policies: what happens to a message for which there is no room.

A policy is a value. It opens the queues that keep it, and nothing else asks which one it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from .._errors import ClientClosed
from .._formatting import must_be
from .._runtime import Runtime
from .lossy_queue import DiscardingQueue, KeyedQueue, LossyQueue
from .queue import Queue
from .scene_queue import SceneQueue

__all__ = [
    "DEFAULT_INBOX",
    "Discard",
    "DropOldest",
    "Fifo",
    "Latest",
    "Policy",
    "not_connected",
    "open_inbox",
]

_MIB = 1 << 20
_UNBOUNDED = "use None for no bound"


class Policy(ABC):
    """What an inbox or an outbox does; `Fifo`, `DropOldest`, `Latest` or `Discard`."""

    __slots__ = ()

    #: whether it keeps everything
    lossless: ClassVar[bool] = False

    @abstractmethod
    def open(self, rt: Runtime | None, *, has_consumer: bool = True) -> Queue[Any]:
        """A queue with this policy. ``has_consumer``: whether anybody takes from it."""

    def open_outbox(self, rt: Runtime | None, *, keeps_others: bool = False) -> Queue[Any]:
        """A queue with this policy for what is sent. ``keeps_others``: whether events that change
        no scene are kept, all of them."""
        return self.open(rt)

    def key_function(
        self, default: Callable[[Any], Hashable] | None
    ) -> Callable[[Any], Hashable] | None:
        """What tells the key of an event; None where no event needs one."""
        return None

    def for_calls(self) -> Policy:
        """The policy for events that wait for their handlers."""
        return self


@dataclass(frozen=True, slots=True)
class Fifo(Policy):
    """Keep everything, in order; the sender waits while the queue is full.

    ``capacity`` in messages, ``max_bytes`` in bytes of payload. One message may exceed the limit in
    bytes, so that none is too large to be sent.
    """

    lossless = True

    capacity: int = 1024
    max_bytes: int = 64 * _MIB

    def __post_init__(self) -> None:
        _check_room(capacity=self.capacity, max_bytes=self.max_bytes)

    def open(self, rt: Runtime | None, *, has_consumer: bool = True) -> Queue[Any]:
        return Queue(rt, self, has_consumer=has_consumer)


@dataclass(frozen=True, slots=True)
class DropOldest(Policy):
    """Keep the newest, in order; nobody waits, and what is dropped is counted.

    ``capacity`` in messages, ``max_bytes`` in bytes of payload, of what waits: what is being
    written does not count, and is never dropped. The newest message is kept whatever its size.
    """

    capacity: int = 1024
    max_bytes: int = 64 * _MIB

    def __post_init__(self) -> None:
        _check_room(capacity=self.capacity, max_bytes=self.max_bytes)

    def open(self, rt: Runtime | None, *, has_consumer: bool = True) -> Queue[Any]:
        return LossyQueue(rt, self, has_consumer=has_consumer)


@dataclass(frozen=True, slots=True)
class Latest(Policy):
    """Keep the newest of each kind; nobody waits, and what is replaced or dropped is counted.

    The kind is the event's type, or ``key(event)``, which must be hashable. What replaces another
    goes to the end of the line. Over ``max_keys`` kinds, or over ``max_bytes`` bytes of payload,
    the one that waits longest is dropped; both as `DropOldest` counts them. What ``key`` raises
    is raised by the call that sends; of a received event it is logged, and that event is of a
    kind of its own, as is a message that cannot be decoded.

    An outbox without a ``key`` keeps changes of a scene by node, so that the scene is the one that
    `Fifo` gives, and fresher on the way to it: an UPSERT or UPDATE that waits takes in a later one
    of the same nodes and the same ``to``, in its place, which `Statistics.replaced` counts. SET,
    ADD, REMOVE and requests stay, in order; so does, on a server, any other event. None of these is
    dropped, however small ``max_keys`` is: the outbox is full, as a `Fifo` would be, at 65,536 of
    them, or ``max_keys`` if that is more, and at ``max_bytes``. What replaces always has room.

    ``in_flight`` is how much of what an outbox has given away may be on its way to the peer, where
    it grows old and cannot be replaced. With "auto" the next message goes when the line has nearly
    sent the one before, which pings behind messages of 16 KiB or more tell. A number of bytes is a
    fixed bound of what has not been answered, and None is no bound. A peer that does not answer
    pings is written to without one. An inbox ignores it.
    """

    key: Callable[[Any], Hashable] | None = None
    max_keys: int = 1024
    max_bytes: int = 64 * _MIB
    in_flight: Literal["auto"] | int | None = "auto"

    def __post_init__(self) -> None:
        if self.key is not None and not callable(self.key):
            raise TypeError(must_be("key", "a function of an event, or None", self.key))
        _check_room(max_keys=self.max_keys, max_bytes=self.max_bytes)
        _check_in_flight(self.in_flight)

    @property
    def capacity(self) -> int:
        """As the other policies call it."""
        return self.max_keys

    def open(self, rt: Runtime | None, *, has_consumer: bool = True) -> Queue[Any]:
        return KeyedQueue(rt, self, has_consumer=has_consumer)

    def open_outbox(self, rt: Runtime | None, *, keeps_others: bool = False) -> Queue[Any]:
        box: Queue[Any]
        if self.key is not None:
            box = self.open(rt)
        else:
            box = SceneQueue(rt, self.max_keys, self.max_bytes, keeps_others=keeps_others)
        box.in_flight = self.in_flight
        return box

    def key_function(
        self, default: Callable[[Any], Hashable] | None
    ) -> Callable[[Any], Hashable] | None:
        return self.key or default


@dataclass(frozen=True, slots=True)
class Discard(Policy):
    """Keep nothing: each message is counted and thrown away.

    For an inbox that nobody reads. Handlers, `latest` and `lease` still see every event, and
    `recv` waits until the connection ends. An outbox that discards still flushes.
    """

    @property
    def capacity(self) -> int:
        """As the other policies call it."""
        return 0

    @property
    def max_bytes(self) -> int:
        """As the other policies call it."""
        return 0

    def open(self, rt: Runtime | None, *, has_consumer: bool = True) -> Queue[Any]:
        return DiscardingQueue(rt, self, has_consumer=has_consumer)

    def for_calls(self) -> Policy:
        return DropOldest()


def _check_room(**room: object) -> None:
    """A queue needs room for at least one message."""
    for name, value in room.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(must_be(name, "an int", value))
        if value < 1:
            raise ValueError(must_be(name, "at least 1", value))


def _check_in_flight(in_flight: object) -> None:
    if in_flight is None or in_flight == "auto":
        return
    if isinstance(in_flight, bool) or not isinstance(in_flight, int):
        raise TypeError(
            must_be("in_flight", "'auto', an int of bytes or None", in_flight, _UNBOUNDED)
        )
    if in_flight < 1:
        raise ValueError(must_be("in_flight", "at least 1", in_flight, _UNBOUNDED))


#: the inbox of a client that has chosen none; told from an equal one by identity
DEFAULT_INBOX = Fifo(1024)


def open_inbox(rt: Runtime, policy: Policy) -> Queue[Any]:
    """A queue for what a client reads.

    One that was chosen keeps its policy from the first byte. The default stops the reader like any
    `Fifo`, but a program that only sends must not hang: see `Standstill`.
    """
    inbox = policy.open(rt, has_consumer=policy is not DEFAULT_INBOX)
    inbox.stops = True
    return inbox


def not_connected(uri: str) -> Queue[Any]:
    """What a client puts into and takes from until it is connected to ``uri``: closed."""
    queue: Queue[Any] = Queue(None, Fifo())
    queue.close(
        ClientClosed(
            f"Not connected to {uri}: enter the client with `async with`, or await client.connect()"
        )
    )
    return queue
