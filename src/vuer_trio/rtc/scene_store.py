"""The shared scene, and what goes with it, by the names that `vuer.rtc.scene_store` has for it."""

from __future__ import annotations

from ..events import Add, Remove, Set, Update, Upsert
from ..schemas import Scene
from ..server import SceneStore
from ..server import Subscription as SubscriptionContext
from ..server import Verbs as SceneOps

__all__ = [
    "Add",
    "Remove",
    "Scene",
    "SceneOps",
    "SceneStore",
    "Set",
    "SubscriptionContext",
    "Update",
    "Upsert",
]
