"""What `vuer_trio.roomz` brings, what it costs, and what it says without its extra."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import pytest

import vuer_trio
from vuer_trio import roomz

_CONNECT = """
import sys
sys.modules[{missing!r}] = None
import trio
from vuer_trio.roomz import AsyncClient
trio.run(lambda: AsyncClient("http://127.0.0.1:1", "token").connect())
"""


def test_every_name_is_there():
    for name in roomz.__all__:
        assert getattr(roomz, name) is not None
    with pytest.raises(AttributeError):
        roomz.nothing


def test_an_import_loads_neither_its_extra_nor_anyio():
    program = (
        "import vuer_trio, sys; assert 'vuer_trio.roomz' not in sys.modules\n"
        "from vuer_trio.roomz import AsyncClient; AsyncClient('http://a')\n"
        "names = {'httpx2', 'socketio', 'engineio', 'anyio', 'rich', 'prompt_toolkit'}\n"
        "assert not names & set(sys.modules), names & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("missing", ["httpx2", "socketio", "engineio"])
def test_a_missing_package_is_named_with_its_extra(missing):
    done = subprocess.run(
        [sys.executable, "-c", _CONNECT.format(missing=missing)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError")
    assert "pip install 'vuer-trio[roomz]'" in last
    assert missing in last


def test_the_tree_of_errors():
    assert issubclass(roomz.ClientError, vuer_trio.VuerError)
    assert issubclass(roomz.ConnectionError, (roomz.ClientError, ConnectionError))
    assert issubclass(roomz.AuthenticationError, roomz.ClientError)
    failed = roomz.ConnectionError("no", status=403, detail="not you")
    refused = roomz.AuthenticationError("no", reason="invalid_token")
    for error in (failed, refused):
        twin = pickle.loads(pickle.dumps(error))
        assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))
        assert type(error).__module__ == "vuer_trio.roomz"


def test_the_signatures_are_those_of_the_documents():
    options = {
        "reconnect": True,
        "reconnect_delay": 1.0,
        "max_reconnect_attempts": 5,
        "connection_timeout": 10.0,
    }
    ours = inspect.signature(roomz.AsyncClient).parameters
    assert list(ours)[:2] == ["server_url", "session_token"]
    assert ours["session_token"].default == ""
    for name, default in {**options, "session_cache_file": None}.items():
        assert ours[name].default == default
        assert ours[name].kind is inspect.Parameter.KEYWORD_ONLY
    sync = inspect.signature(roomz.SyncClient).parameters
    assert list(sync) == ["server_url", "session_token", *options]
    assert sync["session_token"].default is inspect.Parameter.empty
    states = {state.name: state.value for state in roomz.ConnectionState}
    assert states == {
        name: name.lower() for name in ("DISCONNECTED", "CONNECTING", "CONNECTED", "RECONNECTING")
    }
