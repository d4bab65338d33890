"""argparse's parser, with errors that say what to do, and a help that fits the terminal."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from .._formatting import HIDDEN, shown, shown_uri
from .colours import is_terminal
from .suggestions import did_you_mean

__all__ = ["Parser"]

#: columns; longer lines are hard to read
_WIDEST = 100
_CHOICE = re.compile(r"^(?:argument (.*?): )?invalid choice: (.+?) \(choose from (.*)\)$", re.S)
_REQUIRED = "the following arguments are required: "
#: a line of a table: a name, and what is said of it
_ROW = re.compile(r" +\S+(?: \S+)* {2,}(?=\S)")
_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+")


class Parser(argparse.ArgumentParser):
    """A parser of a command, or of one of its subcommands.

    Options may stand before, between and after the other arguments. The text of an error names an
    option, but never the value of one that is unknown, which may be a password.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        options = {"formatter_class": _Formatter, "allow_abbrev": False, **options}
        super().__init__(*args, **options)
        self.suggest_on_error = False  # of Python 3.14; done here, on every Python
        self._mixing = False

    def parse_known_args(  # type: ignore[override]  # the overloads of typeshed say the same
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """See `argparse`."""
        if self._mixing:  # the two passes of parse_known_intermixed_args, on Python 3.11
            return super().parse_known_args(args, namespace)
        words = sys.argv[1:] if args is None else list(args)
        kinds = {action.nargs for action in self._get_positional_actions()}
        if argparse.REMAINDER in kinds:  # what follows are the options of another program
            return super().parse_known_args(words, namespace)
        has_commands = argparse.PARSER in kinds
        self._refuse_unknown(words, has_commands)
        if has_commands:
            return super().parse_known_args(words, namespace)
        self._mixing = True
        try:
            found, rest = self.parse_known_intermixed_args(words, namespace)
        finally:
            self._mixing = False
        if rest:  # said here, because the parser of all commands has another name and help
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def _refuse_unknown(self, words: Sequence[str], has_commands: bool) -> None:
        """Before anything else: the value of a mistyped option would be taken for an argument."""
        for word in words:
            if word == "--" or (has_commands and word in self._names_of_commands()):
                return
            if not word.startswith("-") or word == "-" or _NEGATIVE.fullmatch(word):
                continue
            name = word.partition("=")[0]
            if word in self._option_string_actions or name in self._option_string_actions:
                continue
            if " " in word:
                continue  # argparse takes it for an argument
            if name[1] == "-":
                self._unknown(name)
            elif name[:2] not in self._option_string_actions:
                self._unknown(name[:2])  # the rest may be its value

    def _names_of_commands(self) -> Sequence[str]:
        for action in self._get_positional_actions():
            if action.nargs == argparse.PARSER and action.choices is not None:
                return list(action.choices)
        return ()

    def _visible_options(self) -> Iterator[str]:
        for action in self._get_optional_actions():
            if action.help is not argparse.SUPPRESS:
                yield from action.option_strings

    def _unknown(self, name: str) -> NoReturn:
        known = list(self._visible_options())
        meant = did_you_mean(name, [each for each in known if each.startswith("--")])
        hint = f"did you mean {meant}?" if meant else None
        self._leave(f"there is no option {shown(name, 40)}", hint)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and what to do on stderr, and exit with 2."""
        if message.startswith(_REQUIRED):
            self.print_usage(sys.stderr)
            self._leave(f"{message.removeprefix(_REQUIRED).replace(', ', ' and ')} missing")
        if (found := _CHOICE.match(message)) is not None:
            names = [name.strip("'\"") for name in found[3].split(", ")]
            wrong = found[2].strip("'\"")
            meant = did_you_mean(wrong, names)
            hint = f"did you mean {meant}?" if meant else f"choose from {', '.join(names)}"
            is_command = argparse.PARSER in {each.nargs for each in self._get_positional_actions()}
            what = "there is no command" if is_command else f"{found[1]} cannot be"
            self._leave(f"{what} {shown(shown_uri(wrong), 60)!r}", hint)
        told = _reworded(message.removeprefix("argument "))
        what, colon, rest = told.partition("unrecognized arguments: ")
        if colon:
            rest = re.sub(r"(?<!\S)(-[^\s=]+)(?:=|\s+(?!-)).*?(?=\s-|$)", rf"\1 {HIDDEN}", rest)
            told = f"{what}one argument too many: {rest}"
        self._leave(re.sub(r"\S+(//|@)\S+", lambda found: shown_uri(found[0]), told))

    def _print_message(self, message: str, file: Any = None) -> None:
        """Unlike argparse, which does not say that the disk was full."""
        file = sys.stderr if file is None else file
        if message and file is not None:
            file.write(message)

    def _leave(self, told: str, hint: str | None = None) -> NoReturn:
        text = f"{self.prog}: error: {told}{'' if hint is None else f'; {hint}'}"
        if is_terminal(sys.stderr):
            text = textwrap.fill(text, _columns(), break_long_words=False, break_on_hyphens=False)
        self.exit(2, f"{text}\n`{self.prog} --help` shows the arguments.\n")


def _columns() -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST)


def _reworded(told: str) -> str:
    """Some of argparse's messages in the form of this package's."""
    told = re.sub(r"^(\S+): invalid int value: ", r"\1 must be an integer, got ", told)
    told = re.sub(r"^(\S+): invalid float value: ", r"\1 must be a number, got ", told)
    told = re.sub(
        r"^(\S+): expected (one argument|at least one argument)$", r"\1 needs a value", told
    )
    told = re.sub(
        r"^(\S+): not allowed with argument (\S+)$", r"\1 and \2 exclude each other", told
    )
    return re.sub(r"^(\S+): must be ", r"\1 must be ", told)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Wraps what is prose in a description, and keeps what is a table or an example."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, width=_columns() - 2, **options)

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: Any) -> str:
        """The arguments without the options, which are listed below and would fill lines."""
        arguments = [action for action in actions if not action.option_strings]
        plain, self._prog = self._prog, f"{self._prog} [OPTION]..."
        try:
            return super()._format_usage(usage, arguments, [], prefix)
        finally:
            self._prog = plain

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(_wrapped(text, width))


def _wrapped(text: str, width: int) -> Iterator[str]:
    prose: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line and not line.startswith(" "):
            prose.append(line)
            continue
        if prose:
            yield from textwrap.wrap(" ".join(prose), width, break_on_hyphens=False)
            prose.clear()
        yield from _row(line, width)


def _row(line: str, width: int) -> list[str]:
    """A line of a table, with its text wrapped below itself; other lines as they are."""
    found = _ROW.match(line)
    if len(line) <= width or found is None or found.end() > width * 0.6:
        return [line]
    indent = " " * found.end()
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False)
