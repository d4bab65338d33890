"""The site of the documentation is built without a warning, and has every public name."""

from __future__ import annotations

import html
import importlib
import os
import pkgutil
import re
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import vuer_trio
from tests.browser.conftest import artefacts, browser  # noqa: F401
from tests.docs.doc_blocks import PAGES, ROOT, SOURCE, blocks

pytestmark = pytest.mark.no_cover

DOCS = ROOT / "docs"
#: what programs import from; everything else is a part of these
PUBLIC = [
    "vuer_trio",
    *(f"vuer_trio.{name}" for name in ("arc", "bus", "codec", "events", "roomz", "scene")),
    *(f"vuer_trio.{name}" for name in ("schemas", "server", "sync", "webrtc")),
]
#: those that have no place yet in the list above, but one in the reference if they are there
MORE = ("vuer_trio.record", "vuer_trio.testing")
_BUILDING = 300.0  # seconds


#: a name of each of the others' references, of which ours has a link to that place
INVENTORIES = {
    "python": ("exception", "TimeoutError", "library/exceptions.html#$"),
    "trio": ("class", "trio.Nursery", "reference-core.html#$"),
    "anyio": ("class", "anyio.abc.TaskGroup", "api.html#$"),
    "numpy": ("class", "numpy.floating", "reference/arrays.scalars.html#$"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the pages as a browser gets them."""
    folder = tmp_path_factory.mktemp("site")
    inventories = folder / "inventories"
    inventories.mkdir()
    for project, (role, name, place) in INVENTORIES.items():
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: 1\n"
        head += "# The remainder of this file is compressed using zlib.\n"
        names = zlib.compress(f"{name} py:{role} 1 {place} -\n".encode())
        (inventories / f"{project}.inv").write_bytes(head.encode() + names)
    python_path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"),
            *("--builder", "html", "--doctree-dir", folder / "doctrees"),
            *(DOCS, folder / "html"),
        ],
        capture_output=True,
        encoding="utf-8",
        env={
            **os.environ,
            "PYTHONPATH": python_path,
            "NO_COLOR": "1",
            "VUER_TRIO_INVENTORIES": str(inventories),
        },
        timeout=_BUILDING,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return folder / "html"


def test_every_page_is_there(site: Path) -> None:
    for page in DOCS.glob("*.md"):
        assert (site / f"{page.stem}.html").exists()
    assert "The shortest programs" in (site / "index.html").read_text("utf-8")


def test_the_first_page_shows_three_ways_in(site: Path) -> None:
    text = (site / "index.html").read_text("utf-8")
    ways = [text.index(f"I have a {way}") for way in ("headset", "notebook", "Trio program")]
    assert ways == sorted(ways)
    assert ways[-1] < text.index("The shortest programs")
    assert "Where to begin" not in text  # of which it is the other form


def test_the_site_shows_its_version_and_its_changes(site: Path) -> None:
    version = vuer_trio.__version__
    assert f"vuer-trio {version}</span>" in (site / "index.html").read_text("utf-8")
    assert f"/releases/tag/v{version}" in (site / "changelog.html").read_text("utf-8")


def test_names_of_others_lead_to_their_references(site: Path) -> None:
    text = "".join(page.read_text("utf-8") for page in (site / "reference").glob("*.html"))
    for _, name, place in INVENTORIES.values():
        assert f"/{place.replace('$', name)}" in text, name


def test_names_of_ours_lead_to_their_source(site: Path) -> None:
    text = (site / "reference" / "client.html").read_text("utf-8")
    found = re.findall(rf'href="{SOURCE}/blob/main/(src/[\w/]+\.py)#L(\d+)-L(\d+)"', text)
    assert len(found) > 40
    for path, first, last in found:
        lines = (ROOT / path).read_text("utf-8").splitlines()[int(first) - 1 : int(last)]
        assert re.match(r"\s*(@|class |def |async def )", lines[0]), (path, first)


def test_the_first_page_leads_to_pages_of_the_site(site: Path) -> None:
    """Where the README, of which it is made, leads to the repository."""
    text = (site / "index.html").read_text("utf-8")
    assert 'href="migrating.html"' in text
    assert 'src="_images/scene.jpg"' in text
    assert f"{SOURCE}/blob/main/LICENSE" in text
    assert f"{SOURCE}/blob/main/docs/" not in text


def test_the_notes_for_the_tests_are_not(site: Path) -> None:
    seen = 0
    for page in site.rglob("*.html"):
        text = html.unescape(page.read_text("utf-8"))
        assert not re.search(
            r"<!-- (program|server|client|needs|got|command|output|picture)\b", text
        )
        seen += 1
    assert seen > len(PAGES)


def test_every_block_of_python_is_shown(site: Path) -> None:
    """None has been lost with the notes, and none has become a text."""
    for page in DOCS.glob("*.md"):
        text = (site / f"{page.stem}.html").read_text("utf-8")
        python = [block for block in blocks(page) if block.language == "python"]
        assert text.count('<div class="highlight-python') == len(python) or page.stem == "index"


# ---- in a browser

#: wide and narrow: of a laptop and of a phone, in pixels
WINDOWS = {"wide": (1280, 900), "narrow": (390, 844)}


@pytest.mark.browser
def test_the_first_page_in_a_browser(
    site: Path,
    browser: Any,  # noqa: F811
    artefacts: Path,  # noqa: F811
) -> None:
    """Nothing is cut off, nothing is missing, and dark is dark. A picture of each is kept."""
    shades = {}
    for window, (width, height) in WINDOWS.items():
        for scheme in ("light", "dark"):
            page = browser.new_page()
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme)
            missing: list[str] = []
            page.on("requestfailed", lambda request, missing=missing: missing.append(request.url))
            page.goto((site / "index.html").as_uri())
            page.wait_for_function("document.querySelectorAll('button.copybtn').length > 3")
            page.wait_for_function("[...document.images].every(image => image.naturalWidth)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            shades[window, scheme] = sum(map(int, re.findall(r"\d+", background)[:3]))
            page.screenshot(path=artefacts / f"site_{window}_{scheme}.png", full_page=True)
            page.close()
            assert not missing
    for window in WINDOWS:
        assert shades[window, "dark"] < 200 < 600 < shades[window, "light"]


# ---- the reference


def public_modules() -> list[ModuleType]:
    names = {module.name for module in pkgutil.iter_modules(vuer_trio.__path__, "vuer_trio.")}
    return [importlib.import_module(name) for name in [*PUBLIC, *sorted(names & {*MORE})]]


def documented(site: Path) -> set[str]:
    """The full names of all that has an entry in the reference."""
    found: set[str] = set()
    for page in (site / "reference").glob("*.html"):
        found |= set(re.findall(r'<dt class="[^"]*" id="(vuer_trio\.[\w.]+)"', page.read_text()))
    return found


def test_the_reference_has_every_public_name(site: Path) -> None:
    entries = documented(site)
    missing = [
        f"{module.__name__}.{name}"
        for module in public_modules()
        for name in module.__all__
        if not entries & {f"{module.__name__}.{name}", f"vuer_trio.{name}"}
    ]
    assert not missing
    assert len(entries) > 400


def test_every_entry_of_the_reference_says_something(site: Path) -> None:
    """A class, a function or an error without a docstring is no reference."""
    silent = []
    for module in public_modules():
        for name in module.__all__:
            item = getattr(module, name)
            if callable(item) and item.__module__.startswith("vuer_trio"):
                silent += [] if item.__doc__ else [f"{module.__name__}.{name}"]
    assert not silent


def test_the_guide_imports_only_what_is_public() -> None:
    modules = {module.__name__ for module in public_modules()}
    seen = 0
    for page in PAGES:
        for block in blocks(page):
            for name in re.findall(r"^\s*from (vuer_trio[\w.]*) import", block.source, re.M):
                assert name in modules or name.startswith("vuer_trio.testing"), block.name
                seen += 1
    assert seen > 50
