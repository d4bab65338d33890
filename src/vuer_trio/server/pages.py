"""What is at the addresses of a server: the web client, the workspace, and what is linked to it."""

from __future__ import annotations

import html
import logging
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from io import FileIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from .._failures import has_failed, log_failure, pass_on
from .._hosting.origins import is_from_here
from .._hosting.turns import Turns
from .._net.http_request import BadRequest
from .._runtime import Runtime
from ..workspace import (
    Blob,
    Link,
    LinkReply,
    LinkRequest,
    ResolveResult,
    Workspace,
    guess_content_type,
)
from ..workspace.folder import Folder, open_explicitly
from ..workspace.paths import decoded_parts, plain_parts
from .content import Content, DiskContent, MemoryContent
from .cross_origin import allow, preflight
from .files import REVALIDATE, Files, text_reply
from .offline_files import OfflineFiles

if TYPE_CHECKING:
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["Pages"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

Fields = Sequence[tuple[str, str]]

_HTML = "text/html; charset=utf-8"
_INDEX = "index.html"
#: where the files of the workspace are; the second one is that of older programs
_WORKSPACE = ("workspace", "static")
_METHODS = ("GET", "HEAD", "OPTIONS")
#: of a file whose name changes with its content: a year, and never asked for again
_IMMUTABLE = "public, max-age=31536000, immutable"
#: the end of a name that a bundler has made of the content: eight characters of base64
_HASHED = re.compile(
    r".*[.-](?=.{0,7}[A-Z])(?=.{0,7}[a-z0-9])(?=.{0,7}[0-9_-]|.{1,7}[A-Z])[\w-]{8}\.[a-z0-9]+",
    re.ASCII,
)
#: bytes of the body of a request to a link
_BODY = 1 << 24
#: bytes whose hash takes longer than a turn of the loop should
_LARGE = 1 << 20
_LINK = """<!doctype html>
<meta charset="utf-8">
<title>Vuer</title>
<p>A Vuer server is running here. <a href="{link}">Open its scene</a>, or connect a client to
<code>{uri}</code>.</p>
"""


class Pages:
    """``root`` is the folder of a web client; without one, a short page links to it. ``offline``:
    its files are sent without what they would load from other hosts by themselves.

    ``guarded``: the folders of the workspace were not chosen by the program, so they are for this
    machine only; what is mounted and linked is for everybody.
    """

    def __init__(
        self,
        rt: Runtime,
        root: str | PathLike[str] | None,
        workspace: Workspace | None = None,
        *,
        guarded: bool = False,
        offline: bool = False,
        max_body: int = _BODY,
    ) -> None:
        self._rt = rt
        self._root = None if root is None else Folder(root)
        self._offline = OfflineFiles() if offline else None
        self._workspace = workspace
        self._guarded = guarded
        self._max_body = max_body
        self._has_warned = False
        #: whether it can be reached from other machines
        self.exposed: bool = False
        self.files: Files = Files(rt)

    def __str__(self) -> str:
        """What of the workspace is served, for people."""
        if self._workspace is None:
            return "no files are served"
        folders = ", ".join(self._workspace.absolute_paths)
        if not self._guarded:
            return f"/workspace has the files of {folders}"
        if self.exposed:
            return f"the files of {folders} are not served; to serve them, use workspace='.'"
        return f"/workspace has the files of {folders}, for this machine only"

    @property
    def turns(self) -> Turns:
        """Of the files that are being sent."""
        return self.files.turns

    async def answer(self, incoming: IncomingRequest, more: Fields = ()) -> None:
        """Answer a plain HTTP request; ``more`` are headers of the answer: those of `Origins`.

        Raises OSError when the stream breaks. Cancelled: the answer may be cut.
        """
        request = incoming.request
        path = _path(request.target)
        names = None if path is None else decoded_parts(path)
        link = self._link(names or ())
        methods = _METHODS if link is None else _methods_of(link)
        if request.method == "OPTIONS":
            await incoming.answer(204, preflight(request, more, methods))
        elif request.method not in methods:
            await incoming.answer(405, [("allow", ", ".join(methods)), *more], b"")
        elif link is not None:
            await self._answer_link(incoming, names or (), allow(more))
        elif not await self._answer_file(incoming, names, allow(more)):
            await text_reply(incoming, 404, "not here\n", allow(more))

    def shows_data(self, target: str) -> bool:
        """Whether the target is data of the program: its workspace, what is mounted and linked.
        Everything else is the web client.
        """
        path = _path(target)
        names = (None if path is None else decoded_parts(path)) or ()
        if self._workspace is None:
            return False
        if len(names) > 1 and names[0] in _WORKSPACE:
            return True
        prefixes = [mount.prefix for mount in self._workspace.mounts]
        return any(
            len(names) > len(prefix) and tuple(names[: len(prefix)]) == prefix
            for prefix in prefixes
        )

    # ---- links

    def _link(self, names: Sequence[str]) -> Link | None:
        if self._workspace is None or len(names) < 2 or names[0] not in _WORKSPACE:
            return None
        return self._workspace.link_at("/".join(names[1:]))

    async def _answer_link(
        self, incoming: IncomingRequest, names: Sequence[str], fields: Fields
    ) -> None:
        assert self._workspace is not None
        request = incoming.request
        where = "/".join(names[1:])
        asked = LinkRequest(
            request.method,
            "/" + "/".join(names),
            where,
            _query(request.target),
            dict(request.headers),
            incoming.host,
            partial(self._read_body, incoming),
        )
        try:
            reply = await self._workspace.handle_link(where, asked)
        except BadRequest as exc:
            return await text_reply(incoming, exc.status, f"{exc}\n", fields)
        if reply is None or not await self._answer_reply(incoming, reply, fields):
            await text_reply(incoming, 404, "not here\n", fields)

    async def _answer_reply(
        self, incoming: IncomingRequest, reply: LinkReply, fields: Fields
    ) -> bool:
        body, kind = reply.body, reply.content_type
        if isinstance(body, Path):
            return await self.files.answer(
                incoming, DiskContent(partial(open_explicitly, body), kind), fields
            )
        if not isinstance(body, bytes):
            await self.files.stream(incoming, body, kind, fields)
        elif reply.status == 200 and incoming.request.method in _METHODS:
            if len(body) < _LARGE:
                content = MemoryContent(body, kind)
            else:
                content = await self._rt.run_in_thread(MemoryContent, body, kind)
            await self.files.answer(incoming, content, fields)
        else:
            await incoming.answer(reply.status, [("content-type", kind), *fields], body)
        return True

    # ---- files

    async def _answer_file(
        self, incoming: IncomingRequest, names: Sequence[str] | None, fields: Fields
    ) -> bool:
        if names is None:
            return False
        for content, cache in self._mounted(names):
            if await self.files.answer(incoming, content, fields, cache):
                return True
        if await self._answer_overlay(incoming, names, fields):
            return True
        if self._root is None:
            if names:
                return False
            page = MemoryContent(_link(incoming), _HTML)
            return await self.files.answer(incoming, page, fields)
        if self._offline is not None and self._offline.has(names):
            content = self._offline.content(partial(self._root.open, names), names[-1])
            return await self.files.answer(incoming, content, fields, REVALIDATE)
        for content, cache in _of_the_page(self._root, names):
            if await self.files.answer(incoming, content, fields, cache):
                return True
        return False

    def _mounted(self, names: Sequence[str]) -> Iterator[tuple[Content, str]]:
        """The most particular mount first."""
        mounts = [] if self._workspace is None else self._workspace.mounts
        for mount in sorted(mounts, key=lambda mount: -len(mount.prefix)):
            size = len(mount.prefix)
            if len(names) > size and tuple(names[:size]) == mount.prefix:
                yield _in(Folder(mount.root), names[size:]), REVALIDATE

    async def _answer_overlay(
        self, incoming: IncomingRequest, names: Sequence[str], fields: Fields
    ) -> bool:
        workspace = self._workspace
        if workspace is None or len(names) < 2 or names[0] not in _WORKSPACE:
            return False
        names = names[1:]
        if plain_parts(names) is None or not self._may_see(incoming, workspace):
            return False
        own = type(workspace)
        if own.resolve is Workspace.resolve and own.exists is Workspace.exists:
            find = partial(_first, workspace, names)
            return await self.files.answer(
                incoming, DiskContent(find, guess_content_type(names[-1])), fields
            )
        reply = await self._resolve(workspace, names)
        if isinstance(reply, DiskContent):
            return await self.files.answer(incoming, reply, fields)
        return reply is not None and await self._answer_reply(incoming, reply, fields)

    async def _resolve(
        self, workspace: Workspace, names: Sequence[str]
    ) -> LinkReply | DiskContent | None:
        """What a workspace of the program's own has."""
        task, name = self._rt.current_task(), "/".join(names)
        found: ResolveResult
        try:
            found = await workspace.resolve(name)
        except BaseException as exc:
            if has_failed(exc, self._rt, task):
                log_failure(log, exc, "resolve(%r) of the workspace raised", name)
            pass_on(exc, self._rt, task)
            return LinkReply(500, b"the workspace failed\n", "text/plain")
        kind = guess_content_type(names[-1])
        if found is None:
            return None
        if isinstance(found, Path):
            return DiskContent(partial(_resolved, workspace, found), kind)
        if isinstance(found, Blob):
            return LinkReply(200, found.as_bytes(), found.content_type)
        if isinstance(found, AsyncIterator):
            return LinkReply(200, found, kind)
        return LinkReply(200, bytes(found), kind)

    def _may_see(self, incoming: IncomingRequest, workspace: Workspace) -> bool:
        """Whether the folders are served to this request. ``Host`` alone does not say where it
        comes from: whoever reaches a proxy on this machine may write it."""
        if not self._guarded:
            return True
        request, peer = incoming.request, incoming.host
        if not self.exposed and is_from_here(request, peer, proxies=True):
            return True
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "a file of the workspace was asked for, but nobody has said which folder is to be "
                "served to other machines; to serve %s, use workspace='.'",
                ", ".join(workspace.absolute_paths),
            )
        return False

    async def _read_body(self, incoming: IncomingRequest) -> bytes:
        try:
            return await incoming.read_body(self._max_body)
        except OSError as exc:  # no failure of the function that asks
            raise BadRequest(400, "the body did not come") from exc


def _in(folder: Folder, names: Sequence[str], kind: str | None = None) -> Content:
    return DiskContent(partial(folder.open, names), kind or guess_content_type(names[-1]))


def _first(workspace: Workspace, names: Sequence[str]) -> FileIO | None:
    """In a thread."""
    for root in workspace.paths:
        file = Folder(root).open(names)
        if file is not None:
            return file
    return None


def _resolved(workspace: Workspace, path: Path) -> FileIO | None:
    """What is below a folder of the overlay is judged; anything else was named by the program. In
    a thread."""
    for root in workspace.paths:
        below = os.path.relpath(path, root).split(os.sep)
        if below[0] != os.pardir and not os.path.isabs(below[0]):
            return Folder(root).open(below)
    return open_explicitly(path)


def _of_the_page(root: Folder, names: Sequence[str]) -> Iterator[tuple[Content, str]]:
    if names:
        fixed = names[0] == "assets" and _HASHED.fullmatch(names[-1]) is not None
        yield _in(root, names), _IMMUTABLE if fixed else REVALIDATE
    yield _in(root, [*names, _INDEX]), REVALIDATE


def _methods_of(link: Link) -> tuple[str, ...]:
    return _METHODS if link.method in ("GET", "HEAD") else (link.method, "OPTIONS")


def _path(target: str) -> str | None:
    """Of a request's target (RFC 9112 §3.2), as it was sent; None if it is none."""
    if target.startswith("/"):
        return re.split(r"[?#]", target, maxsplit=1)[0]
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return (parts.path or "/") if parts.scheme in ("http", "https") and parts.netloc else None


def _query(target: str) -> str:
    return target.partition("?")[2].partition("#")[0]


def _link(incoming: IncomingRequest) -> bytes:
    host = incoming.request.header("host") or "localhost"
    uri = f"{'wss' if incoming.secure else 'ws'}://{host}"
    link = f"https://vuer.ai?ws={quote(uri, safe=':/')}"
    return _LINK.format(link=html.escape(link), uri=html.escape(uri)).encode()
