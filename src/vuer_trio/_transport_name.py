"""Which transport a connection gets."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["TransportName", "choose_transport"]

#: the transports, and the choice of one
TransportName: TypeAlias = Literal["auto", "trio-websocket", "websockets", "wsproto"]


def choose_transport(runtime: str, wanted: TransportName, installed: bool) -> str:
    """What ``wanted`` comes to; ``installed`` says whether the ``websockets`` package is there.

    Raises ValueError for one that is not available.
    """
    if wanted == "auto":
        bare = "trio-websocket" if runtime == "trio" else "wsproto"
        return "websockets" if installed else bare
    if wanted == "websockets" and not installed:
        raise ValueError("transport='websockets' needs that package: pip install 'vuer-trio[fast]'")
    if wanted == "trio-websocket" and runtime != "trio":
        raise ValueError("transport='trio-websocket' runs on Trio only; leave it to 'auto'")
    return wanted
