"""Sessions for contributors: ``nox -l`` lists them, and CONTRIBUTING.md says what each is for."""

from __future__ import annotations

import os

import nox

nox.options.sessions = ["lint", "typing", "tests"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14", "3.15"]


def lowest_versions() -> list[str]:
    """The lower bound of each dependency and extra, as a pin."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    wanted = sum(project["optional-dependencies"].values(), project["dependencies"])
    return sorted({name.replace(">=", "==") for name in wanted if ">=" in name})


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests."""
    session.install("-e", ".[all]", "--group", "dev")
    session.run("pytest", "-n", "auto", "--full", *session.posargs)


@nox.session(python=PYTHONS[1:])  # asyncio has them from 3.12 on
def eager(session: nox.Session) -> None:
    """The tests of behaviour, where a task of asyncio's begins in the call that creates it."""
    session.install("-e", ".[all]", "--group", "test")
    chosen = ["tests/behaviour", "--full", "--eager-tasks", *session.posargs]
    session.run("pytest", "-n", "auto", *chosen)


@nox.session
def thorough(session: nox.Session) -> None:
    """All tests, with every repetition, and every case on every backend."""
    session.install("-e", ".[all]", "--group", "dev")
    session.run("pytest", "-n", "auto", "--thorough", *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Those that need no peer, with the lowest versions that are admitted."""
    session.install("-e", ".[all]", "--group", "test", *lowest_versions())
    chosen = session.posargs or ["tests/unit", "tests/behaviour"]
    session.run("pytest", "-n", "auto", "--full", *chosen)


@nox.session
def lint(session: nox.Session) -> None:
    """Format and style."""
    session.install("--group", "lint")
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")


@nox.session
def typing(session: nox.Session) -> None:
    """Types."""
    session.install("-e", ".[all]", "--group", "lint")
    session.run("mypy", "--strict", "src")


@nox.session
def docs(session: nox.Session) -> None:
    """The site, into build/docs."""
    session.install("-e", ".[all]", "--group", "docs")
    session.run("sphinx-build", "-W", "docs", "build/docs", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Against the reference; writes benchmarks/RESULTS.md."""
    session.install("-e", ".[all]", "--group", "test", "--group", "interop")
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session(python=PYTHONS[0])
def conformance(session: nox.Session) -> None:
    """Autobahn|Testsuite; reports into build/autobahn."""
    # later ones of virtualenv make no environments for the suite's Python 2.7
    session.install("-e", ".[all]", "--group", "test", "virtualenv<20.22")
    session.run("python", "-m", "tests.conformance.run", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Many clients for a long time."""
    session.install("-e", ".[all]", "--group", "test")
    seconds = os.environ.get("SOAK_SECONDS", "600")
    chosen = ["tests/soak", "--thorough", *session.posargs]
    session.run("pytest", *chosen, env={"SOAK_SECONDS": seconds})


@nox.session(python=PYTHONS[0])
def fuzz(session: nox.Session) -> None:
    """Inputs for the parsers that take new ways through them, ten minutes for all."""
    session.install("-e", ".[all]", "--group", "test", "--group", "fuzz")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def lag(session: nox.Session) -> None:
    """The tests of behaviour with readers that lag, and then with their tasks in other orders."""
    session.install("-e", ".[all]", "--group", "test")
    chosen = ["tests/behaviour", "--full", *session.posargs]
    session.run("pytest", "-n", "auto", "--lag", *chosen)
    session.run("pytest", "-n", "auto", "--shuffle", *chosen)
