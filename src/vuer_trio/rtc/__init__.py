"""A scene that several sessions share, where `vuer.rtc` has it."""

from __future__ import annotations

from .scene_store import SceneStore, SubscriptionContext

__all__ = ["SceneStore", "SubscriptionContext"]
