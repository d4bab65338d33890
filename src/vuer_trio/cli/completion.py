"""``vuer-trio completion``: Tab completion for a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib.metadata import version
from itertools import pairwise
from typing import Any

from .parsing import build_parser, module_of
from .statuses import Status

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "execute"]

HELP = "print a script for Tab completion in a shell"
DESCRIPTION = """\
Print a script for a shell. With it, the Tab key completes commands, options, files, and the types
of events.

  eval "$(vuer-trio completion bash)"           in ~/.bashrc
  eval "$(vuer-trio completion zsh)"            in ~/.zshrc, after compinit
  vuer-trio completion fish | source            in ~/.config/fish/config.fish

A file makes new shells start faster; renew it after an upgrade:

  vuer-trio completion bash > ~/.local/share/bash-completion/completions/vuer-trio
  vuer-trio completion zsh > ~/.zfunc/_vuer-trio            with fpath+=~/.zfunc before compinit
  vuer-trio completion fish > ~/.config/fish/completions/vuer-trio.fish

It needs the extra `cli`."""

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")
_FILES = ("FILE", "PROGRAM.py")
_FOLDERS = ("FOLDER", "DIR", "DIRECTORY")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `PlainCommand`."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def execute(args: argparse.Namespace) -> int:
    """See `PlainCommand`."""
    try:
        import shtab
    except ImportError:
        return _complain("this needs the package shtab: pip install 'vuer-trio[cli]'")
    if args.shell not in shtab.SUPPORTED_SHELLS:
        known = ", ".join(shtab.SUPPORTED_SHELLS)
        return _complain(
            f"shtab {version('shtab')} knows {known}, and not {args.shell}; pip install -U shtab"
        )
    parser = build_parser()
    for sub in _parsers(parser):
        for action in sub._actions:
            if isinstance(action.metavar, str) and action.choices is None:
                _complete(action, action.metavar, shtab)
        for first, second in pairwise(sub._get_positional_actions()):
            if first.metavar == "URI":  # it may be left out
                _complete(first, str(second.metavar), shtab)
    script = shtab.complete(parser, shell=args.shell)
    sys.stdout.write(script if script.endswith("\n") else f"{script}\n")
    return Status.DONE


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser, and those of the commands, each with one line for a description."""
    yield parser
    for action in parser._actions:
        if action.nargs == argparse.PARSER and isinstance(action.choices, dict):
            for name, sub in action.choices.items():
                sub.description = module_of(name).HELP
                yield sub


def _complete(action: Any, metavar: str, shtab: Any) -> None:
    """What an argument may be, by the name that the help gives it."""
    if metavar in _FILES:
        action.complete = shtab.FILE
    elif metavar in _FOLDERS:
        action.complete = shtab.DIRECTORY
    elif metavar == "ETYPE":
        action.choices = _etypes(sent=not action.option_strings)


def _etypes(*, sent: bool) -> list[str]:
    """The types of events that a server sends, or that a client sends."""
    from .. import events

    base = events.ClientEvent if sent else events.ServerEvent
    classes = (getattr(events, name) for name in events.__all__)
    found = {
        getattr(each, "etype", None)
        for each in classes
        if isinstance(each, type) and issubclass(each, base)
    }
    return sorted(etype for etype in found if isinstance(etype, str) and etype)


def _complain(text: str) -> Status:
    print(f"vuer-trio: {text}", file=sys.stderr)
    return Status.FAILED
