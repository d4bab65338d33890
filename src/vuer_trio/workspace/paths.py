"""Which paths may name a file: a peer's path is checked part by part, before any folder is read.

A name is checked as its most careless reader would understand it: ``%2e%2e``, a backslash, a NUL
and what another file system considers a device never name a file that is served.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

__all__ = ["decoded_parts", "is_hidden", "is_plain", "plain_parts", "sanitize_path"]

#: parts of a path, and bytes of a part (NAME_MAX) and of all
_DEPTH, _LONGEST_PART, _LONGEST = 128, 255, 4096
#: of what nobody means to show: private keys and their stores
_KEYS = re.compile(
    r".*\.(?:pem|key|p12|pfx|p8|ppk|jks|keystore|kdbx)|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?",
    re.IGNORECASE,
)
#: names that Windows reads as another file, as a stream of one, or as a device
_WINDOWS = re.compile(
    r".*[:<>\"|?*].*|.*[. ]|(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\..*)?",
    re.IGNORECASE | re.DOTALL,
)


def is_plain(name: str, *, windows: bool = os.name == "nt") -> bool:
    """Whether it can be the name of one file in one folder, and nothing else."""
    if name in ("", ".", "..") or any(c in "/\\\x7f" or c < " " for c in name):
        return False
    try:
        if len(name.encode()) > _LONGEST_PART:
            return False
    except UnicodeEncodeError:  # half a surrogate
        return False
    return not (windows and _WINDOWS.fullmatch(name))


def is_hidden(name: str) -> bool:
    """Whether a file of that name, or any file in such a folder, is never served: dot files, and
    keys.
    """
    return name.startswith(".") or _KEYS.fullmatch(name) is not None


def plain_parts(names: Sequence[str]) -> tuple[str, ...] | None:
    """The names of a path, without empty ones; None if no file that is served has such a path."""
    parts = tuple(name for name in names if name)
    if not parts or len(parts) > _DEPTH or sum(map(len, parts)) > _LONGEST:
        return None
    return parts if all(is_plain(part) and not is_hidden(part) for part in parts) else None


def decoded_parts(path: str) -> tuple[str, ...] | None:
    """The names in the path of a URI, decoded once, part by part: an encoded slash is in a name,
    and so in none. Empty parts are left out. None if a part is not UTF-8, or not plain."""
    parts = []
    for part in path.split("/"):
        if part:
            try:
                name = unquote_to_bytes(part).decode()
            except UnicodeDecodeError:
                return None
            if not is_plain(name):
                return None
            parts.append(name)
    return tuple(parts)


def sanitize_path(filename: str) -> str:
    """A relative path without ``..``, ``.`` and what makes it absolute; "" if nothing is left.

    For a program's own names. A browser's request with such a path is refused, not corrected.
    """
    parts = re.split(r"[/\\]" if os.name == "nt" else "/", filename)
    return os.sep.join(part for part in parts if part not in ("", ".", ".."))
