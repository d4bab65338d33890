"""The session cache: its modes, its steps, and files that are no caches."""

from __future__ import annotations

import json
import os
import stat

import pytest

from vuer_trio.roomz.address import parse_server
from vuer_trio.roomz.cache import SessionCache


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_sessions_of_several_servers_live_side_by_side(tmp_path):
    path = tmp_path / "new" / "session.json"
    cache = SessionCache(path)
    assert cache.load("one") is None
    cache.save("one", "a")
    cache.save("two", "b")
    assert (cache.load("one"), SessionCache(str(path)).load("two")) == ("a", "b")
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    cache.remove("one")
    assert (cache.load("one"), cache.load("two")) == (None, "b")
    cache.remove("two")
    assert not path.exists()
    cache.remove("two")


def test_a_folder_that_was_there_keeps_its_mode_and_a_file_gets_its_own(tmp_path):
    tmp_path.chmod(0o755)
    path = tmp_path / "session.json"
    path.write_text("{}")
    path.chmod(0o644)
    SessionCache(path).save("one", "a")
    assert (mode(tmp_path), mode(path)) == (0o755, 0o600)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[1]", b"{}", b"null", b"\xff\xfe", b'{"sessions": 5}', b'{"sessions": [1]}'),
        *(b'{"sessions": {"one": 5}}', b'{"sessions": {"one": "a; b"}}'),
        b'{"sessions": {"one": "a\\r\\nX-Header: b"}}',
        b"[" * 100_000,
    ],
)
def test_a_corrupt_file_is_removed(content, tmp_path, caplog):
    path = tmp_path / "session.json"
    path.write_bytes(content)
    assert SessionCache(path).load("one") is None
    assert not path.exists()
    assert "is corrupt" in caplog.text


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, caplog):
    path = tmp_path / "session.json"
    cache = SessionCache(path)
    cache.save("one", "a")

    def fails(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    cache.save("one", "b")
    assert cache.load("one") == "a"
    assert [p.name for p in tmp_path.iterdir()] == ["session.json"]
    assert "disk full" in caplog.text


def test_a_folder_in_the_place_of_the_file(tmp_path, caplog):
    cache = SessionCache(tmp_path)
    assert cache.load("one") is None
    cache.save("one", "a")
    assert "cannot be read" in caplog.text
    assert "cannot be written" in caplog.text


def test_the_home_of_a_user_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    SessionCache("~/session.json").save("one", "a")
    assert json.loads((tmp_path / "session.json").read_text()) == {"sessions": {"one": "a"}}


@pytest.mark.parametrize(
    ("url", "key", "websocket"),
    [
        ("http://LocalHost:8000", "http://localhost:8000", "ws://localhost:8000"),
        ("http://a.test/", "http://a.test:80", "ws://a.test:80"),
        ("https://a.test", "https://a.test:443", "wss://a.test:443"),
        ("wss://a.test/chat/", "https://a.test:443/chat", "wss://a.test:443/chat"),
        ("http://[::1]:8000", "http://::1:8000", "ws://::1:8000"),
    ],
)
def test_the_address_of_a_server(url, key, websocket):
    server = parse_server(url)
    address = server.websocket
    assert server.key == key
    path = address.resource.removesuffix("/socket.io/?EIO=4&transport=websocket")
    scheme = "wss" if address.secure else "ws"
    assert f"{scheme}://{address.host}:{address.port}{path}" == websocket
    assert server.http.startswith("http")


def test_a_password_is_not_shown():
    server = parse_server("http://alice:secret@a.test:8000")
    assert "secret" not in server.shown
    assert "secret" not in server.key
    with pytest.raises(ValueError, match="use http") as wrong:
        parse_server("ftp://alice:secret@a.test")
    assert "secret" not in str(wrong.value)
