"""Content types by file name, including those of robotics."""

from __future__ import annotations

import mimetypes
from os import PathLike, fspath
from pathlib import PurePosixPath

__all__ = ["MIME_TYPES", "MimeTypes", "guess_content_type"]

_BYTES = "application/octet-stream"


class MimeTypes(dict[str, str]):
    """Suffix, in lower case and with its dot, to content type.

    ``MIME_TYPES[".mcap"] = "application/x-mcap"`` applies to all servers of the process.
    """

    def guess(self, filename: str | PathLike[str]) -> str:
        """By the last suffix; ``application/octet-stream`` if neither this table nor the system's
        has it.
        """
        name = fspath(filename)
        known = self.get(PurePosixPath(name).suffix.lower())
        if known is not None:
            return known
        kind, encoding = mimetypes.guess_type(name)
        # "robot.urdf.gz" is gzip: its encoding is not one of the transfer.
        return _BYTES if kind is None or encoding is not None else kind


#: Of robots and scenes, and what a machine's own table may lack, or have wrong. Registered types
#: where there are any (https://www.iana.org/assignments/media-types).
MIME_TYPES: MimeTypes = MimeTypes(
    {
        # robots
        ".urdf": "application/xml",
        ".xacro": "application/xml",
        ".srdf": "application/xml",
        ".sdf": "application/xml",
        ".mjcf": "application/xml",
        ".xml": "application/xml",
        # meshes and materials
        ".stl": "model/stl",
        ".obj": "model/obj",
        ".mtl": "model/mtl",
        ".dae": "model/vnd.collada+xml",
        ".glb": "model/gltf-binary",
        ".gltf": "model/gltf+json",
        ".usda": "model/vnd.usda",
        ".usdz": "model/vnd.usdz+zip",
        ".3mf": "model/3mf",
        ".step": "model/step",
        ".stp": "model/step",
        ".fbx": _BYTES,
        ".drc": _BYTES,
        ".bin": _BYTES,
        # points and splats
        ".ply": "application/x-ply",
        ".pcd": "application/x-pcd",
        ".splat": _BYTES,
        ".ksplat": _BYTES,
        ".spz": _BYTES,
        # textures and environments
        ".hdr": "image/vnd.radiance",
        ".exr": "image/aces",
        ".ktx": "image/ktx",
        ".ktx2": "image/ktx2",
        ".webp": "image/webp",
        ".avif": "image/avif",
        ".svg": "image/svg+xml",
        # data
        ".json": "application/json",
        ".yaml": "application/x-yaml",
        ".yml": "application/x-yaml",
        ".toml": "application/toml",
        ".csv": "text/csv",
        ".md": "text/markdown",
        ".npy": _BYTES,
        ".npz": "application/zip",
        ".mcap": _BYTES,
        # of a page
        ".html": "text/html",
        ".css": "text/css",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".woff2": "font/woff2",
        ".mp4": "video/mp4",
        ".webm": "video/webm",
    }
)


def guess_content_type(filename: str | PathLike[str]) -> str:
    """``MIME_TYPES.guess(filename)``."""
    return MIME_TYPES.guess(filename)
