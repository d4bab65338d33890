"""What ``@app.spawn()`` and ``@app.bind()`` make of a function: itself, and it starts the app."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, TypeVar

__all__ = ["Startable"]

F = TypeVar("F", bound=Callable[..., Any])


class Startable(Generic[F]):
    """The function ``fn``, which can be called as before; `start` starts its app."""

    def __init__(self, fn: F, start: Callable[..., None]) -> None:
        #: as it was registered
        self.fn: F = fn
        self._start = start
        update_wrapper(self, fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Startable {self.fn!r}>"

    def start(self, **options: Any) -> None:
        """The same as `Vuer.start`."""
        self._start(**options)
