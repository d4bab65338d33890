"""A program, read and not run: what would differ here.

Nothing is guessed that only a run would show: a name counts as an app if ``Vuer(...)`` was
assigned to it, and as a session if a parameter of that place or type is called so.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator

from .findings import Finding, Kind
from .imports import OURS, THEIRS, changed, changes
from .unoffered import why_not

__all__ = ["read"]

#: what ``from vuer.schemas import *`` brings along there, and not here
_STARS = {
    *("BytesIO", "List", "Literal", "NDArray", "Path", "Tuple", "Union", "count", "fnmatch"),
    *("np", "pil_image"),
}
#: of sessions and apps: parts of the reference's machinery that a program may have reached into
_INNER = {
    "uplink_queue": "what waits to be sent is in the outbox: `statistics()`",
    "downlink_queue": "`await session.recv()` or `recv_nowait()`",
    "socket": "`await session.aclose()`",
    "handlers": "`add_handler` returns what takes a handler back",
    "spawn_handlers": "`app.spawn`",
    "page": "`session.set @ Scene(htmlChildren=[...])`",
    "uplink": "a session sends by itself",
    "downlink": "a session receives by itself",
    "close_ws": "`await session.aclose()`",
    "socket_index": "`app.add_route`",
    "rpc_stream": "it is not there, either",
    "cors_context": "`cors=` or `origins=`",
}
#: what is silent there when a session's function raises
_LOGGED = "what it raises is logged and closes with 1011; there nobody hears of it"


def read(source: str, filename: str = "<program>") -> list[Finding]:
    """The findings of a program, from the top down. Raises SyntaxError."""
    tree = ast.parse(source, filename)
    found = [*_imports(tree, source), *_strings(tree), *_Reader(tree).findings()]
    kinds = list(Kind)
    return sorted(set(found), key=lambda one: (one.line, kinds.index(one.kind), one.text))


# -- imports -------------------------------------------------------------------------------------


def _imports(tree: ast.AST, source: str) -> Iterator[Finding]:
    new = changed(source).splitlines()
    for number in {change.line for change in changes(tree, source)}:
        yield Finding(number, new[number - 1].strip(), Kind.IMPORT)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _missing(alias.lineno, alias.name, None)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield from _missing(alias.lineno, node.module or "", alias.name)


def _missing(line: int, module: str, name: str | None) -> Iterator[Finding]:
    """Whether ``from module import name`` finds nothing here."""
    if module.split(".")[0] != THEIRS:
        return
    whole = module if name in (None, "*") else f"{module}.{name}"
    if not _is_here(module, name):
        reason = why_not(module, None if name == "*" else name) or f"`{OURS}` has no such name"
        yield Finding(line, f"{whole}: {reason}", Kind.STOPS)


def _is_here(module: str, name: str | None) -> bool:
    ours = OURS + module.removeprefix(THEIRS)
    try:
        found = importlib.import_module(ours)
        if name in (None, "*") or hasattr(found, name):
            return True
        importlib.import_module(f"{ours}.{name}")
    except ImportError:
        return False
    return True


def _strings(tree: ast.AST) -> Iterator[Finding]:
    """Modules that are named by a string, for importlib or a patch."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            root, dot, rest = node.value.partition(".")
            if root == THEIRS and dot and all(map(str.isidentifier, rest.split("."))):
                yield Finding(node.lineno, f"a string names a module: {node.value!r}")


# -- the rest ------------------------------------------------------------------------------------


class _Reader(ast.NodeVisitor):
    """What is said of calls and attributes."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._found: list[Finding] = []
        self._apps: set[str] = set()
        self._clients: set[str] = set()
        self._sessions: set[str] = {"session", "sess"}
        self._async_depth: list[bool] = []
        self._sync_functions = {
            node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
        }

    def findings(self) -> list[Finding]:
        for node in ast.walk(self._tree):
            self._note_names(node)
        self.visit(self._tree)
        return self._found

    def _say(
        self, node: ast.expr | ast.stmt | ast.keyword, text: str, kind: Kind = Kind.DIFFERS
    ) -> None:
        self._found.append(Finding(node.lineno, text, kind))

    # ---- who is who

    def _note_names(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=[target], value=ast.Call() as call):
                self._note(target, call)
            case ast.AnnAssign(target=target, value=ast.Call() as call):
                self._note(target, call)
            case ast.withitem(context_expr=ast.Call() as call, optional_vars=ast.expr() as target):
                self._note(target, call)
            case ast.arg(arg=name, annotation=ast.expr() as kind) if _last(kind) == "VuerSession":
                self._sessions.add(name)

    def _note(self, target: ast.expr, call: ast.Call) -> None:
        name, kind = _last(target), _last(call.func)
        if name and kind == "Vuer":
            self._apps.add(name)
        elif name and kind == "VuerClient":
            self._clients.add(name)

    # ---- calls

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._decorated(node)
        self._inside(node, False)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._decorated(node)
        self._inside(node, True)

    def _inside(self, node: ast.AST, is_async: bool) -> None:
        self._async_depth.append(is_async)
        self.generic_visit(node)
        self._async_depth.pop()

    def _decorated(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if not (isinstance(call, ast.Attribute) and _last(call.value) in self._apps):
                continue
            if call.attr == "add_handler" and isinstance(node, ast.FunctionDef):
                self._say(node, _SYNC_HANDLER, Kind.BETTER)
            if call.attr == "spawn" and isinstance(node, ast.AsyncFunctionDef):
                self._say(node, f"{node.name}: {_LOGGED}", Kind.BETTER)

    def visit_Call(self, node: ast.Call) -> None:
        name = _last(node.func)
        if name == "Vuer":
            self._keywords(node)
        elif isinstance(node.func, ast.Attribute):
            self._method(node, node.func)
        self.generic_visit(node)

    def _keywords(self, node: ast.Call) -> None:
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg not in _options():
                self._say(keyword, f"Vuer has no option {keyword.arg}=", Kind.STOPS)
            if keyword.arg == "free_port":
                self._say(keyword, "takes the next free port; there it ends who has that one")
            if keyword.arg == "queue_len":
                self._say(
                    keyword,
                    "the newest of each node waits, and the structure of the scene is kept;"
                    " there the oldest events are lost, whatever they are",
                    Kind.BETTER,
                )

    def _method(self, node: ast.Call, method: ast.Attribute) -> None:
        owner, name = _last(method.value), method.attr
        if owner in self._apps and name in ("start", "run") and self._async_depth[-1:] == [True]:
            self._say(node, "inside a running loop: `await app.serve()`", Kind.STOPS)
        if name == "add_handler" and len(node.args) > 1:
            handler = _last(node.args[1])
            if handler in self._sync_functions:
                self._say(node, _SYNC_HANDLER, Kind.BETTER)
        if owner in self._sessions and name == "till" and _constant(node.args) == "INIT":
            self._say(
                node,
                "returns the INIT that opened the session; there it waits for that of the next",
                Kind.BETTER,
            )
        if name in ("update", "upsert", "add") and _last(method.value) in self._sessions:
            options = {keyword.arg for keyword in node.keywords}
            if (not node.args and options) or (name == "update" and "strict" in options):
                self._say(
                    node, f"works as documented; there {name}(...) is a TypeError", Kind.BETTER
                )
        if owner in self._clients and name == "recv":
            self._say(
                node,
                "raises RecvTimeout, ConnectionClosed or ProtocolError;"
                " there it returns None for all of them",
            )

    def visit_Expr(self, node: ast.Expr) -> None:
        match node.value:
            case ast.Yield(value=ast.Call(func=sent)) if _last(sent) in _SENT:
                self._say(node, _BARE_YIELD, Kind.BETTER)
        self.generic_visit(node)

    # ---- attributes and names

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = _last(node.value)
        known = _session_names() if owner in self._sessions else _app_names()
        if owner in self._sessions | self._apps and node.attr in _INNER and node.attr not in known:
            self._say(node, f"{owner}.{node.attr} is not here: {_INNER[node.attr]}", Kind.STOPS)
        self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        starred = any(alias.name == "*" for alias in node.names)
        if starred and (node.module or "").startswith(f"{THEIRS}.schemas"):
            for name, use in self._brought().items():
                text = f"{name} comes from line {node.lineno}, and must be imported by itself"
                self._say(use, text, Kind.STOPS)

    def _brought(self) -> dict[str, ast.Name]:
        """Names that the program uses and nothing else in it makes."""
        made = {
            alias.asname or alias.name for node in ast.walk(self._tree) for alias in _aliases(node)
        }
        used: dict[str, ast.Name] = {}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Name):
                if isinstance(node.ctx, ast.Store):
                    made.add(node.id)
                elif node.id in _STARS:
                    used.setdefault(node.id, node)
        return {name: node for name, node in used.items() if name not in made}


#: what a bound generator yields to have it sent
_SENT = {"Set", "Add", "Update", "Upsert", "Remove", "ServerEvent"}
_BARE_YIELD = "is sent, and the generator goes on; there it waits for an event, which is lost"
_SYNC_HANDLER = "a handler that is not async is called; there it ends the session"


def _aliases(node: ast.AST) -> list[ast.alias]:
    return node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else []


def _last(node: ast.expr) -> str:
    """``app`` of ``app`` and of ``self.app``."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _constant(args: list[ast.expr]) -> object:
    return args[0].value if args and isinstance(args[0], ast.Constant) else None


def _options() -> set[str]:
    """The keywords of `Vuer`."""
    from ..server import Vuer

    return set(inspect.signature(Vuer).parameters)


def _app_names() -> set[str]:
    from ..server import Vuer

    return set(dir(Vuer))


def _session_names() -> set[str]:
    from ..server import VuerSession

    return set(dir(VuerSession))
