"""The sdist and the wheel: each is built, installed alone, and does what it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path, PurePosixPath

import pytest
from markdown_it import MarkdownIt

from tests import ROOT

_DEADLINE = 300.0  # seconds

SMOKE = """
import pathlib, sys, trio, vuer_trio
from vuer_trio import Vuer, open_vuer_client, open_vuer_server
from vuer_trio.events import ClientEvent
from vuer_trio.schemas import Box

folder = pathlib.Path(vuer_trio.__file__).parent
assert folder.parent == pathlib.Path(sys.argv[1]), folder
assert (folder / "py.typed").exists()
app = Vuer()

@app.add_handler("MOVE")
async def on_move(event, session):
    session.upsert @ Box(key="box", position=event.value)

async def main():
    async with open_vuer_server(app, port=0) as server, open_vuer_client(server.uri) as client:
        client.send @ ClientEvent(etype="MOVE", value=[1, 2, 3])
        event = await client.recv(timeout=60)
        print(event.etype, event.data["nodes"][0]["position"])

trio.run(main)
"""


def run(*command: str | Path, **settings: str) -> str:
    """What it prints; it must exit with 0."""
    foreign = ("VUER_", "COV", "PYTHON", "WEBSOCKET_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    done = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        env={**own, **settings},
        timeout=_DEADLINE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_it_works_on_its_own(kind: str, packages: dict[str, Path], tmp_path: Path) -> None:
    """In a folder that holds nothing else; what it depends on is this interpreter's."""
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--no-build-isolation", "--target", tmp_path, packages[kind]),
    )
    here = str(tmp_path)
    smoke = run(sys.executable, "-W", "error", "-c", SMOKE, here, PYTHONPATH=here)
    assert smoke == "UPSERT [1, 2, 3]\n"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "roomz-cli" in project["scripts"]
    for name in project["scripts"]:
        shown = run(tmp_path / "bin" / name, "--help", PYTHONPATH=here)
        assert shown.startswith("usage: "), shown


def test_the_wheel_holds_the_package_and_its_plugin_and_nothing_else(
    packages: dict[str, Path],
) -> None:
    with zipfile.ZipFile(packages["wheel"]) as wheel:
        names = set(wheel.namelist())
    (info,) = {PurePosixPath(name).parts[0] for name in names} - {
        "vuer_trio",
        "pytest_vuer_trio.py",
    }
    assert info.endswith(".dist-info")
    assert {f"{info}/licenses/LICENSE", f"{info}/entry_points.txt"} <= names
    sources = (ROOT / "src").rglob("*.py")
    here = {path.relative_to(ROOT / "src").as_posix() for path in sources}
    assert {name for name in names if name.endswith(".py")} == here


def test_the_sdist_holds_what_the_tests_and_the_documentation_need(
    packages: dict[str, Path],
) -> None:
    with tarfile.open(packages["sdist"]) as sdist:
        names = {
            PurePosixPath(name).relative_to(sdist.getnames()[0].split("/")[0]).as_posix()
            for name in sdist.getnames()
        }
    for folder in ("src", "tests", "docs", "examples", "benchmarks"):
        here = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob("*")
            if path.suffix in (".py", ".md", ".json", ".jpg", ".svg")
        }
        assert here <= names
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "docs/conf.py"} <= names
    assert {"CONTRIBUTING.md", "SECURITY.md", "noxfile.py", ".ci/run"} <= names
    assert {".readthedocs.yaml", ".pre-commit-config.yaml", ".github/workflows/tests.yml"} <= names


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def test_an_index_shows_the_readme_without_a_dead_link(packages: dict[str, Path]) -> None:
    """A relative link would lead nowhere there, and one into the repository leads to a file."""
    about = metadata(packages["wheel"])
    assert about["Description-Content-Type"] == "text/markdown"
    payload = about.get_payload(decode=True)
    assert isinstance(payload, bytes)
    rendered = MarkdownIt("commonmark").enable("table").render(payload.decode())
    links = re.findall(r'(?:href|src)="([^"]*)"', rendered)
    assert len(links) > 40
    source = dict(url.split(", ") for url in about.get_all("Project-URL", []))["Source"]
    raw = source.replace("github.com", "raw.githubusercontent.com")
    into = re.compile(rf"{source}/(blob|tree)/main/(.+)|({raw})/main/(.+)")
    files = 0
    for link in links:
        assert link.startswith("https://"), link
        if link.startswith((source, raw)):
            found = into.fullmatch(link)
            assert found is not None, link
            path = ROOT / (found[2] or found[4]).partition("#")[0]
            assert path.is_dir() if found[1] == "tree" else path.is_file(), link
            files += 1
    assert files > 30


def test_an_index_is_told_where_everything_is(packages: dict[str, Path]) -> None:
    about = metadata(packages["wheel"])
    urls = dict(url.split(", ") for url in about.get_all("Project-URL", []))
    assert urls.keys() == {"Homepage", "Documentation", "Source", "Changelog", "Issues"}
    told = about.get_all("Classifier", [])
    frameworks = {f"Framework :: {name}" for name in ("AnyIO", "AsyncIO", "Trio")}
    assert frameworks | {"Typing :: Typed"} <= {*told}
