"""Whoever holds an object can name its type: all that the interface gives or takes is public."""

from __future__ import annotations

import ast
import importlib
import inspect
import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

#: what programs import from, as in the reference
MODULES = [
    "vuer_trio",
    *(f"vuer_trio.{name}" for name in ("arc", "bus", "codec", "events", "record")),
    *(f"vuer_trio.{name}" for name in ("schemas", "server", "sync", "testing", "webrtc")),
    *(f"vuer_trio.{name}" for name in ("roomz", "scene", "workspace", "xr")),
]
#: those that the library makes, and no program does: what their constructors take is no matter
MADE_BY_THE_LIBRARY = {
    *("BlockingLease", "BlockingSender", "Broadcast", "Lease", "MemoryServer", "Permit"),
    *("ReceiveEnd", "Recording", "Relay", "SendEnd", "Sender", "SessionTask", "Subscription"),
    *("ThreadsafeApp", "ThreadsafeClient", "ThreadsafeSender", "ThreadsafeSession"),
    *("ThreadsafeVerbs", "VuerSession", "WebRTCStream"),
}
#: innards that are to lose their public names
INNARDS = {
    *(f"Relay.{name}" for name in ("joined", "left", "memory", "registry", "switch")),
    *("MemoryServer.rt", "MemoryServer.serving"),
    *("Policy.open", "Discard.open", "DropOldest.open", "Fifo.open", "Latest.open"),
    *(f"{n}.open_outbox" for n in ("Policy", "Discard", "DropOldest", "Fifo", "Latest")),
    *("Sender.connect", "Sender.outbox", "Sender.throttle"),
    # what keywords there are, and what a recording has: nothing that a program holds
    *(f"{name}.__init__" for name in ("Scene", "DefaultScene", "MotionControllers", "Text3D")),
    "Script.__init__",
}

#: where errors are made; tracebacks show where programs import them from
ERRORS = {
    "vuer_trio": "vuer_trio._errors",
    "vuer_trio.arc": "vuer_trio.arc._errors",
    "vuer_trio.roomz": "vuer_trio.roomz.errors",
}


def public() -> dict[str, object]:
    """Every public name, by the path that a program imports it from."""
    found: dict[str, object] = {}
    for name in MODULES:
        module = importlib.import_module(name)
        found |= {f"{name}.{each}": getattr(module, each) for each in module.__all__}
    return found


@cache
def names_of(module: str) -> dict[str, Any]:
    """What annotations of a module may name, with what only type checkers import."""
    loaded = importlib.import_module(module)
    names = dict(vars(loaded))
    tree = ast.parse(inspect.getsource(loaded))
    for block in tree.body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            package = {"__name__": module, "__package__": loaded.__package__, **names}
            # A name that is no file's: coverage would look for it.
            imports = compile(ast.Module(block.body, []), f"<imports of {module}>", "exec")
            exec(imports, package)
            names |= package
    for node in tree.body:  # an alias that is written as a text
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
            alias = ast.unparse(node.target)
            names[alias] = evaluated(names[alias], names)
    return names


def classes_in(annotation: object) -> Iterator[type]:
    """The classes of ours in a type."""
    plain = isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias)
    if plain and annotation.__module__.startswith("vuer_trio"):
        yield annotation
    for part in filter(None, (typing.get_origin(annotation), *typing.get_args(annotation))):
        for each in part if isinstance(part, list) else [part]:
            yield from classes_in(each)


def types_of(function: Any) -> Iterator[type]:
    """The classes of ours in the signature of a function and of its overloads."""
    for each in [*typing.get_overloads(function), function]:
        each = inspect.unwrap(each)
        if not isinstance(each, types.FunctionType):
            continue
        names = names_of(each.__module__)
        for annotation in each.__annotations__.values():
            yield from classes_in(evaluated(annotation, names))


def evaluated(annotation: object, names: dict[str, Any]) -> object:
    return eval(annotation, dict(names)) if isinstance(annotation, str) else annotation


@cache
def class_body(module: str, name: str) -> ast.ClassDef:
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    return next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == name)


def attributes_of(cls: type) -> Iterator[tuple[str, type]]:
    """The classes of ours in what a class annotates, in its body and in its methods."""
    home = ERRORS.get(cls.__module__, cls.__module__)
    names = names_of(home)
    body = class_body(home, cls.__qualname__)
    for node in ast.walk(body):
        if isinstance(node, ast.AnnAssign) and (
            node in body.body or isinstance(node.target, ast.Attribute)
        ):
            target = ast.unparse(node.target).removeprefix("self.")
            if target.isidentifier() and not target.startswith("_"):
                for found in classes_in(evaluated(ast.unparse(node.annotation), names)):
                    yield target, found


def shown_by(cls: type) -> Iterator[tuple[str, type]]:
    """Who shows which of our classes, of the members of a class."""
    for base in cls.__mro__:
        if not base.__module__.startswith("vuer_trio"):
            continue
        yield from attributes_of(base)
        for name, member in vars(base).items():
            if name == "__init__" and cls.__name__ in MADE_BY_THE_LIBRARY:
                continue
            if name.startswith("_") and name not in SPOKEN:
                continue
            if isinstance(member, property):
                member = member.fget
            if isinstance(member, classmethod | staticmethod):
                member = member.__func__
            for found in types_of(member) if callable(member) else ():
                yield name, found


SPOKEN = {
    *("__init__", "__call__", "__await__", "__iter__", "__next__", "__aiter__", "__anext__"),
    *("__enter__", "__aenter__", "__matmul__", "__getitem__"),
}


def test_every_type_that_a_user_can_hold_is_public() -> None:
    names = public()
    known = {id(item) for item in names.values()}
    nameless: dict[str, set[str]] = {}
    for path, item in names.items():
        if inspect.isclass(item) and item.__module__.startswith("vuer_trio"):
            for member, found in shown_by(item):
                if id(found) not in known and f"{item.__name__}.{member}" not in INNARDS:
                    nameless.setdefault(found.__qualname__, set()).add(f"{path}.{member}")
        elif callable(item):
            for found in types_of(item):
                if id(found) not in known:
                    nameless.setdefault(found.__qualname__, set()).add(path)
    assert not nameless, "\n".join(f"{k}: {sorted(v)}" for k, v in sorted(nameless.items()))


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_importable_and_listed_once(name: str) -> None:
    module = importlib.import_module(name)
    for each in module.__all__:
        assert getattr(module, each) is not None
    assert len(set(module.__all__)) == len(module.__all__)


def test_the_check_above_sees_a_class_without_a_name() -> None:
    from vuer_trio import VuerClient

    found = {cls.__name__ for _, cls in shown_by(VuerClient)}
    assert {"Policy", "Sender", "Statistics", "Backoff", "Nursery"} <= found
    assert "Connection" not in found


def test_no_exception_above_is_left_over() -> None:
    """A name is taken off the lists when it need not be on them."""
    known = {id(item) for item in public().values()}
    classes = [item for item in public().values() if inspect.isclass(item)]
    ours = [cls for cls in classes if cls.__module__.startswith("vuer_trio")]
    shown = {
        f"{cls.__name__}.{member}"
        for cls in ours
        for member, found in shown_by(cls)
        if id(found) not in known
    }
    assert shown == INNARDS
    assert {cls.__name__ for cls in ours} >= MADE_BY_THE_LIBRARY
