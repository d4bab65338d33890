"""The Vuer server: sessions as nurseries."""

from __future__ import annotations

from .app import Vuer, open_vuer_server
from .broadcast import Broadcast
from .session import VuerSession
from .store import SceneStore, Subscriber, Subscription
from .tasks import SessionTask
from .threadsafe import ThreadsafeApp, ThreadsafeSession, ThreadsafeVerbs
from .verbs import AddVerb, RemoveVerb, SetVerb, UpdateVerb, UpsertVerb, Verbs
from .vuer_server import VuerServer

__all__ = [
    "AddVerb",
    "Broadcast",
    "RemoveVerb",
    "SceneStore",
    "SessionTask",
    "SetVerb",
    "Subscriber",
    "Subscription",
    "ThreadsafeApp",
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
