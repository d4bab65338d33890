"""Sending for an agent: encodes messages, and applies the size and rate limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any

from .._connection.sender import Sender
from .._errors import EncodeError, OutboxFull
from .._interrupts import protected_methods
from .._websocket.transport import Text
from .message import RELAY, encode_outgoing
from .relay_session import RelaySession

__all__ = ["AgentSender"]


@protected_methods
class AgentSender(Sender[Any]):
    """Sends messages given as mappings of their fields, ``{"to": ["*"], "payload": "Hello"}``.

    Each message takes a slot in the rate limit, except commands to the relay. Without a free slot,
    the async methods wait for one, and the others raise OutboxFull.
    """

    __slots__ = ("relay",)

    def __init__(self, uri: str) -> None:
        super().__init__(_same, uri)
        #: the current session; None before the first connection
        self.relay: RelaySession | None = None

    async def __call__(self, event: Any, *, retain: bool = False) -> None:
        await self.send(*encode_outgoing(event))

    def __matmul__(self, event: Any) -> None:
        self.send_nowait(*encode_outgoing(event))

    async def many(self, events: Iterable[Any]) -> None:
        encoded = [encode_outgoing(event) for event in events]
        for _, data in encoded:
            self.check_size(data)
        places = sum(_takes_a_place(to) for to, _ in encoded)
        await self.in_turn(places, partial(super().many, [data for _, data in encoded]))

    async def send(self, to: Sequence[str], data: Text) -> None:
        """Wait for a slot in the rate limit, then for room, and enqueue one message."""
        self.check_size(data)
        await self.in_turn(_takes_a_place(to), partial(super().__call__, data))

    def send_nowait(self, to: Sequence[str], data: Text) -> None:
        """Like `send`, but raises OutboxFull instead of waiting for a slot or for room."""
        self.check_size(data)
        self._check_open()
        places = _takes_a_place(to)
        window = self.relay.window if self.relay is not None and places else None
        if window is not None and not window.try_admit():
            raise OutboxFull(
                f"the rate limit for {self.uri} admits no more messages now; use `await "
                "client.send(...)`, which waits for its turn"
            )
        try:
            self.put(data)
        except BaseException:
            if window is not None:
                window.give_back()
            raise

    async def in_turn(self, places: int, enqueue: Callable[[], Awaitable[None]]) -> None:
        """Wait for ``places`` slots in the rate limit, then await ``enqueue()``.

        If it is cancelled or ``enqueue`` raises, the slots are free again.
        """
        window = self.relay.window if self.relay is not None and places else None
        if window is None:
            return await enqueue()
        self._check_open()  # do not wait for a slot on a closed connection
        await window.admit(places)
        try:
            await enqueue()
        except BaseException:
            window.give_back(places)
            raise

    def _check_open(self) -> None:
        """Raise the error that sending would raise, if any."""
        outbox = self.outbox
        if outbox.closed is not None:
            raise outbox.refusal()
        assert outbox.home is not None
        outbox.home.check_loop()

    def check_size(self, data: Text) -> None:
        """Raise EncodeError for more bytes than the relay's announced ``max_message_size``."""
        limits = self.relay.dispatcher.relay_info.get("limits") if self.relay is not None else None
        most = limits.get("max_message_size") if isinstance(limits, dict) else None
        if isinstance(most, int) and len(data) > most:
            raise EncodeError(
                f"the message has {len(data):,} bytes, but {self.uri} accepts at most {most:,}",
                path="payload",
            )


def _takes_a_place(to: Sequence[str]) -> bool:
    """Whether the rate limit counts a message. It does not count commands to the relay."""
    return RELAY not in to


def _same(payload: Text) -> Text:
    return payload
