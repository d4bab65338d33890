"""What is linked to an address: a file, bytes, or a function that is asked each time."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from .._failures import has_failed, log_failure, pass_on
from .._net.http_request import BadRequest
from .._runtime import runtime
from .blob import Blob

__all__ = ["Link", "LinkReply", "LinkRequest", "wants_request"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

_TEXT, _JSON = "text/plain", "application/json"
_BYTES = "application/octet-stream"
#: by these names an optional parameter is meant for the request
_REQUEST = ("request", "req")


@dataclass(slots=True)
class LinkRequest:
    """The request that a linked function, or that of a route, receives.

    ``path`` is decoded, ``query`` has the first value of each name, the names of ``headers`` are
    lower-case, ``remote`` is the peer's address. For a link, ``filename`` is the path below
    ``/workspace``.
    """

    method: str
    path: str
    filename: str = ""
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    remote: str | None = None
    _read: Callable[[], Awaitable[bytes]] | None = None
    _body: bytes | None = None

    @property
    def query(self) -> dict[str, str]:
        """The first value of each name in the query."""
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.query_string, keep_blank_values=True):
            found.setdefault(name, value)
        return found

    @property
    def match_info(self) -> dict[str, str]:
        """``{"filename": ...}``."""
        return {"filename": self.filename}

    @property
    def body(self) -> bytes:
        """The body, as far as it has been read: that of a route has, before its function runs."""
        return self._body or b""

    async def read(self) -> bytes:
        """The body. Raises as the stream does; one over the server's ``max_size``, or of a route
        over ``REQUEST_MAX_SIZE``, ends the request with 413. Cancelled: the request cannot be used
        any longer.
        """
        if self._body is None:
            self._body = b"" if self._read is None else await self._read()
        return self._body

    async def text(self) -> str:
        """The body as UTF-8. Raises as `read`, and UnicodeDecodeError."""
        return (await self.read()).decode()

    async def json(self) -> Any:
        """The body as JSON. Raises as `read`, and ValueError."""
        return json.loads(await self.read())


@dataclass(slots=True)
class LinkReply:
    """What a link returns. ``body`` is what to send, a file to send, or an iterator of pieces."""

    status: int
    body: bytes | Path | AsyncIterator[bytes]
    content_type: str

    @property
    def text(self) -> str:
        """The body, if it is bytes, as UTF-8."""
        return self.body.decode(errors="replace") if isinstance(self.body, bytes) else ""


def wants_request(fn: object) -> bool:
    """Whether ``fn`` is a function that takes the request. A default value is the program's own,
    as in ``lambda n=n: ...``, unless its parameter is called ``request``."""
    if not callable(fn):
        return False
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # of a builtin
        return False
    positional = [p for p in parameters if p.kind <= inspect.Parameter.VAR_POSITIONAL]
    first = next(iter(positional), None)
    return first is not None and (
        first.kind is inspect.Parameter.VAR_POSITIONAL
        or first.default is inspect.Parameter.empty
        or first.name in _REQUEST
    )


@dataclass(slots=True)
class Link:
    """One link. ``content_type`` applies to what has none of its own."""

    target: Callable[..., Any] | Path | bytes
    method: str
    content_type: str

    @property
    def takes_request(self) -> bool:
        """Whether ``target`` is a function that wants the request."""
        return wants_request(self.target)

    async def answer(self, request: Any, where: str) -> LinkReply:
        """The function is called in the loop's task, as a handler is. What it raises is logged,
        and answered with 500. Raises BadRequest for a body that cannot be read. Cancelled: so is
        the function."""
        result: Any = self.target
        if callable(result):
            rt = runtime()
            task = rt.current_task()
            try:
                result = result(request) if self.takes_request else result()
                if inspect.isawaitable(result):
                    result = await result
                return self._reply(result)
            except BadRequest:  # of a body that is none: the client's failure
                raise
            except BaseException as exc:
                if has_failed(exc, rt, task):
                    log_failure(log, exc, "the function linked to %s raised", where)
                pass_on(exc, rt, task)
                return LinkReply(500, b"the function of this link failed\n", _TEXT)
        return self._reply(result)

    def _reply(self, result: Any) -> LinkReply:
        if isinstance(result, LinkReply):
            return result
        if isinstance(result, Path):
            if not result.is_file():
                return LinkReply(404, b"not here\n", _TEXT)
            return LinkReply(200, result, self.content_type)
        if result is None:
            return LinkReply(404, b"not here\n", _TEXT)
        if isinstance(result, Blob):
            return LinkReply(200, result.as_bytes(), result.content_type)
        if isinstance(result, bytes | bytearray | memoryview):
            return LinkReply(200, bytes(result), self.content_type)
        if isinstance(result, dict | list):
            return LinkReply(200, json.dumps(result).encode(), _JSON)
        if isinstance(result, AsyncIterator):
            return LinkReply(200, result, self.content_type)
        kind = _TEXT if self.content_type == _BYTES else self.content_type
        return LinkReply(200, str(result).encode(), f"{kind}; charset=utf-8")
