"""The pages that a program adds: functions that are called for a path."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .._failures import has_failed, log_failure, pass_on
from .._formatting import must_be, shown
from .._interrupts import call_unprotected
from .._net.http_request import BadRequest
from .._runtime import Runtime
from .._signatures import check_takes
from ..workspace import LinkRequest
from ..workspace.link import wants_request

if TYPE_CHECKING:
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["Route", "Routes"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Route:
    """One function, for one method."""

    fn: Callable[..., object]
    content_type: str
    takes_request: bool


class Routes:
    """The routes of one app, by path and method."""

    def __init__(self) -> None:
        self._table: dict[str, dict[str, Route]] = {}

    def add(
        self, path: str, fn: Callable[..., object], method: str = "GET", content_type: str = ""
    ) -> None:
        """Raises TypeError and ValueError for a function that cannot be called like this."""
        if not isinstance(path, str):
            raise TypeError(must_be("path", "a str, '/status'", path))
        if not callable(fn):
            what = "a function, of the request or of nothing"
            raise TypeError(must_be("the function of a route", what, fn))
        takes_request = wants_request(fn)
        check_takes("add_route", fn, ["request"] if takes_request else [])
        if not isinstance(method, str) or method.upper() not in _METHODS:
            raise ValueError(must_be("method", f"one of {', '.join(_METHODS)}", method))
        if not isinstance(content_type, str) or not content_type.isprintable():
            raise ValueError(must_be("content_type", "a type, 'text/html'", content_type))
        route = Route(fn, content_type, takes_request)
        self._table.setdefault(f"/{path.lstrip('/')}", {})[method.upper()] = route

    def has(self, target: str) -> bool:
        """Whether there is a function for the path of a request's target."""
        return bool(self._table) and _path(target) in self._table

    def functions(self) -> Iterator[Callable[..., Any]]:
        """All of them."""
        for methods in self._table.values():
            for route in methods.values():
                yield route.fn

    async def answer(
        self, rt: Runtime, incoming: IncomingRequest, more: Headers, max_size: int
    ) -> None:
        """Answer a request for which there is a path; ``more`` are headers of the answer.

        An exception of a function is logged, and answered with 500. Raises OSError when the stream
        breaks. Cancelled: the answer may be cut.
        """
        request = incoming.request
        methods = self._table[_path(request.target)]
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        plain = ("content-type", "text/plain; charset=utf-8")
        if route is None:
            return await incoming.answer(405, [("allow", ", ".join(methods)), *more])
        length = request.header("content-length") or "0"
        if length.isdecimal() and int(length[:20]) > max_size:
            return await incoming.answer(413, [plain, *more], b"the request is too large\n")
        try:
            given = [await _asked(incoming, max_size)] if route.takes_request else []
        except BadRequest as exc:
            return await incoming.answer(exc.status, [plain, *more], f"{exc}\n".encode())
        task = rt.current_task()
        try:
            body, content_type = _body(await call_unprotected(route.fn, *given), route.content_type)
        except BaseException as exc:
            if has_failed(exc, rt, task):
                path = shown(_path(request.target))
                log_failure(log, exc, "the route %s failed", path)
            pass_on(exc, rt, task)
            return await incoming.answer(500, [plain, *more], b"the route failed; see the log\n")
        headers = [
            ("content-type", content_type),
            ("x-content-type-options", "nosniff"),
            *more,
        ]
        await incoming.answer(200, headers, body)


async def _asked(incoming: IncomingRequest, max_size: int) -> LinkRequest:
    """A request with its body. Raises BadRequest."""
    request = incoming.request
    try:
        body = await incoming.read_body(max_size)
    except OSError as exc:
        raise BadRequest(400, "the body did not come") from exc
    query = request.target.partition("?")[2].partition("#")[0]
    return LinkRequest(
        request.method,
        _path(request.target),
        query_string=query,
        headers=dict(request.headers),
        remote=incoming.host,
        _body=body,
    )


def _path(target: str) -> str:
    try:
        return unquote(urlsplit(target).path)
    except ValueError:  # "//[": no host
        return target


def _body(result: Any, content_type: str) -> tuple[bytes, str]:
    """What a function returned, as it goes out. Raises TypeError for what has no form."""
    if isinstance(result, dict | list):
        return json.dumps(result).encode(), content_type or "application/json"
    if isinstance(result, bytes | bytearray | memoryview):
        return bytes(result), content_type or "application/octet-stream"
    if result is None or isinstance(result, str):
        kind = content_type or "text/html"
        if kind.startswith("text/") and "charset" not in kind:
            kind += "; charset=utf-8"
        return (result or "").encode(), kind
    raise TypeError(must_be("what a route returns", "a str, bytes or a dict", result))
