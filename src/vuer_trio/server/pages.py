"""What a browser sees at the server's address: the web client, or a link to it."""

from __future__ import annotations

import html
import mimetypes
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from .._runtime import Runtime

if TYPE_CHECKING:
    from .._transport.knock import Knock

__all__ = ["Pages"]

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
_LINK = """<!doctype html>
<meta charset="utf-8">
<title>Vuer</title>
<p>A Vuer server is running here. <a href="{link}">Open its scene</a>, or connect a client to
<code>{uri}</code>.</p>
"""


class Pages:
    """The files of one folder, and nothing outside it; without a folder, one short page."""

    def __init__(self, rt: Runtime, root: str | PathLike[str] | None) -> None:
        self._rt = rt
        self._root = None if root is None else Path(root).resolve()
        # What is being sent, and to how many: slow readers of a large file share its bytes.
        self._sending: dict[object, tuple[bytes, int]] = {}

    async def answer(self, knock: Knock) -> None:
        """Answer a plain HTTP request. Raises OSError when the stream breaks."""
        request = knock.request
        if request.method not in ("GET", "HEAD"):
            return await knock.answer(405, [("allow", "GET, HEAD")], b"")
        path = _path(request.target)
        if path is None:
            found = None
        elif self._root is None:
            found = _link(knock) if path == "/" else None
        else:
            found = await self._rt.run_in_thread(self._file, self._root, path)
        if found is None:
            return await knock.answer(404, [("content-type", "text/plain")], b"not here\n")
        kind, body, identity = found
        headers = [
            ("content-type", kind),
            ("cache-control", "no-cache"),
            ("x-content-type-options", "nosniff"),
        ]
        del found  # with what it holds of a file whose bytes are there already
        body, readers = self._sending.get(identity, (body, 0))
        self._sending[identity] = body, readers + 1
        try:
            await knock.answer(200, headers, body)
        finally:
            body, readers = self._sending.pop(identity)
            if readers > 1:
                self._sending[identity] = body, readers - 1

    def _file(self, root: Path, path: str) -> tuple[str, bytes, object] | None:
        """Type and content of a file, and what tells it from others; None if there is none."""
        try:
            file = (root / path.lstrip("/")).resolve()
            if file.is_dir():
                file = (file / "index.html").resolve()
            if not (file.is_relative_to(root) and file.is_file()):
                return None
            changed_at = file.stat().st_mtime_ns
            body = file.read_bytes()
        except (OSError, ValueError):  # not there, a name that can not be
            return None
        kind = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0]
        return kind or "application/octet-stream", body, (file, changed_at, len(body))


def _path(target: str) -> str | None:
    """Of a request's target; None if it is none."""
    try:
        return unquote(urlsplit(target).path)
    except ValueError:  # "//[": no host
        return None


def _link(knock: Knock) -> tuple[str, bytes, object]:
    host = knock.request.header("host") or "localhost"
    uri = f"{'wss' if knock.secure else 'ws'}://{host}"
    link = f"https://vuer.ai?ws={quote(uri, safe=':/')}"
    page = _LINK.format(link=html.escape(link), uri=html.escape(uri))
    return "text/html; charset=utf-8", page.encode(), page
