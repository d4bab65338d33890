"""What a client says of itself."""

import datetime
import importlib.metadata
import os
import platform
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vuer_trio._client import info
from vuer_trio._client.info import get_client_info
from vuer_trio.codec import decode, make_encoder

#: of time zones, which a small system may not have
DATABASE = Path(os.environ.get("TZDIR", "/usr/share/zoneinfo"))
KEYS = {
    "client",
    "clientVersion",
    "timezone",
    "timezoneOffset",
    "pythonVersion",
    "platform",
    "platformVersion",
    "machine",
}


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Set $TZ, or unset it with None; undone at the end."""

    def put(name: str | None) -> dict[str, Any]:
        if name is None:
            monkeypatch.delenv("TZ", raising=False)
        else:
            monkeypatch.setenv("TZ", name)
        time.tzset()
        return get_client_info()

    yield put
    monkeypatch.undo()
    time.tzset()


def test_the_keys() -> None:
    got = get_client_info()
    assert got.keys() == KEYS
    assert got["client"] == "python"
    assert got["clientVersion"] == importlib.metadata.version("vuer-trio")
    assert got["pythonVersion"] == platform.python_version()
    assert type(got["timezoneOffset"]) is int
    assert got["timezone"]
    assert decode(make_encoder()({"etype": "INIT", "value": got}))["value"] == got


@pytest.mark.parametrize(
    ("tz", "name", "offsets"),
    [
        ("America/Los_Angeles", "America/Los_Angeles", {480, 420}),
        ("Asia/Kathmandu", "Asia/Kathmandu", {-345}),
        (":Europe/Berlin", "Europe/Berlin", {-60, -120}),
        ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo", {-540}),
        ("/usr/share/zoneinfo/posix/Asia/Tokyo", "Asia/Tokyo", None),
        ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires", {180}),
        ("UTC", "UTC", {0}),
        ("", "UTC", {0}),
        ("EWT5", "EWT", {300}),  # POSIX form: no name, only an abbreviation
        ("<+03>-3", "+03", {-180}),
    ],
)
def test_timezone_from_the_environment(
    zone: Any, tz: str, name: str, offsets: set[int] | None
) -> None:
    got = zone(tz)
    assert got["timezone"] == name
    if "/" in tz and not (DATABASE / tz.removeprefix(":")).exists():
        offsets = {0}  # the system does not know the zone, and takes it for UTC
    assert offsets is None or got["timezoneOffset"] in offsets


def test_a_zone_of_one_word(zone: Any) -> None:
    """Without a database it is an abbreviation, and the same word."""
    assert zone("Japan")["timezone"] == "Japan"


def test_timezone_from_the_files(
    zone: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names: dict[str, str] = {"/etc/timezone": "Asia/Tokyo\n"}
    link = tmp_path / "zoneinfo" / "Europe" / "Paris"
    link.parent.mkdir(parents=True)
    link.touch()
    (tmp_path / "localtime").symlink_to(link)

    def opened(path: str, **_: Any) -> Any:
        file = tmp_path / "timezone"
        if path not in names:
            raise FileNotFoundError(path)
        file.write_text(names[path], encoding="utf-8")
        return file.open(encoding="utf-8")

    real = os.path.realpath
    monkeypatch.setattr(info, "open", opened, raising=False)
    monkeypatch.setattr(
        os.path, "realpath", lambda path, **how: real(tmp_path / Path(path).name, **how)
    )
    assert zone(None)["timezone"] == "Asia/Tokyo"
    names["/etc/timezone"] = "nonsense ~"
    assert zone(None)["timezone"] == "Europe/Paris"
    del names["/etc/timezone"]
    assert zone(None)["timezone"] == "Europe/Paris"
    (tmp_path / "localtime").unlink()
    assert zone(None)["timezone"] == time.tzname[0]
    monkeypatch.setattr(time, "tzname", ())
    assert get_client_info()["timezone"] == "unknown"


def test_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise OSError("no")

    class NoClock:
        now = broken

    monkeypatch.setattr(importlib.metadata, "version", broken)
    monkeypatch.setattr(info, "datetime", NoClock)
    for name in ("python_version", "system", "release", "machine"):
        monkeypatch.setattr(platform, name, broken)
    got = get_client_info()
    assert got.keys() == KEYS
    assert got["clientVersion"] == "unknown"
    assert got["timezoneOffset"] == 0
    assert [got[key] for key in ("pythonVersion", "platform", "machine")] == ["unknown"] * 3


def test_half_hours_and_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        offset: datetime.timedelta | None = None

        @classmethod
        def now(cls) -> Any:
            return cls

        @classmethod
        def astimezone(cls) -> Any:
            return cls

        @classmethod
        def utcoffset(cls) -> Any:
            return cls.offset

    monkeypatch.setattr(info, "datetime", Clock)
    for seconds, minutes in ((19800, -330), (-12600, 210), (0, 0), (1172, -20)):
        Clock.offset = datetime.timedelta(seconds=seconds)
        assert get_client_info()["timezoneOffset"] == minutes
    Clock.offset = None
    assert get_client_info()["timezoneOffset"] == 0


def test_the_pattern_of_names() -> None:
    assert not re.search(r"\s", str(get_client_info()["timezone"]))
