"""Text in the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .element import Child
from .node import SceneElement

if TYPE_CHECKING:
    from .properties import HtmlProperties, Text3DProperties, TextProperties

__all__ = ["Html", "Text", "Text3D"]


class Html(SceneElement):
    """A piece of the page that follows a point of the scene."""

    tag = "Html"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[HtmlProperties]) -> None: ...


class Text(SceneElement):
    """Flat text: the strings that are its children, or ``characters``."""

    tag = "Text"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[TextProperties]) -> None: ...


class Text3D(SceneElement):
    """Text with depth. ``font`` is the address of a typeface file in three.js' JSON form."""

    tag = "Text3D"

    def __init__(
        self,
        /,
        *text: Child | None,
        font: str | None = None,
        smooth: float | None = None,
        lineHeight: float = 0,
        letterSpacing: float = 1,
        **props: Unpack[Text3DProperties],
    ) -> None:
        super().__init__(
            *text,
            font=font,
            smooth=smooth,
            lineHeight=lineHeight,
            letterSpacing=letterSpacing,
            **props,
        )
