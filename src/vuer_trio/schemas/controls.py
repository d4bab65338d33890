"""How the viewer moves, and what devices say."""

from __future__ import annotations

from .node import SceneElement

__all__ = [
    "Gamepad",
    "KeyboardMonitor",
    "OrbitControls",
    "PointerControls",
    "SceneCameraControl",
    "TimelineControls",
]


class OrbitControls(SceneElement):
    """Turn around, shift and zoom with the mouse; with ``stream`` as ``CAMERA_MOVE`` events."""

    tag = "OrbitControls"
    key = "orbit-controls"


class SceneCameraControl(SceneElement):
    """Mouse and keys move the :class:`SceneCamera`; part of the default scene."""

    tag = "SceneCameraControl"


class PointerControls(SceneElement):
    """Handle nodes with the pointer."""

    tag = "PointerControls"


class TimelineControls(SceneElement):
    """A timeline with buttons to play."""

    tag = "TimelineControls"


class Gamepad(SceneElement):
    """Reports the gamepad number ``index``; part of the default scene."""

    tag = "Gamepad"


class KeyboardMonitor(SceneElement):
    """Reports keys: ``enableKeyDown``, ``enableKeyUp``, ``enableKeyPress``."""

    tag = "KeyboardMonitor"
