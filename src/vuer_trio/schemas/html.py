"""The page around the scene: text, links, input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .element import BlockElement, Element

__all__ = [
    "AutoScroll",
    "Bold",
    "Button",
    "Header",
    "Header1",
    "Header2",
    "Header3",
    "Iframe",
    "InputBox",
    "Italic",
    "Link",
    "Markdown",
    "Page",
    "Paragraph",
    "Slider",
    "div",
    "span",
]


class Page(BlockElement):
    """An article."""

    tag = "article"


class div(BlockElement):
    """A block."""

    tag = "Div"


class AutoScroll(BlockElement):
    """Scrolls to the last of its children."""

    tag = "AutoScroll"


class Iframe(BlockElement):
    """Another page, from ``src``."""

    tag = "iframe"


class Markdown(BlockElement):
    """Text in Markdown."""

    tag = "Markdown"


class Header1(BlockElement):
    """A heading of the first level."""

    tag = "h1"


Header = Header1


class Header2(Header1):
    """A heading of the second level."""

    tag = "h2"


class Header3(Header1):
    """A heading of the third level."""

    tag = "h3"


class Paragraph(BlockElement):
    """A paragraph."""

    tag = "p"


class span(Element):
    """Inline text; several strings are joined by ``sep``, which is not sent."""

    tag = "Span"

    def __init__(self, /, *text: str, sep: str = " ", **props: Any) -> None:
        self.text: str = sep.join(text)
        super().__init__(**props)


class Bold(span):
    """Bold text; ``style`` may add to that, and takes precedence."""

    def __post_init__(self, style: Mapping[str, Any] | None = None, **props: Any) -> None:
        self.style: dict[str, Any] = {"fontWeight": "bold", **(style or {})}


class Italic(span):
    """Italic text; ``style`` may add to that, and takes precedence."""

    def __post_init__(self, style: Mapping[str, Any] | None = None, **props: Any) -> None:
        self.style: dict[str, Any] = {"fontStyle": "italic", **(style or {})}


class Link(span):
    """A link to ``href``."""

    tag = "a"


class Button(Element):
    """A button."""

    tag = "Button"


class InputBox(Element):
    """A field to type in."""

    tag = "Input"


class Slider(Element):
    """A slider from ``min`` to ``max`` in steps of ``step``, first at ``value``."""

    tag = "Slider"
