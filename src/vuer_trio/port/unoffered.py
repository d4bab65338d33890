"""The public names of `vuer` 0.1.6 that are not here, each with its reason."""

from __future__ import annotations

from typing import Final

__all__ = ["MODULES", "NAMES", "why_not"]

_AIOHTTP = "it is for aiohttp; `app.add_route` serves what a function returns"
_COLOURS = "a colour of the reference's banner"
_CRDT = "the operations of vuer-rtc are not here; `SceneStore` shares a scene"
_EMPTY = "it is empty there, too"
_INNER = "a part of the reference's own machinery"
_PLUGINS = "the command `vuer` is the reference's; here it is `vuer-trio`"
_SCENE = "`vuer_trio.scene.Scene` is the scene as the browser has it"
_SCRIPT = "it is a script for a camera, to be run by itself"
_WEBRTC = "the routes at /webrtc/ are the server's own; `app.create_webrtc_stream` makes streams"

#: what is in them and has no counterpart here, in modules of theirs, too
MODULES: Final[dict[str, str]] = {
    "vuer.addons": _SCRIPT,
    "vuer.cli.commands": _PLUGINS,
    "vuer.cli.main": _PLUGINS,
    "vuer.rtc": _CRDT,
    "vuer.schemas.timeline_components": _EMPTY,
}
NAMES: Final[dict[str, str]] = {
    "vuer.base.default_handler": _AIOHTTP,
    "vuer.base.handle_file_request": _AIOHTTP,
    "vuer.base.websocket_handler": _AIOHTTP,
    "vuer.client.AsyncAt": "`client.send` takes `@`, and can be awaited, by itself",
    "vuer.handle_server_import_error": _INNER,
    "vuer.rtc.SceneGraph": _SCENE,
    "vuer.rtc.scene_store.SceneGraph": _SCENE,
    "vuer.schemas.element_counter": _INNER,
    "vuer.schemas.html_components.element_counter": _INNER,
    "vuer.schemas.html_components.omit": _INNER,
    "vuer.schemas.omit": _INNER,
    "vuer.server.At": _INNER,
    "vuer.server.BOLD": _COLOURS,
    "vuer.server.BoundFn": _INNER,
    "vuer.server.CYAN": _COLOURS,
    "vuer.server.DEFAULT_CORS": "`origins=` has its own default",
    "vuer.server.DEFAULT_PORT": "it is 8012, or VUER_PORT",
    "vuer.server.DIM": _COLOURS,
    "vuer.server.GREEN": _COLOURS,
    "vuer.server.RESET": _COLOURS,
    "vuer.server.YELLOW": _COLOURS,
    "vuer.server.handle_file_request": _AIOHTTP,
    "vuer.server.websocket_handler": _AIOHTTP,
    "vuer.server.workspace_handler": _AIOHTTP,
    "vuer.webrtc.WebRTCStreamManager": _WEBRTC,
    "vuer.webrtc.serve_debug_page": _WEBRTC,
}


def why_not(module: str, name: str | None = None) -> str | None:
    """Why ``from module import name``, or ``import module``, finds nothing here; None: unknown."""
    whole = f"{module}.{name}" if name is not None else module
    if whole in NAMES:
        return NAMES[whole]
    while whole:
        if whole in MODULES:
            return MODULES[whole]
        whole = whole.rpartition(".")[0]
    return None
