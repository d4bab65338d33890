"""Paths that lead out of a folder, or to what is hidden in it: 404 or 400."""

from __future__ import annotations

import anyio
import pytest

from tests.behaviour.raw_client import raw
from tests.behaviour.test_pages import ask
from tests.hostile_paths import PREFIXES, SECRET, TARGETS, make_folder
from tests.repetitions import of_this_backend
from vuer_trio import open_vuer_server
from vuer_trio.workspace import Workspace

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path):
    root = make_folder(tmp_path)
    (root / "index.html").write_bytes(b"<p>the client")
    return root


@pytest.mark.slow
async def test_none_of_hundreds_of_hostile_paths_gets_anything(
    new_server, open_client, backend, folder, caplog
):
    assert len(set(TARGETS)) > 200
    targets = of_this_backend(TARGETS, backend)
    workspace = Workspace(folder)
    workspace.mount(folder, to="/mounted")
    wrong = {}
    app = new_server(workspace=workspace, client_root=folder)
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        for number, target in enumerate(targets):
            for method in ("GET", "HEAD")[: 1 if number % 5 else 2]:
                with anyio.fail_after(60):
                    status, headers, body = await ask(server, target, method)
                found = SECRET in body or b"root:" in body or "x-evil" in headers
                if status not in (400, 404) or found:
                    wrong[method, target[:60]] = (status, body[:40])
        assert wrong == {}
        await client.flush(timeout=60)
        for prefix in PREFIXES:
            status, headers, body = await ask(server, f"{prefix}a.stl")
            assert (status, headers["content-type"], body) == (200, "model/stl", b"solid a\n")
            assert (await ask(server, f"{prefix}sub/b.stl"))[2] == b"solid b\n"
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        b"GET /workspace/\x00 HTTP/1.1",
        b"GET /workspace/\xff\xfe HTTP/1.1",
        b"GET  /workspace/a.stl HTTP/1.1",
        b"GET /workspace/a .stl HTTP/1.1",
        b"GET ../secret.txt HTTP/1.1",
        b"GET workspace/a.stl HTTP/1.1",
        b"GET http://[ HTTP/1.1",
        b"GET ftp://localhost/workspace/a.stl HTTP/1.1",
    ],
)
async def test_request_lines_that_are_none(new_server, folder, line):
    app = new_server(workspace=folder)
    async with open_vuer_server(app) as server, raw(server.port) as client:
        await client.send(line + b"\r\nHost: localhost\r\n\r\n")
        await client.end()
        await client.read_to_the_end()
        assert client.received.split()[1] in (b"400", b"404")
        assert (await ask(server, "/workspace/a.stl"))[2] == b"solid a\n"
