"""What a contributor reads, and what machines of a forge read, is true: names, paths, commands."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # myst-parser brings it

from tests.backends import BACKENDS
from tests.docs.doc_blocks import ROOT, SOURCE, blocks, target_of

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PACKAGE = ROOT / "src" / "vuer_trio"
GITHUB = ROOT / ".github"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROSE = [
    *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md")),
    GITHUB / "PULL_REQUEST_TEMPLATE.md",
]
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
OTHERS = [ROOT / ".pre-commit-config.yaml", ROOT / ".readthedocs.yaml"]


def table(heading: str) -> list[list[str]]:
    """The cells of all tables of a section, without their heads."""
    section = CONTRIBUTING.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line[:1] == "|"]
    cells = [[cell.strip(" `") for cell in row] for row in rows]
    ruled = [index for index, row in enumerate(cells) if set("".join(row)) == {"-"}]
    return [row for index, row in enumerate(cells) if not {index, index + 1} & {*ruled}]


def loaded(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text("utf-8"))
    assert isinstance(content, dict)
    return {"on" if key is True else key: value for key, value in content.items()}  # YAML 1.1


# ---- CONTRIBUTING


def test_the_set_up_is_that_of_the_readme() -> None:
    set_up = blocks(CONTRIBUTING)[0].source.splitlines()
    assert len(set_up) == 2
    (tests,) = (b for b in blocks(ROOT / "README.md") if b.notes.get("command") == "tests")
    assert tests.source.startswith(" && ".join([*set_up, ""]))


def test_the_commands_name_tests_and_backends_that_are_there() -> None:
    commands = blocks(CONTRIBUTING)[1].source.splitlines()
    names = {backend.name for backend in BACKENDS}
    seen = set()
    for command in commands:
        program, *arguments = shlex.split(command, comments=True)
        assert program == ".venv/bin/pytest"
        for argument in arguments:
            path, _, test = argument.partition("::")
            if path.startswith("tests/"):
                assert (ROOT / path).exists(), command
                if test:
                    function, backend = re.fullmatch(r"(\w+)\[(.+)\]", test).groups()  # type: ignore[union-attr]  # or fails
                    assert f"def {function}(" in (ROOT / path).read_text("utf-8")
                    seen.add(backend)
            elif "/" in path:
                seen.add(path)
    assert seen
    assert seen <= names
    for name in names:
        assert f"`{name}`" in CONTRIBUTING.read_text("utf-8")


def test_every_path_that_it_names_is_there() -> None:
    """From the root, or within the package."""
    named = set(re.findall(r"`([\w./-]*/[\w./-]*|\w+\.(?:py|toml|md))`", prose_of(CONTRIBUTING)))
    named -= {backend.name for backend in BACKENDS} | {"build/docs", "build/autobahn"}
    folders = (ROOT, PACKAGE, GITHUB / "workflows")
    missing = [path for path in named if not any((folder / path).exists() for folder in folders)]
    assert not missing
    assert len(named) > 30


def prose_of(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)


def definitions(file: str) -> set[str]:
    """The classes, functions and methods that a file defines."""
    found = set()
    for node in ast.parse((PACKAGE / file).read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
            inside = node.body if isinstance(node, ast.ClassDef) else []
            found |= {
                f"{node.name}.{item.name}"
                for item in inside
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return found


def test_the_way_of_a_payload_is_one_of_functions_that_are_there() -> None:
    rows = table("The path of one payload")
    for _, file, function, _ in rows:
        assert function in definitions(file), file
    numbers = [int(row[0]) for row in rows]
    inwards = numbers.index(1, 1)
    assert numbers == [*range(1, inwards + 1), *range(1, len(rows) - inwards + 1)]
    everything = set().union(*(definitions(p.relative_to(PACKAGE).as_posix()) for p in modules()))
    section = CONTRIBUTING.read_text("utf-8").split("## The path of one payload")[1]
    methods = set(re.findall(r"`(\w+\.\w+)`", section.split("\n## ")[0]))
    assert {name for name in methods if name[0].isupper()} <= everything


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_the_sessions_are_those_of_the_noxfile() -> None:
    told = [row[0].removeprefix("nox -s ") for row in table("Running things")]
    assert sorted(told) == sorted(sessions())


def sessions() -> set[str]:
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return functions - {"lowest_versions"}


# ---- links


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_a_link_within_the_repository_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose_of(page)):
        there = target_of(page, link)
        assert there is None or there[0].exists(), link


def test_the_repository_has_one_address() -> None:
    urls = PROJECT["project"]["urls"]
    assert urls["Homepage"] == SOURCE
    assert urls["Issues"] == f"{SOURCE}/issues"
    assert target_of(ROOT, urls["Changelog"]) == (ROOT / "CHANGELOG.md", "")
    raw = SOURCE.replace("github.com", "raw.githubusercontent.com")
    for page in [*PROSE, *FORMS, *WORKFLOWS, *OTHERS, *ROOT.glob("docs/*.md")]:
        for address in re.findall(
            r"https://[\w.]+/[\w-]*vuer-trio[\w/-]*", page.read_text("utf-8")
        ):
            assert address.startswith((SOURCE, raw)), f"{page.name}: {address}"


def test_the_changelog_has_the_version_and_a_section_for_what_comes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings[0] == "[Unreleased]"
    released = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d", h) for h in headings[1:]]
    versions = [match[1] for match in released if match]
    assert len(versions) == len(headings) - 1
    assert versions[0] == PROJECT["project"]["version"]
    links = dict(re.findall(r"^\[(.+)\]: (\S+)$", text, re.M))
    assert list(links) == ["Unreleased", *versions]
    assert links["Unreleased"] == f"{SOURCE}/compare/v{versions[0]}...HEAD"
    for version, older in zip(versions, [*versions[1:], None], strict=True):
        compared = f"compare/v{older}...v{version}" if older else f"releases/tag/v{version}"
        assert links[version] == f"{SOURCE}/{compared}"


# ---- what machines read


def pythons() -> list[str]:
    """Those that the package says it runs on."""
    prefix = "Programming Language :: Python :: 3."
    return [
        c.removeprefix(prefix[:-2])
        for c in PROJECT["project"]["classifiers"]
        if c.startswith(prefix)
    ]


def test_each_python_is_tested() -> None:
    assert PROJECT["project"]["requires-python"] == f">={pythons()[0]}"
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    (listed,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PYTHONS"
    )
    assert listed == pythons()
    script = (ROOT / ".ci" / "pythons").read_text("utf-8")
    assert f"for version in {' '.join(pythons())}; do" in script
    jobs = loaded(GITHUB / "workflows" / "tests.yml")["jobs"]
    runs = [step for step in jobs["gate"]["steps"] if step.get("run") == ".ci/run"]
    assert len(runs) == 1
    steps = [step.get("with", {}) for step in jobs["gate"]["steps"]]
    (gate,) = (given["python-version"] for given in steps if "python-version" in given)
    assert [gate, *jobs["tests"]["strategy"]["matrix"]["python"]] == pythons()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_what_it_must(path: Path) -> None:
    workflow = loaded(path)
    assert {"name", "on", "permissions", "jobs"} == workflow.keys()
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert {*job.get("needs", ())} <= workflow["jobs"].keys()
        if "uses" in job:
            assert (ROOT / job["uses"]).exists()
            assert "workflow_call" in loaded(ROOT / job["uses"])["on"]
            continue
        assert job["runs-on"]
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w./-]+@[\w./-]+", step.get("uses", "a@b"))
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_what_a_workflow_runs_is_there() -> None:
    """Sessions of nox, modules and scripts."""
    named = set()
    for path in [*WORKFLOWS, ROOT / ".ci" / "pythons"]:
        text = path.read_text("utf-8")
        named |= set(re.findall(r"nox -s \"?([a-z]+)", text))
        for module in re.findall(r"python3? -m (tests[\w.]*)", text):
            assert importlib.util.find_spec(module), f"{path.name}: {module}"
        for script in re.findall(r"run: (\.\S+)", text):
            assert os.access(ROOT / script, os.X_OK), f"{path.name}: {script}"
    assert named <= sessions()
    assert {"tests", "eager", "lowest", "conformance", "fuzz", "lag"} <= named


def test_a_release_is_published_without_a_token() -> None:
    release = loaded(GITHUB / "workflows" / "release.yml")
    assert release["on"] == {"push": {"tags": ["v*"]}}
    publish = release["jobs"]["publish"]
    assert publish["environment"] == "pypi"
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["needs"] == ["tests", "build"]
    assert not any("with" in s and "password" in s["with"] for s in publish["steps"])
    assert "secrets." not in (GITHUB / "workflows" / "release.yml").read_text("utf-8")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_a_form_for_issues_has_what_it_must(path: Path) -> None:
    form = loaded(path)
    if path.name == "config.yml":
        assert form.keys() <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= form.keys()
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    for field in form["body"]:
        asked = field["attributes"]["value" if field["type"] == "markdown" else "label"]
        assert isinstance(asked, str)


def test_the_hooks_are_those_of_the_environment() -> None:
    (repository,) = loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert [hook["id"] for hook in repository["hooks"]] == ["ruff-format", "ruff-check", "mypy"]
    gate = (ROOT / ".ci" / "run").read_text("utf-8")
    for hook in repository["hooks"]:
        assert hook["entry"].removesuffix(" --force-exclude") in gate


def test_the_site_is_built_of_what_is_here() -> None:
    settings = loaded(ROOT / ".readthedocs.yaml")
    assert settings["version"] == 2
    assert (ROOT / settings["sphinx"]["configuration"]).exists()
    assert settings["build"]["tools"]["python"] in pythons()
    install = settings["build"]["jobs"]["install"][-1]
    for group in re.findall(r"--group (\w+)", install):
        assert group in PROJECT["dependency-groups"]
