"""How Sphinx makes a site of these pages: ``sphinx-build -W docs build/docs``.

The pages are Markdown that a forge shows as well, so links between them are relative ``.md`` links,
and there is no markup of Sphinx in them but for `index.md` and `reference/`.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
CHANGELOG = HERE.parent / "CHANGELOG.md"
BENCHMARKS = HERE.parent / "benchmarks"
#: page: what of the benchmarks it shows
TABLES = {"benchmarks": "RESULTS.md", "security": "ATTACKS.md"}
#: pages that hold what is in a file elsewhere, which may have changed
AGAIN = ("index", "changelog", *TABLES)
sys.path.insert(0, str(HERE.parent / "src"))

from vuer_trio.schemas import Element  # noqa: E402

project = "vuer-trio"
author = "The vuer-trio authors"
project_copyright = author
_PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]
version = release = _PROJECT["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.linkcode",
    "sphinx_copybutton",
    "sphinx_design",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
templates_path: list[str] = []
exclude_patterns = ["pictures"]

html_theme = "furo"
pygments_dark_style = "github-dark"  # that of furo underlines each module
html_title = f"vuer-trio {release}"
html_static_path: list[str] = []
html_copy_source = False
html_show_sphinx = False

# what stands in single backticks in a docstring is a name of ours, or just a name
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

# A button copies a console's commands, without the prompts and what they print.
copybutton_prompt_text = "$ "

#: whose reference the names in ours lead to
_OTHERS = {
    "python": "https://docs.python.org/3/",
    "trio": "https://trio.readthedocs.io/en/stable/",
    "anyio": "https://anyio.readthedocs.io/en/stable/",
    "numpy": "https://numpy.org/doc/stable/",
}
# A build needs no network: it has these links where the site is published, or from the files
# `python.inv`, ... in a folder.
intersphinx_mapping: dict[str, tuple[str, str | None]] = {}
if _folder := os.environ.get("VUER_TRIO_INVENTORIES"):
    intersphinx_mapping = {
        name: (url, str(Path(_folder, f"{name}.inv"))) for name, url in _OTHERS.items()
    }
elif os.environ.get("READTHEDOCS") == "True":
    intersphinx_mapping = {name: (url, None) for name, url in _OTHERS.items()}

# the reference of a module that is not there is left out
for page in (HERE / "reference").glob("*.md"):
    for module in re.findall(r"automodule:: (\S+)", page.read_text("utf-8")):
        parent, _, _ = module.rpartition(".")
        if parent and not find_spec(module):
            exclude_patterns.append(f"reference/{page.name}")

_NOTE = re.compile(r"^<!-- .* -->$", re.M)
_TOCTREE = re.compile(r"^```{toctree}\n.*?^```$", re.M | re.S)
#: where a link of the README leads that is a link within this folder here
_SOURCE = _PROJECT["urls"]["Source"].removeprefix("https://github.com/")
_FROM_HERE = re.compile(
    rf"(?<=\]\()https://(?:github\.com/{_SOURCE}/blob|raw\.githubusercontent\.com/{_SOURCE})/main/docs/"
)
#: sections of the README that the site has elsewhere, or in another form
_ELSEWHERE = re.compile(r"^## (?:Where to begin|Guide)\n.*?(?=^## )", re.M | re.S)
#: what the source links to: the commit that is published, else the newest
_COMMIT = os.environ.get("READTHEDOCS_GIT_COMMIT_HASH", "main")


def prepare(_app: Any, docname: str, source: list[str]) -> None:
    """Take the notes for the tests out, and put in what is in files elsewhere."""
    text = source[0]
    if docname == "index":
        beginning, rest = readme()
        text = text.replace("<!-- the README begins -->", beginning)
        text = text.replace("<!-- the README goes on -->", rest)
    if docname == "changelog":
        changes = CHANGELOG.read_text("utf-8").partition("\n")[2]
        text = text.replace("<!-- the changes -->", changes)
    if docname in TABLES:
        results = (BENCHMARKS / TABLES[docname]).read_text("utf-8").partition("\n")[2]
        text = text.replace("<!-- the table of results -->", f"## The table\n{results}")
    text = text.replace("](../README.md", "](index.md").replace("](../bench", "](path:../bench")
    folder = (HERE / docname).parent
    text = _TOCTREE.sub(lambda match: with_what_exists(match[0], folder), text)
    source[0] = _NOTE.sub("", text)


def readme() -> tuple[str, str]:
    """The README, with links as from this folder: what is above its first section, and the rest."""
    text = README.read_text("utf-8")
    first = text.index("\n## ") + 1
    text = text[:first] + _ELSEWHERE.sub("", text[first:])
    text = _FROM_HERE.sub("", text)
    text = text.replace(f"https://github.com/{_SOURCE}/blob/main/CHANGELOG.md", "changelog.md")
    first = text.index("\n## ") + 1
    return text[:first], text[first:]


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Where the source of a name of the reference is, at the forge."""
    if domain != "py" or not info["module"]:
        return None
    item: Any = importlib.import_module(info["module"])
    try:
        for name in info["fullname"].split("."):
            item = inspect.getattr_static(item, name)
            item = getattr(item, "fget", None) or getattr(item, "__func__", item)
        item = inspect.unwrap(item)
        path = Path(inspect.getsourcefile(item) or "").resolve().relative_to(HERE.parent)
        lines, first = inspect.getsourcelines(item)
    except (AttributeError, TypeError, ValueError, OSError):
        return None  # data, which has no source of its own
    source = _PROJECT["urls"]["Source"]
    return f"{source}/blob/{_COMMIT}/{path}#L{first}-L{first + len(lines) - 1}"


def with_what_exists(toctree: str, folder: Path) -> str:
    """A table of contents without the pages that are not there.

    One that is there and in no table is an error of Sphinx's.
    """
    opening, *entries, end = toctree.splitlines()
    there = set(HERE.rglob("*.md")) - {HERE / name for name in exclude_patterns}
    kept = [e for e in entries if not re.match(r"\w", e) or folder / f"{e}.md" in there]
    return "\n".join([opening, *kept, end])


def as_text(
    _app: Any, _what: str, _name: str, _obj: object, _options: Any, lines: list[str]
) -> None:
    """Let what is indented in a docstring be code, as it is meant, and not a quotation."""
    out: list[str] = []
    inside = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not inside and not (out and _opens(out)):
            out += ["", "::", ""]
        inside = indented or (inside and not line.strip())
        out.append(line)
    lines[:] = out


def shorter(
    _app: Any, what: str, _name: str, obj: Any, _options: Any, signature: str | None, returns: str
) -> tuple[str | None, str]:
    """Most elements take what all take, which is not worth three lines for each."""
    if what == "class" and issubclass(obj, Element) and "__init__" not in vars(obj):
        signature = "(*children, **props)"
    # what stands for "not given" is nobody's business
    return signature and signature.replace("<object object>", "..."), returns


def _opens(out: list[str]) -> bool:
    """Whether the last line that says anything begins a block of its own."""
    last = next((line for line in reversed(out) if line.strip()), "")
    return last.rstrip().endswith("::") or last.lstrip().startswith(("..", "- ", "* "))


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", prepare)
    app.connect("autodoc-process-docstring", as_text)
    app.connect("env-before-read-docs", lambda _app, _env, names: names.extend(AGAIN))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
