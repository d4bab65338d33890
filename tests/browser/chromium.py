"""A Chromium without a window, and without the internet."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

__all__ = ["chromium", "executable"]

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_FLAGS = (
    "--no-sandbox",  # which root cannot have
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # WebGL on a machine without a graphics card
    "--enable-unsafe-swiftshader",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--no-proxy-server",
)
#: milliseconds; a loaded machine may need a tenth of it
_TIMEOUT = 120_000.0


def executable() -> str | None:
    """Where the system has one."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def chromium(
    path: str,
    width: int = 720,
    height: int = 450,
    names: Iterable[str] = (),
    reaches: Iterable[str] = (),
    home: str | None = None,
) -> Iterator[BrowserContext]:
    """A browser with nothing in its past. Sizes in pixels, of each page. All ``names``, addresses
    among them, lead to this machine. ``reaches`` are addresses that lead where they do. ``home`` is
    a folder for what a user has installed."""
    # The page asks for fonts and packages of other hosts. They fail at once: nothing waits.
    rules = [*(f"MAP {name} 127.0.0.1" for name in names), "MAP * ~NOTFOUND"]
    rules += [f"EXCLUDE {name}" for name in ("127.0.0.1", "localhost", *reaches)]
    env = None if home is None else {**os.environ, "HOME": home}
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        with sync_playwright() as playwright:
            context = playwright.chromium.launch_persistent_context(
                profile,
                executable_path=path,
                headless=True,
                viewport={"width": width, "height": height},
                env=env,
                args=[*_FLAGS, f"--host-resolver-rules={', '.join(rules)}"],
                timeout=_TIMEOUT,
            )
            context.set_default_timeout(_TIMEOUT)
            try:
                yield context
            finally:
                context.close()
