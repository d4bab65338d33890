"""What a function must be like to be called for an event or a session, asked when it is registered.

Only what is certain to fail is refused. What has no signature (some builtins), or states one that
need not be that of its code (``__signature__``), is judged when it is called. Of a decorated
function the wrapper counts.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType
from typing import Any

__all__ = ["check_is_async", "check_is_generator", "check_takes"]

_ASYNC = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR
_CONSTANTS = ("LOAD_CONST", "LOAD_SMALL_INT", "LOAD_COMMON_CONSTANT")

#: annotations may name what is only there for type checkers
_FORMAT: dict[str, Any] = {}
if sys.version_info >= (3, 14):
    from annotationlib import Format

    _FORMAT["annotation_format"] = Format.FORWARDREF


def check_takes(where: str, fn: Callable[..., object], takes: Sequence[str]) -> None:
    """Raises TypeError if ``fn`` cannot be called with as many positional arguments as ``takes``.

    ``where`` and the names in ``takes`` are for the message.
    """
    try:
        if hasattr(fn, "__signature__"):
            return
        signature = inspect.signature(fn, follow_wrapped=False, **_FORMAT)
    except Exception:  # it has none, or its attributes raise
        return
    try:
        signature.bind(*takes)
    except TypeError:
        bare = [
            parameter.replace(annotation=inspect.Parameter.empty)
            for parameter in signature.parameters.values()
        ]
        got = signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)
        raise TypeError(f"{where}: {_name(fn)} must take ({', '.join(takes)}), got {got}") from None


def check_is_async(where: str, fn: Callable[..., object]) -> None:
    """Raises TypeError if a call of ``fn`` certainly gives nothing to await."""
    if _is_sync(fn):
        raise TypeError(f"{where}: {_name(fn)} must be an async function, `async def`")


def check_is_generator(where: str, fn: Callable[..., object]) -> None:
    """Raises TypeError if a call of ``fn`` certainly gives no generator, async or not."""
    function = _function(fn)
    flags = 0 if function is None else function.__code__.co_flags
    if flags & inspect.CO_COROUTINE or (_is_sync(fn) and not flags & inspect.CO_GENERATOR):
        raise TypeError(
            f"{where}: {_name(fn)} must be an async generator function, `async def` with `yield`"
        )


def _is_sync(fn: object) -> bool:
    """Whether a call of ``fn`` certainly gives nothing to await and nothing to iterate with await.

    That is so for a plain generator, and for a function that returns constants, None most often.
    One that returns anything else may return what an async function gave it.
    """
    function = _function(fn)
    if function is None or function.__code__.co_flags & _ASYNC:
        return False
    if function.__code__.co_flags & inspect.CO_GENERATOR:
        return True
    last = ""
    for instruction in dis.get_instructions(function):
        name = instruction.opname
        # a jump may come from where another value was put on the stack
        constant = last in _CONSTANTS and not instruction.is_jump_target
        if name.startswith("RETURN_") and name != "RETURN_CONST" and not constant:
            return False
        last = name
    return True


def _function(fn: object) -> FunctionType | None:
    """The function of which ``fn`` is a method, a partial or an instance that can be called."""
    if not isinstance(fn, FunctionType | partial) and not inspect.ismethod(fn):
        fn = getattr(type(fn), "__call__", None)  # noqa: B004 - this one is called
    while isinstance(fn, partial) or inspect.ismethod(fn):
        fn = fn.func if isinstance(fn, partial) else fn.__func__
    return fn if isinstance(fn, FunctionType) else None


def _name(fn: object) -> str:
    """Of a function, for errors where it is registered: as the line at hand calls it."""
    while isinstance(fn, partial):
        fn = fn.func
    try:
        return getattr(fn, "__name__", None) or repr(fn)
    except Exception:  # of its own
        return f"a {type(fn).__qualname__}"
