"""What several server processes share a scene, or the agents of a relay, through."""

from __future__ import annotations

from .bus import Bus
from .memory_bus import MemoryBus
from .redis_bus import RedisBus

__all__ = ["Bus", "MemoryBus", "RedisBus"]
