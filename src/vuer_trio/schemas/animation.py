"""Motion that the browser plays on its own. Times are in seconds."""

from __future__ import annotations

from .node import SceneElement

__all__ = ["AnimationClip", "PlaybackAnimate", "QuaternionTrack", "ThreeAnimate", "VectorTrack"]


class AnimationClip(SceneElement):
    """Tracks that belong together, over ``duration``."""

    tag = "AnimationClip"


class VectorTrack(SceneElement):
    """A vector over time: ``values`` at ``times``."""

    tag = "VectorTrack"


class QuaternionTrack(SceneElement):
    """A rotation over time: ``values`` at ``times``."""

    tag = "QuaternionTrack"


class ThreeAnimate(SceneElement):
    """Plays the clip ``clipIndex`` at ``speed``, with three.js."""

    tag = "ThreeAnimate"


class PlaybackAnimate(SceneElement):
    """Plays the recorded clip ``clipIndex`` at ``speed``."""

    tag = "PlaybackAnimate"
