"""What a browser sees at the server's address: the web client, or a link to it."""

from __future__ import annotations

import html
import mimetypes
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from .._hosting.turns import Turn, Turns
from .._runtime import Runtime

if TYPE_CHECKING:
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["File", "Pages"]

#: types that a machine's own table may lack, or have wrong
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".hdr": "image/vnd.radiance",
    ".woff2": "font/woff2",
}
_HTML = "text/html; charset=utf-8"
#: files at a time that are being sent, and bytes of one that are in memory
_SENDING, _SLICE = 64, 131_072
_LINK = """<!doctype html>
<meta charset="utf-8">
<title>Vuer</title>
<p>A Vuer server is running here. <a href="{link}">Open its scene</a>, or connect a client to
<code>{uri}</code>.</p>
"""


class Pages:
    """The files of one folder, and nothing outside it; without a folder, one short page.

    A file is looked at before it is read, and read in slices while it is sent: what a slow reader
    costs is one slice, and `_SENDING` of them are served at a time.
    """

    def __init__(self, rt: Runtime, root: str | PathLike[str] | None) -> None:
        self._rt = rt
        self._root = None if root is None else Path(root).resolve()
        self.turns: Turns = Turns(rt, _SENDING)

    async def answer(self, incoming: IncomingRequest, more: Sequence[tuple[str, str]] = ()) -> None:
        """Answer a plain HTTP request; ``more`` are headers of the answer.

        Raises OSError when the stream breaks. Cancelled: the answer may be cut.
        """
        request = incoming.request
        if request.method not in ("GET", "HEAD"):
            return await incoming.answer(405, [("allow", "GET, HEAD")], b"")
        path = _path(request.target)
        if path is None:
            found: File | None = None
        elif self._root is None:
            if path == "/":
                return await incoming.answer(200, _headers(_HTML, more), _link(incoming))
            found = None
        else:
            found = await self._rt.run_in_thread(_find, self._root, path)
        if found is None:
            return await incoming.answer(404, [("content-type", "text/plain")], b"not here\n")
        headers = _headers(found.kind, more)
        if request.method == "HEAD":
            await incoming.send(200, headers, found.size)
        else:
            async with self.turns.turn() as turn:
                if turn is None:
                    retry = [("content-type", "text/plain"), ("retry-after", "10")]
                    return await incoming.answer(503, retry, b"too many pages are being read\n")
                await self._send(incoming, headers, found, turn)
            if turn.gave_way:
                return
        await incoming.part()

    async def _send(
        self, incoming: IncomingRequest, headers: Sequence[tuple[str, str]], found: File, turn: Turn
    ) -> None:
        opened: list[BinaryIO] = []  # filled by a thread, whatever becomes of this task

        async def read() -> bytes:
            data: bytes = await self._rt.run_in_thread(_read, found.path, opened)
            turn.taken += len(data)
            return data

        try:
            await incoming.send(200, headers, found.size, read)
        finally:
            for file in opened:
                file.close()


def _headers(kind: str, more: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        ("content-type", kind),
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),  # of what is shown without an Origin
        *more,
    ]


class File(NamedTuple):
    """What is known of a file that has not been read. ``size`` is in bytes."""

    path: Path
    size: int
    kind: str


def _find(root: Path, path: str) -> File | None:
    """None if there is none. In a thread."""
    try:
        file = (root / path.lstrip("/")).resolve()
        if file.is_dir():
            file = (file / "index.html").resolve()
        if not (file.is_relative_to(root) and file.is_file()):
            return None
        size = file.stat().st_size
    except (OSError, ValueError):  # not there, a name that cannot be
        return None
    kind = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0]
    return File(file, size, kind or "application/octet-stream")


def _read(path: Path, opened: list[BinaryIO]) -> bytes:
    """The next slice. Raises OSError. In a thread."""
    if not opened:
        opened.append(path.open("rb", buffering=0))
    return opened[0].read(_SLICE)


def _path(target: str) -> str | None:
    """Of a request's target; None if it is none."""
    try:
        return unquote(urlsplit(target).path)
    except ValueError:  # "//[": no host
        return None


def _link(incoming: IncomingRequest) -> bytes:
    host = incoming.request.header("host") or "localhost"
    uri = f"{'wss' if incoming.secure else 'ws'}://{host}"
    link = f"https://vuer.ai?ws={quote(uri, safe=':/')}"
    return _LINK.format(link=html.escape(link), uri=html.escape(uri)).encode()
