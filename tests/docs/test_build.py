"""The site of the documentation is built without a warning, and has every public name."""

from __future__ import annotations

import html
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from doc_blocks import PAGES, ROOT, SOURCE, blocks

import vuer_trio

DOCS = ROOT / "docs"
#: what programs import from; everything else is a part of these
PUBLIC = [
    "vuer_trio",
    *(f"vuer_trio.{name}" for name in ("arc", "codec", "events", "roomz", "scene", "schemas")),
    *(f"vuer_trio.{name}" for name in ("server", "sync")),
]
#: those that have no place yet in the list above, but one in the reference if they are there
MORE = ("vuer_trio.record", "vuer_trio.testing")
_BUILDING = 300.0  # seconds


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the pages as a browser gets them."""
    folder = tmp_path_factory.mktemp("site")
    python_path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"),
            *("--builder", "html", "--doctree-dir", folder / "doctrees"),
            *(DOCS, folder / "html"),
        ],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": python_path, "NO_COLOR": "1"},
        timeout=_BUILDING,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return folder / "html"


def test_every_page_is_there(site: Path) -> None:
    for page in DOCS.glob("*.md"):
        assert (site / f"{page.stem}.html").exists()
    assert "The shortest programs" in (site / "index.html").read_text("utf-8")


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
