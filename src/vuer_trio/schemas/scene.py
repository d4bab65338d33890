"""The root of a scene, and the components that are loaded into its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from ..codec import gives_plain
from .cameras import CameraPreviewOverlay, CameraPreviewThumbs, SceneCamera
from .controls import Gamepad, SceneCameraControl
from .element import BlockElement, Child, _nodes
from .environment import Grid
from .lights import HemisphereLightStage
from .node import SceneElement
from .xr import Hands, MotionControllers

if TYPE_CHECKING:
    from .properties import RootProperties, SceneProperties

__all__ = ["ContribLoader", "DefaultScene", "Scene"]

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
        rawChildren: Sequence[Child | None] | Child | None = None,
        htmlChildren: Sequence[Child | None] | None = None,
        bgChildren: Sequence[Child | None] | None = None,
        up: Sequence[float] | None = _Y_UP,
        background: Any = None,
        toneMapping: str | None = None,
        toneMappingExposure: float | None = None,
        frameloop: Literal["always", "demand"] | None = None,
        camPosition: Sequence[float] | None = None,
        camRotation: Sequence[float] | None = None,
        **props: Unpack[RootProperties],
    ) -> None:
        # A list of its own: attributes may be changed.
        super().__init__(*children, up=[*_Y_UP] if up is _Y_UP else up, **props)
        if rawChildren is not None:
            self.rawChildren: Sequence[Any] = (
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

    @gives_plain
    def _serialize(self) -> dict[str, Any]:
        node = super()._serialize()
        for slot in _SLOTS:
            if items := getattr(self, slot, None):
                node[slot] = [item for item in _nodes(self, items) if item]
        return node


class DefaultScene(Scene):
    """A scene with a grid, light, cameras, hands and controllers.

    ``bgChildren`` are added to those; ``grid=False`` leaves the grid out.
    """

    def __init__(
        self,
        /,
        *children: Child | None,
        bgChildren: Sequence[Child | None] | None = None,
        grid: bool = True,
        **props: Unpack[SceneProperties],
    ) -> None:
        fixtures: list[Child | None] = [Grid(key="grid")] if grid else []
        fixtures += (
            HemisphereLightStage(key="light-stage"),
            Gamepad(key="gamepad-0", index=0),
            Hands(key="hands", fps=30, stream=True),
            MotionControllers(key="motion-controllers", fps=30, stream=True),
            SceneCamera(key="SceneCamera", position=[0, 5, 10]),
            SceneCameraControl(key="SceneCameraControl", makeDefault=True),
            CameraPreviewThumbs(key="CameraPreviewThumbs"),
            CameraPreviewOverlay(key="CameraPreviewOverlay"),
        )
        super().__init__(*children, bgChildren=[*fixtures, *(bgChildren or ())], **props)


def _unless_empty(background: Any) -> Any:
    """None for an empty background; an array has no truth value, and is not empty."""
    try:
        return background or None
    except ValueError:
        return background


class ContribLoader(SceneElement):
    """Loads a ``library`` of components (a UMD module) from ``url`` into the page.

    ``main`` is the path of its module. With ``dev``, it is loaded again each time.
    """

    tag = "ContribLoader"
    url: str | None = None
    library: str | None = None
    version = "latest"
    main = "dist/index.js"
    dev = False
