"""The files of a workspace over HTTP: conditions, ranges, encodings, other origins, links."""

from __future__ import annotations

import gzip
import os
import socket
import tracemalloc
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tests.behaviour.raw_client import eventually, raw
from tests.behaviour.test_pages import ask
from tests.recording_proxy import proxy_to
from vuer_trio import open_vuer_server
from vuer_trio.server.banner import network_address
from vuer_trio.server.content import DiskContent
from vuer_trio.workspace import Blob, Workspace
from vuer_trio.workspace.folder import open_explicitly

pytestmark = pytest.mark.anyio

URDF = b"<robot name='arm'/>\n" * 500
MESH = bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path):
    for name, content in {
        "one/robot.urdf": URDF,
        "one/mesh.glb": MESH,
        "two/robot.urdf": b"<robot name='hidden by the first'/>",
        "two/meshes/hand.stl": b"solid hand\n",
        "elsewhere/notes.txt": b"notes",
        "elsewhere/.secret": b"SECRET",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path


@pytest.fixture
def serve(new_server, folder):
    def serve(workspace=None, **options):
        workspace = workspace or Workspace(folder / "one", folder / "two")
        return open_vuer_server(new_server(workspace=workspace, **options))

    return serve


async def test_the_first_folder_that_has_a_file_wins(serve):
    async with serve() as server:
        for prefix in ("/workspace", "/static", "/workspace/", "http://localhost/workspace"):
            status, headers, body = await ask(server, f"{prefix}/robot.urdf?hot=1")
            assert (status, headers["content-type"], body) == (200, "application/xml", URDF)
        status, headers, body = await ask(server, "/workspace/meshes/hand.stl")
        assert (status, headers["content-type"], body) == (200, "model/stl", b"solid hand\n")
        for target in ("/workspace", "/workspace/", "/workspace/meshes", "/robot.urdf"):
            assert (await ask(server, target))[0] == 404


async def test_a_file_that_the_client_has_is_not_sent_again(serve, folder):
    async with serve() as server:
        _, first, _ = await ask(server, "/workspace/robot.urdf")
        tag, date = first["etag"], first["last-modified"]
        assert first["cache-control"] == "no-cache"
        for method in ("GET", "HEAD"):
            for condition in (
                f"If-None-Match: {tag}",
                f"If-None-Match: W/{tag}",
                f'If-None-Match: "another", {tag}',
                "If-None-Match: *",
                f"If-Modified-Since: {date}",
            ):
                status, headers, body = await ask(
                    server, "/workspace/robot.urdf", method, "Host: localhost", condition
                )
                assert (status, headers["etag"], body) == (304, tag, b"")
                assert "content-length" not in headers
        for condition in (
            'If-None-Match: "another"',
            "If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT",
            "If-Modified-Since: yesterday",
            f'If-None-Match: "another"\r\nIf-Modified-Since: {date}',  # the tag counts
        ):
            status, _, body = await ask(
                server, "/workspace/robot.urdf", "GET", "Host: localhost", condition
            )
            assert (status, body) == (200, URDF)
        for condition in (
            'If-Match: "another"',
            "If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT",
        ):
            status, _, _ = await ask(
                server, "/workspace/robot.urdf", "GET", "Host: localhost", condition
            )
            assert status == 412
        (folder / "one/robot.urdf").write_bytes(URDF.replace(b"arm", b"backend"))
        status, headers, body = await ask(
            server, "/workspace/robot.urdf", "GET", "Host: localhost", f"If-None-Match: {tag}"
        )
        assert (status, body) == (200, URDF.replace(b"arm", b"backend"))
        assert headers["etag"] != tag


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=10000-", 10_000, len(MESH)),
        ("bytes=10000-99999999", 10_000, len(MESH)),
        ("bytes=-100", len(MESH) - 100, len(MESH)),
        ("bytes=-99999999", 0, len(MESH)),
        ("BYTES=5-6", 5, 7),
    ],
)
async def test_a_range(serve, asked, start, stop):
    async with serve() as server:
        status, headers, body = await ask(
            server, "/workspace/mesh.glb", "GET", "Host: localhost", f"Range: {asked}"
        )
        assert (status, body) == (206, MESH[start:stop])
        assert headers["content-range"] == f"bytes {start}-{stop - 1}/{len(MESH)}"
        assert headers["content-length"] == str(stop - start)


async def test_ranges_that_are_none(serve):
    async with serve() as server:
        for asked in (f"bytes={len(MESH)}-", "bytes=99999999-", "bytes=-0"):
            status, headers, body = await ask(
                server, "/workspace/mesh.glb", "GET", "Host: localhost", f"Range: {asked}"
            )
            assert (status, body) == (416, b"")
            assert headers["content-range"] == f"bytes */{len(MESH)}"
        for asked in ("bytes=5-4", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "5-6"):
            status, headers, body = await ask(
                server, "/workspace/mesh.glb", "GET", "Host: localhost", f"Range: {asked}"
            )
            assert (status, body) == (200, MESH), asked
        status, headers, body = await ask(
            server, "/workspace/mesh.glb", "HEAD", "Host: localhost", "Range: bytes=0-1"
        )
        assert (status, headers["content-length"], body) == (200, str(len(MESH)), b"")


async def test_a_part_of_a_file_that_has_changed_is_not_mixed_with_the_rest(serve):
    async with serve() as server:
        _, first, _ = await ask(server, "/workspace/mesh.glb")
        for same in (first["etag"], first["last-modified"]):
            status, _, body = await ask(
                *(server, "/workspace/mesh.glb", "GET", "Host: localhost"),
                *("Range: bytes=1-2", f"If-Range: {same}"),
            )
            assert (status, body) == (206, MESH[1:3])
        for other in ('"another"', f"W/{first['etag']}", "Mon, 01 Jan 2001 00:00:00 GMT", "?"):
            status, _, body = await ask(
                *(server, "/workspace/mesh.glb", "GET", "Host: localhost"),
                *("Range: bytes=1-2", f"If-Range: {other}"),
            )
            assert (status, body) == (200, MESH)


async def test_what_can_be_compressed_is(serve):
    async with serve() as server:
        plain = await ask(server, "/workspace/robot.urdf")
        assert "Accept-Encoding" in plain[1]["vary"]
        for accepted in ("gzip", "br, gzip;q=0.5", "*", "GZIP"):
            status, headers, body = await ask(
                *(server, "/workspace/robot.urdf", "GET", "Host: localhost"),
                f"Accept-Encoding: {accepted}",
            )
            assert (status, headers["content-encoding"]) == (200, "gzip")
            assert gzip.decompress(body) == URDF
            assert int(headers["content-length"]) == len(body) < len(URDF) // 10
            assert headers["etag"] != plain[1]["etag"]
            assert "Accept-Encoding" in headers["vary"]
        again = ("Accept-Encoding: gzip", f"If-None-Match: {headers['etag']}")
        status, known, _ = await ask(
            server, "/workspace/robot.urdf", "GET", "Host: localhost", *again
        )
        assert (status, known["etag"]) == (304, headers["etag"])
        status, only, body = await ask(
            server, "/workspace/robot.urdf", "HEAD", "Host: localhost", "Accept-Encoding: gzip"
        )
        assert (status, body) == (200, b"")
        assert only["content-length"] == headers["content-length"]
        for accepted in ("", "identity", "gzip;q=0", "*;q=0", "br", "gzip;q=0, *"):
            _, headers, body = await ask(
                *(server, "/workspace/robot.urdf", "GET", "Host: localhost"),
                f"Accept-Encoding: {accepted}",
            )
            assert "content-encoding" not in headers
            assert body == URDF
        _, headers, body = await ask(
            *(server, "/workspace/robot.urdf", "GET", "Host: localhost"),
            *("Accept-Encoding: gzip", "Range: bytes=2-4"),
        )
        assert "content-encoding" not in headers
        assert body == URDF[2:5]
        _, headers, body = await ask(
            server, "/workspace/mesh.glb", "GET", "Host: localhost", "Accept-Encoding: gzip"
        )
        assert "content-encoding" not in headers
        assert "Accept-Encoding" not in headers["vary"]


async def test_what_does_not_become_smaller_is_sent_as_it_is(serve, folder):
    noise = os.urandom(50_000)
    (folder / "one/noise.stl").write_bytes(noise)
    async with serve() as server:
        for _ in range(2):
            _, headers, body = await ask(
                server, "/workspace/noise.stl", "GET", "Host: localhost", "Accept-Encoding: gzip"
            )
            assert "content-encoding" not in headers
            assert body == noise
        assert server._pages.files._compressed.bytes == 0


async def test_what_is_compressed_takes_bounded_memory(serve, folder, monkeypatch):
    monkeypatch.setattr("vuer_trio.server.compressed._ALL", 3000)
    lines = [os.urandom(500).hex().encode() * 4 for _ in range(6)]  # a kilobyte each
    for number, line in enumerate(lines):
        (folder / f"one/{number}.csv").write_bytes(line)
    async with serve() as server:
        compressed = server._pages.files._compressed
        for number, line in enumerate(lines):
            _, headers, body = await ask(
                server,
                f"/workspace/{number}.csv",
                "GET",
                "Host: localhost",
                "Accept-Encoding: gzip",
            )
            assert headers.get("content-encoding") == "gzip"
            assert gzip.decompress(body) == line
            assert 0 < compressed.bytes <= 3000
        async with compressed.of(*_of(folder / "one/0.csv")) as first:
            assert first is not None
            for number in (1, 2, 3):
                async with compressed.of(*_of(folder / f"one/{number}.csv")):
                    assert compressed.bytes <= 3000
        assert 0 < compressed.bytes <= 3000


def _of(path):
    content = DiskContent(partial(open_explicitly, path), "text/csv")
    reader = content.open()
    reader.close()
    return content, reader.facts.tag


async def test_pages_of_allowed_origins_may_read_files_and_no_others(serve):
    here = "Host: localhost"
    async with serve(origins=["https://lab.example"]) as server:
        _, headers, _ = await ask(server, "/workspace/robot.urdf", "GET", here)
        assert not any(name.startswith("access-control") for name in headers)
        assert headers["cross-origin-resource-policy"] == "same-origin"
        for target, status in (("robot.urdf", 200), ("nothing.urdf", 404)):
            found, headers, _ = await ask(
                server, f"/workspace/{target}", "GET", here, "Origin: https://lab.example"
            )
            assert found == status
            assert headers["access-control-allow-origin"] == "https://lab.example"
            assert "Origin" in headers["vary"]
        asked = ("Access-Control-Request-Method: GET", "Access-Control-Request-Headers: range,x-a")
        status, headers, body = await ask(
            *(server, "/workspace/robot.urdf", "OPTIONS", here, "Origin: https://lab.example"),
            *asked,
        )
        assert (status, body) == (204, b"")
        assert headers["access-control-allow-origin"] == "https://lab.example"
        assert headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
        assert headers["access-control-allow-headers"] == "range,x-a"
        assert "access-control-allow-private-network" not in headers
        for method in ("GET", "HEAD", "OPTIONS"):
            for origin in ("https://evil.example", "null", "https://lab.example.evil"):
                status, headers, _ = await ask(
                    server, "/workspace/robot.urdf", method, here, f"Origin: {origin}", *asked
                )
                assert status == 403
                assert not any(name.startswith("access-control") for name in headers)


async def test_links(serve, folder, caplog):
    workspace = Workspace(folder / "one")
    workspace.link(folder / "elsewhere/.secret", "/shown.txt")  # the program's own decision
    workspace.link(b"abc" * 1000, "/data.csv")
    workspace.link(lambda: {"status": "ok"}, "/api/status")
    workspace.link(lambda request: request.query["name"], "/name.txt")
    workspace.link(lambda n=5: Blob(text=f"{n}", content_type="text/x"), "/blob")
    workspace.link(lambda: None, "/none")
    workspace.link(lambda: Path("/nowhere"), "/nowhere")
    workspace.link(lambda: 1 / 0, "/fails")
    workspace.link(lambda: 5, "robot.urdf")  # instead of the file

    async def stream():
        yield b"a" * 1000
        yield b""
        yield b"b"

    workspace.link(lambda: stream(), "/stream.bin")

    async def body(request):
        await anyio.lowlevel.checkpoint()
        return {"method": request.method, "body": await request.json()}

    workspace.link(body, "/submit", method="POST")
    async with serve(workspace) as server:
        assert (await ask(server, "/workspace/shown.txt"))[2] == b"SECRET"
        _, headers, data = await ask(server, "/workspace/data.csv")
        assert (headers["content-type"], data) == ("text/csv", b"abc" * 1000)
        known = f"If-None-Match: {headers['etag']}"
        assert (await ask(server, "/static/data.csv", "GET", "Host: localhost", known))[0] == 304
        _, headers, data = await ask(server, "/workspace/api/status/")
        assert (headers["content-type"], data) == ("application/json", b'{"status": "ok"}')
        assert (await ask(server, "/workspace/name.txt?name=a%20b"))[2] == b"a b"
        _, headers, data = await ask(server, "/workspace/blob")
        assert (headers["content-type"], data) == ("text/x", b"5")
        assert (await ask(server, "/workspace/robot.urdf"))[2] == b"5"
        for target, status in (("none", 404), ("nowhere", 404), ("fails", 500)):
            found, _, data = await ask(server, f"/workspace/{target}")
            assert found == status
            assert b"zero" not in data
        assert "ZeroDivisionError" in caplog.text
        _, headers, data = await ask(server, "/workspace/stream.bin")
        assert headers["transfer-encoding"] == "chunked"
        assert data == b"3e8\r\n%b\r\n1\r\nb\r\n0\r\n\r\n" % (b"a" * 1000)
        status, headers, _ = await ask(server, "/workspace/submit")
        assert (status, headers["allow"]) == (405, "POST, OPTIONS")
        async with raw(server.port) as client:
            await client.send(
                b"POST /workspace/submit HTTP/1.1\r\nHost: a.local\r\nContent-Length: 2\r\n\r\n[]"
            )
            await client.end()
            await client.read_to_the_end()
            assert client.received.endswith(b'{"method": "POST", "body": []}')
        workspace.unlink("/robot.urdf")
        assert (await ask(server, "/workspace/robot.urdf"))[2] == URDF


async def test_the_body_for_a_link_is_bounded(serve, folder, caplog):
    workspace = Workspace(folder)

    async def body(request):
        return await request.read()

    workspace.link(body, "/submit", method="POST")
    async with serve(workspace, max_size=100) as server, raw(server.port) as client:
        await client.send(
            b"POST /workspace/submit HTTP/1.1\r\nHost: a.local\r\nContent-Length: 200\r\n\r\n"
            + b"x" * 200
        )
        await client.end()
        await client.read_to_the_end()
        assert client.received.startswith(b"HTTP/1.1 413 ")
    assert "Traceback" not in caplog.text


async def test_a_stream_that_fails_or_is_left_is_closed_and_never_looks_whole(
    serve, folder, caplog
):
    closed = []

    async def fails():
        yield b"some"
        raise ValueError("of the stream")

    async def endless():
        try:
            while True:
                yield b"x" * 10_000
                await anyio.lowlevel.checkpoint()
        finally:
            closed.append(True)

    workspace = Workspace(folder)
    workspace.link(lambda: fails(), "/fails")
    workspace.link(lambda: endless(), "/endless")
    async with serve(workspace) as server:
        _, _, body = await ask(server, "/workspace/fails")
        assert body == b"4\r\nsome\r\n"
        assert "of the stream" in caplog.text
        async with raw(server.port) as client:
            await client.send(b"GET /workspace/endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await client.stream.receive()
        await eventually(lambda: closed == [True])
        await eventually(lambda: len(server._pages.turns) == 0)


async def test_mounts(serve, folder):
    workspace = Workspace(folder / "one")
    workspace.mount(folder / "elsewhere", to="/files")
    workspace.mount(folder / "two", to="files/deep/")
    async with serve(workspace) as server:
        assert (await ask(server, "/files/notes.txt"))[2] == b"notes"
        assert (await ask(server, "/files/deep/meshes/hand.stl"))[2] == b"solid hand\n"
        for target in ("/files/.secret", "/files", "/files/", "/files/../one/robot.urdf"):
            assert (await ask(server, target))[0] == 404


async def test_a_workspace_of_the_programs_own(serve, folder, caplog):
    class Own(Workspace):
        async def resolve(self, filename):
            await anyio.lowlevel.checkpoint()
            if filename == "fails.txt":
                raise KeyError("of the workspace")
            own = {
                "a.urdf": b"<robot/>",
                "b": Blob(json=[1]),
                "c.txt": folder / "elsewhere/notes.txt",
                "d.txt": folder / "elsewhere/.secret",
                "inner.txt": folder / "one/link.txt",
            }
            return own.get(filename)

    (folder / "one/link.txt").symlink_to(folder / "elsewhere/.secret")
    async with serve(Own(folder / "one")) as server:
        _, headers, body = await ask(server, "/workspace/a.urdf")
        assert (headers["content-type"], body) == ("application/xml", b"<robot/>")
        assert (await ask(server, "/workspace/b"))[2] == b"[1]"
        assert (await ask(server, "/workspace/c.txt"))[2] == b"notes"
        assert (await ask(server, "/workspace/inner.txt"))[0] == 404  # of the overlay: judged
        assert (await ask(server, "/workspace/robot.urdf"))[0] == 404
        assert (await ask(server, "/workspace/../d.txt"))[0] == 404
        assert (await ask(server, "/workspace/fails.txt"))[0] == 500
        assert "of the workspace" in caplog.text


async def test_without_a_keyword_the_current_folder_is_for_this_machine_only(
    new_server, folder, monkeypatch, caplog
):
    monkeypatch.delenv("VUER_WORKSPACE", raising=False)
    monkeypatch.chdir(folder / "one")
    caplog.set_level("INFO", "vuer_trio.server")
    app = new_server()
    app.workspace.link(b"for all", "/linked.txt")
    async with open_vuer_server(app) as server:
        for host in ("localhost", "127.0.0.1:80", "[::1]", "a.localhost"):
            assert (await ask(server, "/workspace/robot.urdf", "GET", f"Host: {host}"))[2] == URDF
        # as through a tunnel that ends on this machine
        assert (await ask(server, "/workspace/robot.urdf", "GET", "Host: a.local"))[0] == 404
        assert (await ask(server, "/workspace/linked.txt", "GET", "Host: a.local"))[0] == 200
        assert (
            server.files == f"/workspace has the files of {folder / 'one'}, for this machine only"
        )
    assert "for this machine only" in caplog.text
    async with open_vuer_server(app, host="0.0.0.0") as server:
        assert (await ask(server, "/workspace/robot.urdf", "GET", "Host: localhost"))[0] == 404
        assert (await ask(server, "/workspace/linked.txt", "GET", "Host: localhost"))[0] == 200
        assert server.files.endswith("are not served; to serve them, use workspace='.'")
    assert caplog.text.count("a file of the workspace was asked for") == 2
    for named in ({"workspace": "."}, {"static_root": "."}, {"static_root": ["nowhere", "."]}):
        async with open_vuer_server(new_server(host="0.0.0.0", **named)) as server:
            assert (await ask(server, "/workspace/robot.urdf", "GET", "Host: 10.1.2.3"))[2] == URDF
    monkeypatch.setenv("VUER_WORKSPACE", str(folder / "two"))
    async with open_vuer_server(new_server(host="0.0.0.0")) as server:
        status, _, body = await ask(server, "/static/robot.urdf", "GET", "Host: 10.1.2.3")
        assert (status, b"first" in body) == (200, True)


@pytest.mark.slow
async def test_slow_readers_of_a_large_file_cost_a_slice_each_and_keep_nobody_out(
    serve, open_client, folder
):
    with (folder / "one/large.obj").open("wb") as file:
        file.write(b"v 0 0 0\n" * 1_500_000)  # 12 MB, of a type that can be compressed
    async with serve() as server, AsyncExitStack() as stack:
        asked = b"GET /workspace/large.obj HTTP/1.1\r\nHost: localhost\r\n"
        await ask(server, "/workspace/large.obj", "GET", "Host: localhost", within=30)
        clients = []
        tracemalloc.start()
        try:
            for number in range(100):
                more = b"Accept-Encoding: gzip\r\n\r\n" if number % 4 == 0 else b"\r\n"
                client = socket.create_connection(("127.0.0.1", server.port))
                clients.append(stack.enter_context(client))
                client.setblocking(False)
                client.sendall(asked + more)
            await eventually(lambda: len(server._pages.turns) >= 60, 60)
            async with open_client(server.uri) as client:
                await client.flush(timeout=60)
            _, _, body = await ask(server, "/workspace/meshes/hand.stl", within=40)
            assert body == b"solid hand\n"
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 64 * 400_000
        for client in clients:
            with suppress(OSError):
                client.close()
        await eventually(lambda: len(server._pages.turns) == 0, 30)


async def test_who_reaches_a_proxy_on_this_machine_is_not_this_machine(
    new_server, folder, monkeypatch
):
    """Anybody may write ``Host: localhost``."""
    monkeypatch.delenv("VUER_WORKSPACE", raising=False)
    monkeypatch.chdir(folder / "one")
    target = "/workspace/robot.urdf"
    async with (
        open_vuer_server(new_server()) as server,
        proxy_to(server.uri, host="0.0.0.0") as proxy,
    ):
        assert (await ask(proxy, target, "GET", "Host: localhost"))[2] == URDF
        for brought in (
            "X-Forwarded-For: 192.168.1.7",
            "X-Forwarded-For: 192.168.1.7, 127.0.0.1",
            "X-Forwarded-For:",
            "Forwarded: for=192.168.1.7",
            "Connection: x-real-ip\r\nX-Real-IP: 192.168.1.7",
        ):
            for at in (server, proxy):
                asked = (at, target, "GET", "Host: localhost", brought)
                assert (await ask(*asked))[0] == 404, (at, brought)
        address = network_address()
        if address is not None:  # as others in its network
            async with await anyio.connect_tcp(address, proxy.port) as stream:
                await stream.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                assert (await stream.receive()).startswith(b"HTTP/1.1 404")
