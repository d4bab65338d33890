"""The emulator of a headset that the web client brings along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vuer_trio._web_client.installed import web_client

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["BEFORE", "ENTER", "emulate"]

#: a script for before the page runs: three.js would use what the emulator takes away
BEFORE: Final = "delete window.XRWebGLBinding"
#: a script that begins a session
ENTER: Final = """() => [...document.querySelectorAll("button")]
    .find((button) => button.innerText === "Virtual Reality").click()"""
_EMULATE = """async (module) => {
    const { emulate } = await import(module);
    const device = emulate({ type: "metaQuest3", syntheticEnvironment: false });
    device.devui.render = () => {};  // it would move the device
    window.device = device;
}"""


def emulate(page: Page) -> None:
    """From now on the page has a headset, ``window.device``, with controllers."""
    root = web_client()
    assert root is not None
    [path] = [p for p in root.glob("assets/chunks/*.js") if b" as emulate}" in p.read_bytes()]
    page.evaluate(_EMULATE, f"/{path.relative_to(root).as_posix()}")
