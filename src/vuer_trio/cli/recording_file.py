"""What the commands about recordings share: opening one, its damages, and work in a thread."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from .json_text import printable
from .output import Output
from .statuses import CommandFailed

if TYPE_CHECKING:
    from ..record import Recording

__all__ = ["damages_told", "in_thread", "opened", "opening", "size_text"]

T = TypeVar("T")

#: seconds that a cancelled command waits until its thread has cleaned up
_PATIENCE = 5.0


class _Stopped(Exception):
    """Ends the work in the thread."""


@contextmanager
def damages_told(out: Output) -> Iterator[list[str]]:
    """Print warnings about damaged recordings on stderr. Yields the list of them."""
    from ..record import DamagedRecording

    told: list[str] = []

    def tell(message: Warning | str, *args: Any, **more: Any) -> None:
        text = printable(str(message))
        if text not in told:  # a recording may be read many times
            told.append(text)
            out.complain(text)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DamagedRecording)
        warnings.showwarning = tell
        yield told


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Whatever opening or reading a recording raises ends the command, with the reason."""
    from ..record import NotARecording

    try:
        yield
    except (NotARecording, ImportError) as exc:
        raise CommandFailed(printable(str(exc))) from exc
    except OSError as exc:
        named = path if exc.filename is None else exc.filename
        raise CommandFailed(printable(f"{named}: {exc.strerror or exc}")) from exc


def opened(path: Path) -> Recording:
    """Open a recording. Raises CommandFailed."""
    from ..record import open_recording

    with opening(path):
        return open_recording(path)


async def in_thread(work: Callable[[Callable[[], None]], T]) -> T:
    """Run ``work(check)`` in a thread; it must call ``check`` often, and clean up what it raises.

    Cancelled: ``check`` raises, and the thread has a few seconds to end.
    """
    stop, ended = threading.Event(), threading.Event()

    def check() -> None:
        if stop.is_set():
            raise _Stopped

    def run() -> T:
        try:
            return work(check)
        finally:
            ended.set()

    try:
        return await trio.to_thread.run_sync(run, abandon_on_cancel=True)
    finally:
        if not ended.is_set():
            stop.set()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _PATIENCE):
                await trio.to_thread.run_sync(ended.wait, _PATIENCE, abandon_on_cancel=True)


def size_text(size: float) -> str:
    """A number of bytes, with a unit."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("KB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:,.1f} TB"
