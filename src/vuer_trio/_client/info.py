"""What a client says of itself in its ``INIT`` event."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

__all__ = ["get_client_info"]

_ZONEINFO = re.compile(r".*zoneinfo/(?:posix/|right/)?(.+)")  # the rest of such a path is a name
_AREA = re.compile(r"[A-Z]\w*(?:/[\w+-]+)+|UTC|GMT")  # "Europe/Berlin": no tz database needed


def get_client_info() -> dict[str, Any]:
    """This client's description; all values are plain data, and nothing is raised.

    ``client`` is "python"; ``clientVersion`` the version of this library; ``timezone`` an IANA
    name where the system has one, else its abbreviation; ``timezoneOffset`` minutes from UTC,
    positive to the west as in JavaScript, 0 for UTC; then ``pythonVersion``, ``platform``,
    ``platformVersion`` and ``machine``. What cannot be found out is "unknown".
    """
    return {
        "client": "python",
        "clientVersion": _ask(_version),
        "timezone": _timezone(),
        "timezoneOffset": _offset(),
        "pythonVersion": _ask(platform.python_version),
        "platform": _ask(platform.system),
        "platformVersion": _ask(platform.release),
        "machine": _ask(platform.machine),
    }


def _ask(source: Callable[[], str]) -> str:
    try:
        return source() or "unknown"
    except Exception:  # an odd system must not stand in the way of a connection
        return "unknown"


def _version() -> str:
    from importlib.metadata import version  # slow to import, and needed once per connection

    return version("vuer-trio")  # raises in a copy that was never installed


def _offset() -> int:
    try:
        offset = datetime.now().astimezone().utcoffset()
    except (OSError, OverflowError, ValueError):  # a system with a broken clock
        offset = None
    return -round(offset.total_seconds() / 60) if offset else 0


def _timezone() -> str:
    if (setting := os.environ.get("TZ")) is not None:  # it overrides the files
        name = _iana(setting.removeprefix(":") or "UTC")
    else:
        name = _iana(_read("/etc/timezone")) or _iana(_link("/etc/localtime"))
    return name or (time.tzname[0] if time.tzname else "unknown")


def _iana(name: str) -> str | None:
    if inside := _ZONEINFO.fullmatch(name):
        name = inside[1]
    if _AREA.fullmatch(name):
        return name
    try:
        from zoneinfo import ZoneInfo  # "Japan" is a zone; "EST5" and "" are not

        return ZoneInfo(name).key
    except Exception:  # not a zone, or no tz database on this system
        return None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(256).strip()
    except (OSError, ValueError):
        return ""


def _link(path: str) -> str:
    try:
        return os.path.realpath(path, strict=True)
    except OSError:
        return ""
