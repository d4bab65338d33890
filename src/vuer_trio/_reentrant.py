"""An async context manager that can be entered again after it was left."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import Any, Self

from ._interrupts import protected

__all__ = ["ReentrantContextManager"]


class ReentrantContextManager:
    """``async with``, written as one generator: `_in_block`."""

    _block: AbstractAsyncContextManager[object] | None = None

    @abstractmethod
    def _in_block(self) -> AbstractAsyncContextManager[object]:
        """Its life, made anew for each block."""

    @protected
    async def __aenter__(self) -> Self:
        block = self._in_block()
        await block.__aenter__()
        self._block = block
        return self

    @protected
    async def __aexit__(self, *exc: Any) -> bool | None:
        block, self._block = self._block, None
        assert block is not None
        return await block.__aexit__(*exc)
