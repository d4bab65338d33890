"""Which library a program is written for: what its functions, and the modules they are in, know."""

from __future__ import annotations

import dis
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any, Literal

from .async_libraries import ASYNCIO, TRIO, library_of

__all__ = ["choose_backend"]

#: folders whose modules are nobody's program
_INSTALLED = tuple(
    path for name, path in sysconfig.get_paths().items() if name.endswith(("lib", "stdlib"))
)


class _Use(Enum):
    """What has been seen of a library, the surer first."""

    IN_FUNCTION = "imported by the function itself"
    IN_MODULE = "a name of the function's module"
    IN_PROGRAM = "a name of another module of the program's, from which that one has something"


def choose_backend(functions: Iterable[Callable[..., Any]]) -> Literal["trio", "asyncio"]:
    """The library that these functions of a user's are written for.

    asyncio, if their modules have it, or something of it (``from asyncio import sleep``), or of a
    package that needs it (`library_of`), among their names, and nothing of Trio's. If they have
    neither, what counts are the user's modules from which they have something. Else it is Trio.
    """
    found: dict[_Use, set[str]] = {use: set() for use in _Use}
    modules: list[ModuleType] = []
    for fn in functions:
        for part in _parts(fn):
            if isinstance(part, FunctionType):
                names = set(_imports(part.__code__))
                names |= {
                    _library(item) for item in inspect.getclosurevars(part).nonlocals.values()
                }
                found[_Use.IN_FUNCTION] |= names
                found[_Use.IN_MODULE] |= _libraries(part.__globals__)
            module = sys.modules.get(getattr(part, "__module__", None) or "")
            if module is not None:
                found[_Use.IN_MODULE] |= _libraries(vars(module))
                modules.append(module)
    for module in _neighbours(modules):
        found[_Use.IN_PROGRAM] |= _libraries(vars(module))
    for names in found.values():
        if TRIO in names:
            return "trio"
        if ASYNCIO in names:
            return "asyncio"
    return "trio"


def _parts(fn: Any) -> Iterator[Any]:
    """The functions and classes that a call of ``fn`` certainly meets."""
    left = [fn]
    for _ in range(64):  # `__wrapped__` may go round
        if not left:
            return
        fn = left.pop()
        if isinstance(fn, partial):
            left.append(fn.func)
        elif inspect.ismethod(fn):
            owner = fn.__self__
            left += [fn.__func__, owner if isinstance(owner, type) else type(owner)]
        elif isinstance(fn, FunctionType | type):
            yield fn
        else:  # an instance that can be called
            left += [getattr(type(fn), "__call__", None), type(fn)]  # noqa: B004 - this is called
        wrapped = inspect.getattr_static(fn, "__wrapped__", None)
        if wrapped is not None:
            left.append(wrapped)


def _imports(code: CodeType) -> Iterator[str]:
    """The libraries that a function, or one within it, imports when it runs."""
    module = ""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            module = instruction.argval
            yield library_of(module)
        elif instruction.opname == "IMPORT_FROM":  # ``from redis import asyncio``
            yield library_of(f"{module}.{instruction.argval}")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports(constant)


def _libraries(names: dict[str, Any]) -> set[str]:
    return {_library(item) for item in list(names.values())}


def _library(item: Any) -> str:
    """The library that a name of a module stands for, or for something of it."""
    if isinstance(item, ModuleType):
        return library_of(item.__name__)
    if isinstance(item, FunctionType | type) or inspect.isbuiltin(item):
        return library_of(item.__module__)
    return ""


def _top(name: str) -> str:
    return name.partition(".")[0]


def _neighbours(modules: list[ModuleType]) -> Iterator[ModuleType]:
    """The modules of the program from which these have something, and so on."""
    seen = {module.__name__ for module in modules}
    left = list(modules)
    while left:
        for item in list(vars(left.pop()).values()):
            name = item.__name__ if isinstance(item, ModuleType) else _module_of(item)
            module = sys.modules.get(name)
            if module is None or name in seen or not _is_the_programs(module):
                continue
            seen.add(name)
            left.append(module)
            yield module


def _module_of(item: Any) -> str:
    """Where a function or class is from, or the class of an object."""
    kind = item if isinstance(item, FunctionType | type) else type(item)
    name = kind.__module__
    return name if isinstance(name, str) else ""


def _is_the_programs(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return (
        isinstance(file, str)
        and _top(module.__name__) != _top(__name__)
        and not file.startswith(_INSTALLED)
    )
