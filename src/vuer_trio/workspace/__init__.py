"""The files that a server provides: folders laid over each other, and links to anything else.

::

    app = Vuer(workspace=["./assets", "/srv/robots"])  # the first folder that has a file wins
    app.workspace.mount("./uploads", to="/uploads")
    app.workspace.link(lambda: jpg(camera.frame), "/live/frame.jpg")

A file of the overlay is at ``/workspace/<path>``, and at ``/static/<path>``; a link beside them; a
mount at its own address.
"""

from __future__ import annotations

from .blob import Blob
from .encoders import b64jpg, b64png, decode_b64png, jpg, png
from .link import Link, LinkReply, LinkRequest
from .mime_types import MIME_TYPES, MimeTypes, guess_content_type
from .mount import Mount
from .paths import sanitize_path
from .workspace import ResolveResult, Workspace, WorkspaceConfig, workspace_from_config

__all__ = [
    "MIME_TYPES",
    "Blob",
    "Link",
    "LinkReply",
    "LinkRequest",
    "MimeTypes",
    "Mount",
    "ResolveResult",
    "Workspace",
    "WorkspaceConfig",
    "b64jpg",
    "b64png",
    "decode_b64png",
    "guess_content_type",
    "jpg",
    "png",
    "sanitize_path",
    "workspace_from_config",
]
