"""Secrets that a test gives away, and all the places where they might be seen.

Each secret holds `MARK`, which no source line of a test holds: a traceback quotes those.
"""

from __future__ import annotations

import logging
import traceback
from base64 import b64encode
from typing import Any

import pytest

__all__ = ["MARK", "SecretWatch", "secret"]

MARK = "-".join(("zq", "7131"))


def secret(name: str) -> str:
    """One that says in a failing test what it is."""
    return f"{name}{MARK}"


class SecretWatch:
    """Looks at errors, objects, output, and at every line of every log, debugging included."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        self._caplog = caplog
        self.seen: list[str] = []
        self.errors: list[str] = []  # str() of those, in order

    def look(self, *things: object) -> None:
        """At what an object or an error says of itself, and at a whole traceback."""
        for thing in things:
            if isinstance(thing, BaseException):
                self.errors.append(str(thing))
                self.seen.append("".join(traceback.format_exception(thing)))
                self.seen.append(repr(thing))
                told = {name: value for name, value in vars(thing).items() if name != "frame"}
                self.seen.append(repr(told))  # a frame is for who wants the bytes
            else:
                self.seen += [repr(thing), str(thing)]

    async def fails(self, opening: Any, kind: type[Exception] = Exception) -> BaseException:
        """Enter it, which has to fail."""
        with pytest.raises(kind) as error:
            async with opening:
                pass
        self.look(error.value)
        return error.value

    def check(self, *, more: tuple[str, ...] = (), of_peers: tuple[str, ...] = ()) -> None:
        """Nothing was seen. ``of_peers``: loggers of what a test talks to, in this process."""
        formatter = logging.Formatter("%(name)s %(threadName)s %(message)s")
        lines = [formatter.format(r) for r in self._caplog.records if r.name not in of_peers]
        basic = b64encode(f"me:{secret('password')}".encode()).decode()
        marks = (MARK, basic, *more)
        for text in (*self.seen, *lines):
            for mark in marks:
                assert mark not in text, text[max(0, text.find(mark) - 300) :][:700]
            assert "\x1b" not in text, ascii(text)
            assert "\x9b" not in text, ascii(text)
