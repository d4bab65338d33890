"""The root of a scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from .element import BlockElement, Child, _nodes

__all__ = ["DefaultScene", "Scene"]

_Y_UP = (0, 1, 0)  # as in three.js; Blender has z up
_SLOTS = ("rawChildren", "htmlChildren", "bgChildren")


class Scene(BlockElement):
    """The root node, with four slots for children.

    ``children`` are drawn inside the scene's frame, ``rawChildren`` without it, ``htmlChildren``
    over the canvas and ``bgChildren`` behind the rest. What is omitted is not sent, and the
    browser then keeps what it has. ``up`` is the axis that points up. ``camPosition`` is in the
    units of the scene, ``camRotation`` in radians.
    """

    tag = "Scene"

    def __init__(
        self,
        /,
        *children: Child | None,
        rawChildren: Sequence[Child | None] | Child | None = None,  # noqa: N803 - the wire's names
        htmlChildren: Sequence[Child | None] | None = None,  # noqa: N803
        bgChildren: Sequence[Child | None] | None = None,  # noqa: N803
        up: Sequence[float] | None = _Y_UP,
        background: Any = None,
        toneMapping: str | None = None,  # noqa: N803
        toneMappingExposure: float | None = None,  # noqa: N803
        frameloop: Literal["always", "demand"] | None = None,
        camPosition: Sequence[float] | None = None,  # noqa: N803
        camRotation: Sequence[float] | None = None,  # noqa: N803
        **props: Any,
    ) -> None:
        # A list of its own: attributes may be changed.
        super().__init__(*children, up=[*_Y_UP] if up is _Y_UP else up, **props)
        if rawChildren is not None:
            self.rawChildren = (
                rawChildren if isinstance(rawChildren, (list, tuple)) else [rawChildren]
            )
        for name, value in (
            ("htmlChildren", htmlChildren or None),
            ("bgChildren", bgChildren or None),
            ("background", _unless_empty(background)),
            ("toneMapping", toneMapping),
            ("toneMappingExposure", toneMappingExposure),
            ("frameloop", frameloop),
            ("camPosition", camPosition),
            ("camRotation", camRotation),
        ):
            if value is not None:
                setattr(self, name, value)

    def _serialize(self) -> dict[str, Any]:
        node = super()._serialize()
        for slot in _SLOTS:
            if items := getattr(self, slot, None):
                node[slot] = _nodes(item for item in items if item)
        return node


class DefaultScene(Scene):
    """A scene with a grid, light, cameras, hands and controllers.

    ``bgChildren`` are added to those; ``grid=False`` leaves the grid out.
    """

    def __init__(
        self,
        /,
        *children: Child | None,
        bgChildren: Sequence[Child | None] | None = None,  # noqa: N803
        grid: bool = True,
        **props: Any,
    ) -> None:
        fixtures: list[Child | None] = [_fixture("Grid", "grid")] if grid else []
        fixtures += (
            _fixture("HemisphereLightStage", "light-stage"),
            _fixture("Gamepad", "gamepad-0", index=0),
            _fixture("Hands", "hands", fps=30, stream=True),
            _fixture(
                "MotionControllers",
                "motion-controllers",
                eventTypes=["trigger", "squeeze"],
                stream=True,
                left=None,
                right=None,
                fps=30,
            ),
            _fixture("SceneCamera", "SceneCamera", position=[0, 5, 10]),
            _fixture("SceneCameraControl", "SceneCameraControl", makeDefault=True),
            _fixture("CameraPreviewThumbs", "CameraPreviewThumbs"),
            _fixture("CameraPreviewOverlay", "CameraPreviewOverlay"),
        )
        super().__init__(*children, bgChildren=[*fixtures, *(bgChildren or ())], **props)


def _fixture(tag: str, key: str, **props: Any) -> BlockElement:
    return BlockElement(tag=tag, key=key, **props)


def _unless_empty(background: Any) -> Any:
    """None for an empty background; an array has no truth value, and is not empty."""
    try:
        return background or None
    except ValueError:
        return background
