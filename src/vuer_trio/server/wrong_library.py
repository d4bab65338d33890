"""A program that awaits the library that does not run it, and what to tell it."""

from __future__ import annotations

from contextlib import suppress

from .._runtime import Runtime

__all__ = ["add_hint", "foreign_library"]

_OTHER = {"trio": "asyncio", "asyncio": "trio"}
#: how an error begins that does not come out of the other library's own code
_TELLTALES = {
    "trio": ("trio.run received unrecognized yield message", "no running event loop"),
    "asyncio": ("Task got bad yield: <class 'trio.", "must be called from async context"),
}


def foreign_library(exc: BaseException, rt: Runtime) -> str | None:
    """The library that does not run, if ``exc`` is how it fails for that reason."""
    if isinstance(exc, BaseExceptionGroup):
        return next(filter(None, (foreign_library(inner, rt) for inner in exc.exceptions)), None)
    if not isinstance(exc, RuntimeError | TypeError | AttributeError):
        return None
    other = _OTHER[rt.name]
    with suppress(Exception):  # its text may be code of the user's
        if str(exc).startswith(_TELLTALES[rt.name]):
            return other
    frame = exc.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    name = "" if frame is None else frame.tb_frame.f_globals.get("__name__", "")
    return other if isinstance(name, str) and name.partition(".")[0] == other else None


def add_hint(exc: BaseException, rt: Runtime) -> str | None:
    """Have the traceback of ``exc`` say which ``backend=`` it wants, if that is its fault.

    Returns a short form of that, for the reason of a close.
    """
    other = foreign_library(exc, rt)
    if other is None:
        return None
    exc.add_note(
        f"this awaits {other}, but the server runs under {rt.name}; use backend={other!r}, or "
        "backend='auto', which goes by what the program imports"
    )
    return f"the server's program awaits {other}, but backend={rt.name!r} runs it"
