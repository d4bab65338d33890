"""Data in memory, with its content type."""

from __future__ import annotations

import json as _json
from dataclasses import dataclass
from typing import Any

__all__ = ["Blob"]


@dataclass(init=False)
class Blob:
    """What a link or `Workspace.resolve` returns: exactly one of bytes, text and JSON.

    ``content_type`` None stands for ``application/octet-stream``, ``text/plain`` or
    ``application/json``, accordingly. Raises ValueError for none of the three, and for several.
    """

    data: bytes | None
    text: str | None
    json: dict[str, Any] | list[Any] | None
    content_type: str

    def __init__(
        self,
        data: bytes | None = None,
        text: str | None = None,
        json: dict[str, Any] | list[Any] | None = None,
        content_type: str | None = None,
    ) -> None:
        given = {"data": data, "text": text, "json": json}
        names = [name for name, value in given.items() if value is not None]
        if len(names) != 1:
            got = " and ".join(names) or "none"
            raise ValueError(f"a Blob must be given one of data, text and json, got {got}")
        kinds = {"data": "application/octet-stream", "text": "text/plain"}
        self.data, self.text, self.json = data, text, json
        self.content_type = content_type or kinds.get(names[0], "application/json")

    def as_bytes(self) -> bytes:
        """The content; text as UTF-8. Raises TypeError for a value that is not JSON."""
        if self.data is not None:
            return bytes(self.data)
        text = _json.dumps(self.json) if self.text is None else self.text
        return text.encode()
