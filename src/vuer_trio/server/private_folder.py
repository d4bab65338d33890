"""The folder in which keys are kept, which nobody else can read at any moment."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

__all__ = ["PrivateFolder", "data_folder"]

#: environment: the folder, instead of the platform's
_VARIABLE = "VUER_TRIO_DATA"
_NAME = "vuer-trio"
#: bits of a mode: what others may do with a folder or a key
_WRITE, _ANYTHING = 0o022, 0o077
_HAS_MODES = sys.platform != "win32"  # there, a user's folder is the user's alone
_FOLDER, _KEY, _PUBLIC = 0o700, 0o600, 0o644


def data_folder() -> Path:
    """Where this package keeps data that outlives a program: ``VUER_TRIO_DATA``, or the usual
    folder of the platform. It need not exist.
    """
    if chosen := os.environ.get(_VARIABLE):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        if not os.path.isabs(base):  # such a value is to be ignored, says the standard
            base = "~/.local/share"
    return Path(base).expanduser() / _NAME


class _Unsafe(PermissionError):
    """It says all there is to say."""


class PrivateFolder:
    """A folder of this user, with mode 0700. Files are written whole, or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str, *, key: bool = False) -> bytes | None:
        """The content of a file; None if there is none. With ``key`` nobody else may have access.

        Raises OSError that says what is wrong, and what to do.
        """
        path = self.path / name
        try:
            with open(path, "rb") as file:
                if key and _HAS_MODES:
                    self._check_key(path, os.fstat(file.fileno()))
                return file.read()
        except FileNotFoundError:
            return None
        except _Unsafe:
            raise
        except OSError as exc:
            raise self._refusal(exc, "read") from exc

    def write(self, name: str, content: bytes, *, key: bool = False, first: bool = False) -> bool:
        """Write a file, in place of one that is there; with ``first`` only if there is none.

        Returns whether it was written. Raises OSError as `read`.
        """
        with self.temporary(content, key=key) as path:
            return self.keep(path, name, first=first)

    @contextmanager
    def temporary(self, content: bytes, *, key: bool = False) -> Iterator[Path]:
        """A new file, for the time of the block unless it is kept. Raises OSError as `read`."""
        path = self.path / f".{token_hex(8)}.new"
        try:
            self._make()
            # The mode goes with the creation: there is no moment at which others could open it.
            how = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(path, how, _KEY if key else _PUBLIC), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            if isinstance(exc, _Unsafe):
                raise
            raise self._refusal(exc, "written") from exc
        try:
            yield path
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def keep(self, temporary: Path, name: str, *, first: bool = False) -> bool:
        """Give a temporary file its name, in one step. As `write`."""
        path = self.path / name
        try:
            if not first:
                os.replace(temporary, path)
                return True
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            except OSError:  # a file system without links
                if path.exists():
                    return False
                os.replace(temporary, path)
            return True
        except OSError as exc:
            raise self._refusal(exc, "written") from exc

    def remove(self, name: str) -> None:
        """Remove a file, if it is there. Raises OSError as `read`."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as exc:
            raise self._refusal(exc, "written") from exc

    def _make(self) -> None:
        """Make the folder if there is none, and look whose it is."""
        self.path.mkdir(_FOLDER, parents=True, exist_ok=True)
        if not _HAS_MODES:
            return
        found = self.path.stat()
        if found.st_uid != os.geteuid():
            raise _Unsafe(
                errno.EPERM,
                f"the folder {self.path} belongs to another user (uid {found.st_uid}), who could "
                f"read keys in it; {_elsewhere()}",
            )
        if found.st_mode & _WRITE:
            raise _Unsafe(
                errno.EPERM,
                f"others may write to the folder {self.path} (mode {_mode(found)}), and so replace "
                f"keys in it; use `chmod 700 {self.path}`",
            )

    def _check_key(self, path: Path, found: os.stat_result) -> None:
        if found.st_uid != os.geteuid():
            raise _Unsafe(
                errno.EPERM,
                f"the key in {path} belongs to another user (uid {found.st_uid}); {_elsewhere()}",
            )
        if found.st_mode & _ANYTHING:
            raise _Unsafe(
                errno.EPERM,
                f"others may read the key in {path} (mode {_mode(found)}); if nobody has copied "
                f"it, use `chmod 600 {path}`, else `vuer-trio cert renew --authority`",
            )

    def _refusal(self, exc: OSError, what: str) -> OSError:
        """An error that names the folder, and the cure."""
        return type(exc)(
            exc.errno,
            f"the keys of tls='auto' are kept in {self.path}, which cannot be {what}: "
            f"{exc.strerror}; {_elsewhere()}",
        )


def _elsewhere() -> str:
    return f"set {_VARIABLE} to a folder of your own, or use cert= and key="


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):04o}"
