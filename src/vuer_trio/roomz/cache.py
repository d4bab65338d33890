"""Sessions on disk: one file, readable by its owner only, with a session per server."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from .http import usable

__all__ = ["SessionCache"]

log: logging.Logger = logging.getLogger("vuer_trio.roomz")


class SessionCache:
    """``{"sessions": {server: cookie}}`` in a file of mode 0600.

    Missing directories are created with mode 0700. Writing replaces the file atomically. Failing to
    write only logs a warning: the next program must log in again.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path).expanduser()

    def load(self, server: str) -> str | None:
        """Return the cookie of a server, if any. A corrupt file is removed."""
        return self._read().get(server)

    def save(self, server: str, cookie: str) -> None:
        """Store the cookie of a server."""
        self._change(server, cookie)

    def remove(self, server: str) -> None:
        """Remove the cookie of a server; the file is removed with the last one."""
        if self.path.exists():
            self._change(server, None)

    def _read(self) -> dict[str, str]:
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        except UnicodeDecodeError:
            text = ""
        except OSError as exc:
            log.warning("the session cache %s cannot be read: %s", self.path, exc)
            return {}
        try:
            sessions = json.loads(text)["sessions"]
            if all(usable(cookie) for cookie in sessions.values()):
                return dict(sessions)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        log.warning("the session cache %s is corrupt and is removed", self.path)
        with suppress(OSError):
            self.path.unlink()
        return {}

    def _change(self, server: str, cookie: str | None) -> None:
        sessions = self._read()
        sessions.pop(server, None)
        if cookie is not None:
            sessions[server] = cookie
        try:
            if sessions:
                self._write(json.dumps({"sessions": sessions}))
            else:
                self.path.unlink(missing_ok=True)
        except OSError as exc:
            log.warning("the session cache %s cannot be written: %s", self.path, exc)

    def _write(self, text: str) -> None:
        folder = self.path.parent
        for missing in reversed([f for f in (folder, *folder.parents) if not f.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{self.path.name}.")  # mode 0600
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
