"""The Vuer server: sessions as nurseries."""

from __future__ import annotations

from typing import Any

from .._hosting.authorization import Authorize
from .._hosting.request import Request
from .app import Vuer, open_vuer_server
from .broadcast import Broadcast
from .session import VuerSession
from .session_task import SessionTask
from .settings import Setting
from .startable import Startable
from .store import SceneStore, Subscriber, Subscription, ThreadsafeScene
from .threadsafe import ThreadsafeApp, ThreadsafeSession, ThreadsafeVerbs
from .verbs import AddVerb, RemoveVerb, SetVerb, UpdateVerb, UpsertVerb, Verbs
from .vuer_server import VuerServer

__all__ = [
    "AddVerb",
    "Authorize",
    "Broadcast",
    "RemoveVerb",
    "Request",
    "SceneStore",
    "SessionTask",
    "SetVerb",
    "Setting",
    "Startable",
    "Subscriber",
    "Subscription",
    "ThreadsafeApp",
    "ThreadsafeScene",
    "ThreadsafeSession",
    "ThreadsafeVerbs",
    "UpdateVerb",
    "UpsertVerb",
    "Verbs",
    "Vuer",
    "VuerServer",
    "VuerSession",
    "open_vuer_server",
]

#: where the names come from that programs import from `vuer.server`, which has them by the way
_BY_THE_WAY = {
    "..events": (
        *("INIT", "NOOP", "Add", "ClientEvent", "Frame", "GrabRender", "NullEvent", "Remove"),
        *("ServerEvent", "ServerRPC", "Set", "Update", "Upsert"),
    ),
    "..schemas": ("Page",),
    "..types": ("EventHandler", "SocketHandler", "Url"),
    "..workspace": ("Blob", "Workspace", "guess_content_type", "workspace_from_config"),
}
#: names of the reference for what has another one here
_ALSO = {"SceneOps": Verbs, "Server": Vuer}


def __getattr__(name: str) -> Any:
    if name in _ALSO:
        return _ALSO[name]
    for module, names in _BY_THE_WAY.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(module, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
