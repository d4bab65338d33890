"""``--version``."""

from __future__ import annotations

import argparse

__all__ = ["add_version"]


def add_version(parser: argparse.ArgumentParser) -> None:
    """``--version``, which needs no packages."""
    parser.add_argument("--version", action=_Version, help="show the version and exit")


class _Version(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> None:
        """Look it up only now, which takes a while."""
        print(f"{parser.prog} {_version()}")
        parser.exit()


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("vuer-trio")
    except PackageNotFoundError:
        return "unknown"
