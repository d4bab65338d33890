"""The elements of a scene."""

from .element import BlockElement, Child, Element, SupportsSerialize
from .scene import DefaultScene, Scene

__all__ = ["BlockElement", "Child", "DefaultScene", "Element", "Scene", "SupportsSerialize"]
