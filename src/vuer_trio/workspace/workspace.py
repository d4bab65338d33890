"""Where files are looked for: folders laid over each other, mounts and links."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from .._formatting import must_be
from .._runtime import runtime
from .blob import Blob
from .folder import Folder
from .link import Link, LinkReply
from .mime_types import MIME_TYPES, MimeTypes, guess_content_type
from .mount import Mount
from .paths import sanitize_path

__all__ = [
    "ResolveResult",
    "Workspace",
    "WorkspaceConfig",
    "guess_content_type",
    "workspace_from_config",
]

#: what `Workspace.resolve` finds: a file, data whose type is that of the name, data with its type,
#: data that is yet to come, or nothing
ResolveResult: TypeAlias = Path | bytes | Blob | AsyncIterator[bytes] | None


class Workspace:
    """Folders laid over each other: a file is taken from the first one that has it.

    By default, it is the current folder. Files are never served if their name, or that of a folder
    on the way to them, begins with a dot, if they are private keys (by name, ``*.pem``, ``*.key``,
    ``id_rsa``, ..., or by how they begin), or if they are outside, even if a link leads there. What
    `link` and `mount` name explicitly may be anywhere.

    A subclass may override `resolve`, or only `exists`, to provide files from elsewhere. Everything
    may be changed while a server is running.
    """

    #: content types by suffix; the table of all workspaces
    MIME_TYPES: ClassVar[MimeTypes] = MIME_TYPES

    def __init__(self, *overlay: str | PathLike[str]) -> None:
        self._overlay = tuple(Path(path) for path in overlay or (".",))
        self._mounts: list[Mount] = []
        self._links: dict[str, Link] = {}

    def __repr__(self) -> str:
        folders = ", ".join(f'"{path}"' for path in self._overlay)
        return f"Workspace({folders})"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folders, the first one first."""
        return self._overlay

    @property
    def absolute_paths(self) -> list[str]:
        """The same from the root of the file system."""
        return [str(path.absolute()) for path in self._overlay]

    # ---- files

    def find(self, filename: str) -> Path | None:
        """Where a file of the overlay is; None for what would not be served. Blocks."""
        parts = _parts(filename)
        for root in self._overlay:
            if parts and Folder(root).find(parts):
                return root.joinpath(*parts)
        return None

    async def exists(self, filepath: Path) -> bool:
        """Whether there is a file. Override it to look elsewhere."""
        found: bool = await runtime().run_in_thread(filepath.is_file)
        return found

    async def resolve(self, filename: str) -> ResolveResult:
        """What is to be sent for a name, by the folders of the overlay; None if there is nothing.

        Override it to provide files from elsewhere. If it returns a path in the overlay, the usual
        rules apply to that file; any other path is sent.
        """
        parts = _parts(filename)
        for root in self._overlay:
            if parts and await self.exists(path := root.joinpath(*parts)):
                return path
        return None

    # ---- mounts and links

    @property
    def mounts(self) -> Sequence[Mount]:
        """What was mounted."""
        return tuple(self._mounts)

    @property
    def links(self) -> Mapping[str, Mapping[str, Any]]:
        """What is linked, by path: its type ("file", "bytes" or "callable"), its target, method,
        content type, and whether it takes the request."""
        return {path: _description(link) for path, link in self._links.items()}

    def mount(self, path: str | PathLike[str], *, to: str) -> None:
        """Give out the files of a folder at ``<to>/<file>``: ``mount("./uploads", to="/uploads")``.

        Raises ValueError for a ``to`` that is the whole server.
        """
        place = "/" + to.strip("/")
        if place == "/":
            raise ValueError(must_be("to", "a path below /", to, "use '/files'"))
        self._mounts.append(Mount(place, Path(path)))

    def link(
        self,
        target: Callable[..., Any] | Path | bytes,
        to: str,
        *,
        method: str = "GET",
        content_type: str | None = None,
    ) -> str:
        """Give out something at ``/workspace/<to>``, in place of a file; returns ``to``.

        ``target`` is a file, bytes, or a function, sync or async, that is called for each request,
        with it if it wants one argument (a `LinkRequest`). It returns what is sent: a dict or a
        list as JSON, a path as that file, bytes, a `Blob`, a str, or an async iterator of bytes;
        None is 404. The content type is that of the suffix of ``to``, unless it is given. A ``GET``
        also answers ``HEAD``.

        Raises TypeError for any other target.
        """
        if isinstance(target, bytearray | memoryview):
            target = bytes(target)
        if not (isinstance(target, Path | bytes) or callable(target)):
            raise TypeError(must_be("target", "a function, a Path or bytes", target))
        if isinstance(target, Path):
            target = target.absolute()  # the current folder may be another one later
        kind = content_type or self.MIME_TYPES.guess(to)
        self._links[_place(to)] = Link(target, method.upper(), kind)
        return to

    def unlink(self, path: str) -> bool:
        """Take a link back; whether there was one."""
        return self._links.pop(_place(path), None) is not None

    def link_at(self, path: str) -> Link | None:
        """The link at a path, if there is one."""
        return self._links.get(_place(path))

    async def handle_link(self, path: str, request: Any) -> LinkReply | None:
        """What the link at a path gives; None without one. A function's failure is logged, and
        answered with 500."""
        link = self._links.get(_place(path))
        return None if link is None else await link.answer(request, _place(path))


#: what makes a workspace: itself, one folder, several; None is the current one
WorkspaceConfig: TypeAlias = Workspace | str | PathLike[str] | Iterable[str | PathLike[str]] | None


def workspace_from_config(config: WorkspaceConfig) -> Workspace:
    """The workspace for the value of an option. Raises TypeError for an invalid one."""
    if isinstance(config, Workspace):
        return config
    if config is None:
        return Workspace()
    if isinstance(config, str | PathLike):
        return Workspace(config)
    folders = list(config) if isinstance(config, Iterable) else [config]
    if not all(isinstance(folder, str | PathLike) for folder in folders):
        raise TypeError(
            must_be("workspace", "a folder, a list of folders or a Workspace", config, "use '.'")
        )
    return Workspace(*folders)


def _parts(filename: str) -> tuple[str, ...]:
    return Path(sanitize_path(filename)).parts


def _place(path: str) -> str:
    return "/" + path.strip("/")


def _description(link: Link) -> dict[str, Any]:
    target = link.target
    kind = "file" if isinstance(target, Path) else "bytes" if isinstance(target, bytes) else ""
    return {
        "type": kind or "callable",
        "target": target,
        "method": link.method,
        "content_type": link.content_type,
        "takes_request": link.takes_request,
    }
