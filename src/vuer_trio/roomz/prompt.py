"""The prompt: a line editor with a history in memory, and Tab completion.

It needs prompt_toolkit, so it is imported when a prompt is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input.base import Input
from prompt_toolkit.output import create_output
from prompt_toolkit.shortcuts import CompleteStyle

__all__ = ["Complete", "new_prompt"]

_PROMPT = "> "
#: for the text before the cursor: the texts that may stand there, each with how many of the last
#: characters it replaces
Complete = Callable[[str], Iterable[tuple[str, int]]]


def new_prompt(keyboard: Input, complete: Complete) -> PromptSession[str]:
    """A prompt. Each line is erased: it is shown again when the server has received it."""
    return PromptSession(
        _PROMPT,
        erase_when_done=True,
        input=keyboard,
        output=create_output(always_prefer_tty=True),
        history=_History(),
        completer=_Completer(complete),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
    )


class _History(InMemoryHistory):
    """Nothing is written to disk, and a token cannot be brought back with the arrow keys."""

    def append_string(self, string: str) -> None:
        """Keep a line that has been entered."""
        if not string.lstrip().startswith("/token"):
            super().append_string(string)


class _Completer(Completer):
    def __init__(self, complete: Complete) -> None:
        self._complete = complete

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        """See prompt_toolkit."""
        for text, replaced in self._complete(document.text_before_cursor):
            yield Completion(text, -replaced)
