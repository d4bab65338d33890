"""The scene of ``vuer-trio serve --redis``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from .._errors import ConnectionFailed
from ..bus import RedisBus
from ..schemas import DefaultScene
from ..server import SceneStore
from .statuses import CommandFailed, Status

__all__ = ["check_uri", "open_shared_scene"]


def check_uri(uri: str | None) -> RedisBus | None:
    """The bus at a URI. Raises CommandFailed."""
    if uri is None:
        return None
    try:
        return RedisBus(uri)
    except ValueError as exc:
        raise CommandFailed(
            str(exc).replace("the URI of a RedisBus", "--redis"), Status.USAGE
        ) from exc
    except ImportError as exc:
        raise CommandFailed(str(exc)) from exc


@asynccontextmanager
async def open_shared_scene(uri: str | None) -> AsyncGenerator[SceneStore | None, None]:
    """The scene that is shared through this Redis; None without a URI.

    Raises CommandFailed.
    """
    bus = check_uri(uri)
    if bus is None:
        yield None
        return
    store = SceneStore(DefaultScene(), bus=bus)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(store)
        except ConnectionFailed as exc:
            raise CommandFailed(str(exc), Status.NO_CONNECTION) from exc
        yield store
