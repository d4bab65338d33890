"""Which async library a module needs: Trio, asyncio, or neither that is known."""

from __future__ import annotations

__all__ = ["ASYNCIO", "TRIO", "library_of"]

TRIO, ASYNCIO = "trio", "asyncio"

#: packages that run on asyncio alone, beside those whose names say so (`library_of`); those that
#: run on Trio as well, such as httpx and anyio, are not here
_ASYNCIO_ONLY = frozenset(
    {
        *("async_timeout", "asyncpg", "asyncssh", "asyncua", "bleak", "discord", "gmqtt", "janus"),
        *("kopf", "livekit", "mavsdk", "motor", "moteus", "nats", "pyppeteer", "pyrogram"),
        *("qasync", "quart", "sanic", "telethon", "tornado", "uvicorn", "uvloop", "websockets"),
    }
)
#: parts of a module's path that say so: ``redis.asyncio``, ``grpc.aio``
_ASYNCIO_PARTS = frozenset({"asyncio", "aio", "async_api"})
#: and one that says the opposite: ``websockets.sync.client``
_SYNC = "sync"


def library_of(module: object) -> str:
    """``"trio"``, ``"asyncio"``, or ``""``, for a module by its full name.

    asyncio's are its own modules, those with a part ``asyncio`` or ``aio`` in their names, packages
    named ``aio...``, ``..._asyncio`` or ``asyncio_...``, and a few that are known.
    """
    if not isinstance(module, str):
        return ""
    parts = module.split(".")
    if parts[0] == "vuer_trio":
        return ""
    top = parts[0].removeprefix("_")  # `_asyncio`, where some of asyncio's functions are from
    if top == TRIO or top.startswith("trio_"):
        return TRIO
    if not top or _SYNC in parts:
        return ""
    if (
        top in _ASYNCIO_ONLY
        or top.startswith("aio")
        or ASYNCIO in top.split("_")
        or not _ASYNCIO_PARTS.isdisjoint(parts)
    ):
        return ASYNCIO
    return ""
