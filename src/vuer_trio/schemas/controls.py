"""How the viewer moves, and what devices report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .node import SceneElement

if TYPE_CHECKING:
    from .element import Child
    from .properties import ControlProperties, GamepadProperties

__all__ = [
    "Gamepad",
    "KeyboardMonitor",
    "OrbitControls",
    "PointerControls",
    "SceneCameraControl",
    "TimelineControls",
]


class OrbitControls(SceneElement):
    """Rotate, shift and zoom with the mouse; with ``stream``, moves are sent as ``CAMERA_MOVE``."""

    tag = "OrbitControls"
    key = "orbit-controls"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[ControlProperties]) -> None: ...


class SceneCameraControl(SceneElement):
    """Mouse and keys move the :class:`SceneCamera`; part of the default scene."""

    tag = "SceneCameraControl"


class PointerControls(SceneElement):
    """Handle nodes with the pointer."""

    tag = "PointerControls"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[ControlProperties]) -> None: ...


class TimelineControls(SceneElement):
    """A timeline with buttons to play."""

    tag = "TimelineControls"


class Gamepad(SceneElement):
    """Reports the gamepad number ``index``; part of the default scene."""

    tag = "Gamepad"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[GamepadProperties]) -> None: ...


class KeyboardMonitor(SceneElement):
    """Reports keys: ``enableKeyDown``, ``enableKeyUp``, ``enableKeyPress``."""

    tag = "KeyboardMonitor"
