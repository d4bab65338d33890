"""The legs: each runtime and transport that a behavioural test runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["LEGS", "Leg"]


@dataclass(frozen=True)
class Leg:
    backend: str
    transport: Any

    @property
    def name(self) -> str:
        return f"{self.backend}/{self.transport}"


LEGS = [
    Leg("trio", "trio-websocket"),
    Leg("trio", "websockets"),
    Leg("asyncio", "websockets"),
    Leg("asyncio", "wsproto"),
    Leg("uvloop", "websockets"),
]
