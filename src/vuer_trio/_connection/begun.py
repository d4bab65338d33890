"""A coroutine whose first step has been taken."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any

__all__ = ["Begun"]


class Begun:
    """``await Begun(coroutine, coroutine.send(None))``: the same as ``await coroutine``.

    So its caller can do something at the end of the first step.
    """

    __slots__ = ("_awaited", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, object], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        # What `yield from` does, which would begin with another first step.
        coroutine, awaited = self._coroutine, self._awaited
        try:
            while True:
                try:
                    sent = yield awaited
                except BaseException as exc:
                    awaited = coroutine.throw(exc)
                else:
                    awaited = coroutine.send(sent)
        except StopIteration:
            return
