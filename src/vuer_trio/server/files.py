"""How a file is sent, for the page, the workspace and its links."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar, TypeVarTuple

from .._failures import has_failed, log_failure, pass_on
from .._hosting.turns import Turn, Turns
from .._net.http_request import HttpRequest
from .._runtime import Runtime
from .._websocket.incoming_request import IncomingRequest
from .compressed import Compressed, is_compressible
from .conditions import Facts, Plan, http_date, make_plan
from .content import Content, MemoryContent, Reader
from .cross_origin import vary

__all__ = ["REVALIDATE", "Files", "text_reply"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Fields = Sequence[tuple[str, str]]

#: of what may be another file tomorrow: a browser keeps it, and asks each time whether it still is
REVALIDATE = "no-cache"
#: files at a time that are being sent, and bytes of one that are in memory
_SENDING, _SLICE = 64, 131_072
#: times that a file may change between the look at it and its sending
_PATIENCE = 5
#: seconds for a stream that is broken off to clean up
_CLEANUP = 1.0


class Files:
    """A file is checked before it is read, and read in slices while it is sent: a slow reader costs
    one slice, and `_SENDING` readers are served at a time.
    """

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._compressed = Compressed(rt)
        self.turns: Turns = Turns(rt, _SENDING)

    async def answer(
        self,
        incoming: IncomingRequest,
        content: Content,
        fields: Fields = (),
        cache: str = REVALIDATE,
    ) -> bool:
        """Answer a GET or HEAD with the requested part of the content; return False, without an
        answer, if it does not exist. ``fields`` are more headers.

        Raises OSError when the stream breaks. Cancelled: the answer may be cut.
        """
        for _ in range(_PATIENCE):
            facts = await self._look(content)
            if facts is None:
                return False
            if await self._answer(incoming, content, facts, _head(content.kind, cache, fields)):
                return True
        await text_reply(incoming, 503, "this file changes too quickly\n", _retry(fields, "1"))
        return True

    async def _look(self, content: Content) -> Facts | None:
        def look() -> Facts | None:
            reader = content.open()
            if reader is None:
                return None
            reader.close()
            return reader.facts

        return await self._run(content, look)

    async def _answer(
        self, incoming: IncomingRequest, content: Content, facts: Facts, fields: Fields
    ) -> bool:
        """Whether that has answered it: the file may be another one by now."""
        request = incoming.request
        packs = is_compressible(content.kind, facts.size)
        if packs:
            fields = vary(fields, "Accept-Encoding")
        packs = packs and _takes_gzip(request)
        plan = make_plan(request, facts if packs else facts._replace(tags=facts.tags[:1]))
        if plan.status not in (200, 206):
            if plan.status == 416:
                fields = [*fields, ("content-range", f"bytes */{facts.size}")]
            await incoming.answer(plan.status, _described(fields, facts, plan.tag), b"")
            return True
        if packs and plan.status == 200:
            async with self._compressed.of(content, facts.tag) as packed:
                if packed is not None:
                    fields = [*fields, ("content-encoding", "gzip")]
                    small = facts._replace(size=len(packed), tags=facts.tags[1:])
                    plan = Plan(200, 0, small.size, small.tag)
                    content = MemoryContent(packed, content.kind, small)
                    return await self._send(incoming, content, small, plan, fields)
        return await self._send(incoming, content, facts, plan, fields)

    async def _send(
        self,
        incoming: IncomingRequest,
        content: Content,
        facts: Facts,
        plan: Plan,
        fields: Fields,
    ) -> bool:
        fields = [*_described(fields, facts, plan.tag), ("accept-ranges", "bytes")]
        if plan.status == 206:
            where = f"bytes {plan.start}-{plan.stop - 1}/{facts.size}"
            fields.append(("content-range", where))
        if incoming.request.method == "HEAD":
            await incoming.send(plan.status, fields, plan.stop - plan.start)
            await incoming.part()
            return True
        async with self.turns.turn() as turn:
            if turn is None:
                return await _is_busy(incoming)
            if not await self._send_slices(incoming, content, facts, plan, fields, turn):
                return False
        if not turn.gave_way:
            await incoming.part()
        return True

    async def _send_slices(
        self,
        incoming: IncomingRequest,
        content: Content,
        facts: Facts,
        plan: Plan,
        fields: Fields,
        turn: Turn,
    ) -> bool:
        opened: list[Reader] = []  # filled by a thread, whatever becomes of this task
        position = plan.start

        def open_again() -> bool:
            reader = content.open()
            if reader is not None:
                opened.append(reader)
            return reader is not None and reader.facts.tag == facts.tag

        async def read() -> bytes:
            nonlocal position
            size = min(_SLICE, plan.stop - position)
            data = await self._run(content, opened[0].read, position, size)
            position += len(data)
            turn.taken += len(data)
            return data

        try:
            if not await self._run(content, open_again):
                return False
            await incoming.send(plan.status, fields, plan.stop - plan.start, read)
        finally:
            for reader in opened:
                reader.close()
        return True

    async def _run(self, content: Content, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call it where it may block, if it does."""
        if content.memory:
            return fn(*args)
        result: T = await self._rt.run_in_thread(fn, *args)
        return result

    async def stream(
        self,
        incoming: IncomingRequest,
        chunks: AsyncIterator[bytes],
        kind: str,
        fields: Fields = (),
    ) -> None:
        """Answer with the chunks as they come. An exception of ``chunks`` is logged, and cuts the
        answer.

        Raises OSError when the stream breaks. Cancelled: the answer is cut.
        """
        fields = _head(kind, REVALIDATE, fields)
        framed = incoming.request.version == "1.1"
        if framed:
            fields = [*fields, ("transfer-encoding", "chunked")]
        try:
            if incoming.request.method == "HEAD":
                await incoming.send(200, fields, None)
            else:
                async with self.turns.turn() as turn:
                    if turn is None:
                        await _is_busy(incoming)
                        return
                    await incoming.send(200, fields, None, self._reader(chunks, framed, turn))
                if turn.gave_way:
                    return
            await incoming.part()
        finally:
            await self._close(chunks)

    def _reader(
        self, chunks: AsyncIterator[bytes], framed: bool, turn: Turn
    ) -> Callable[[], Awaitable[bytes]]:
        """Of a stream, in chunks as HTTP has them (RFC 9112 §7.1) if ``framed``."""

        ended = False

        async def read() -> bytes:
            nonlocal ended
            if ended:
                return b""
            data = b""
            while not data and not ended:
                task = self._rt.current_task()
                try:
                    data = bytes(await anext(chunks))
                except StopAsyncIteration:
                    ended = True
                except BaseException as exc:
                    if has_failed(exc, self._rt, task):
                        log_failure(log, exc, "what was being streamed raised")
                    pass_on(exc, self._rt, task)
                    raise ConnectionAbortedError("the stream failed") from None
            turn.taken += len(data)
            if not framed:
                return data
            return b"0\r\n\r\n" if ended else b"%x\r\n%b\r\n" % (len(data), data)

        return read

    async def _close(self, chunks: AsyncIterator[bytes]) -> None:
        close = getattr(chunks, "aclose", None)
        if close is None:
            return
        task = self._rt.current_task()
        deadline = self._rt.current_time() + _CLEANUP
        try:
            with self._rt.CancelScope(shield=True, deadline=deadline):
                await close()
        except BaseException as exc:
            if has_failed(exc, self._rt, task):
                log_failure(log, exc, "what was being streamed raised")
            pass_on(exc, self._rt, task)


async def text_reply(
    incoming: IncomingRequest, status: int, text: str, fields: Fields = ()
) -> None:
    """A line for people. Raises OSError when the stream breaks. Cancelled: it may be cut."""
    await incoming.answer(status, [("content-type", "text/plain"), *fields], text.encode())


async def _is_busy(incoming: IncomingRequest) -> bool:
    await text_reply(incoming, 503, "too many pages are being read\n", _retry((), "10"))
    return True


def _retry(fields: Fields, seconds: str) -> Fields:
    return [*fields, ("retry-after", seconds)]


def _head(kind: str, cache: str, fields: Fields) -> list[tuple[str, str]]:
    return [
        ("content-type", kind),
        ("cache-control", cache),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),  # of what is shown without an Origin
        *fields,
    ]


def _described(fields: Fields, facts: Facts, tag: str) -> list[tuple[str, str]]:
    found = [*fields, ("etag", tag)]
    if facts.modified is not None:
        found.append(("last-modified", http_date(facts.modified)))
    return found


def _takes_gzip(request: HttpRequest) -> bool:
    """RFC 9110 §12.5.3. A range is of the file as it is."""
    if request.header("range") is not None:
        return False
    weights: dict[str, float] = {}
    for item in (request.header("accept-encoding") or "").lower().split(","):
        name, _, weight = item.partition(";")
        with suppress(ValueError):
            weights[name.strip()] = float(weight.strip().removeprefix("q=") or 1)
    return weights.get("gzip", weights.get("*", 0)) > 0
