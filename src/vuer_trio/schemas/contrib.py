"""Components that Vuer does not bring itself."""

from __future__ import annotations

from .node import SceneElement

__all__ = ["ContribLoader"]


class ContribLoader(SceneElement):
    """Loads a ``library`` of components (a UMD module) from ``url`` into the page.

    ``main`` is the path of its module. With ``dev`` it is loaded anew each time.
    """

    tag = "ContribLoader"
    url: str | None = None
    library: str | None = None
    version = "latest"
    main = "dist/index.js"
    dev = False
