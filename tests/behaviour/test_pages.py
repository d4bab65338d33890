"""What a browser gets at a server's address, and what it does not get."""

from __future__ import annotations

import os
import socket
import tracemalloc
from contextlib import AsyncExitStack
from io import FileIO

import anyio
import pytest

from tests.behaviour.raw_client import eventually, raw
from vuer_trio import open_vuer_server

pytestmark = pytest.mark.anyio

FILES = {
    "index.html": ("text/html", b"<p>the client"),
    "assets/app.js": ("text/javascript", b"go()"),
    "assets/app.wasm": ("application/wasm", b"\0asm"),
    "assets/style.css": ("text/css", b"p{}"),
    "assets/logo.png": ("image/png", b"\x89PNG" * 100_000),
    "assets/no-type": ("application/octet-stream", b"?"),
    "a name&.js": ("text/javascript", b"odd()"),
    "sub/index.html": ("text/html", b"<p>sub"),
}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    for name, (_, content) in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (folder / "empty").mkdir()
    (tmp_path / "secret.txt").write_bytes(b"SECRET")
    (tmp_path / "rooted").mkdir()
    (tmp_path / "rooted" / "secret.txt").write_bytes(b"SECRET")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "index.html").write_bytes(b"SECRET")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "linked").symlink_to(tmp_path / "secrets")
    (folder / "sly").mkdir()
    (folder / "sly" / "index.html").symlink_to(tmp_path / "secret.txt")
    (folder / "inner.js").symlink_to(folder / "assets" / "app.js")
    os.mkfifo(folder / "pipe")
    return folder


async def ask(server, target, method="GET", *headers, within=15.0):
    """Status, headers and body."""
    async with raw(server.port) as client:
        lines = [f"{method} {target} HTTP/1.1", *(headers or ("Host: here.local:1",))]
        await client.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        await client.end()
        await client.read_to_the_end(within)
    head, _, body = client.received.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(field.split(": ", 1) for field in fields), body


async def test_the_files_of_a_folder(new_server, root):
    async with open_vuer_server(new_server(client_root=root)) as server:
        for name, (kind, content) in FILES.items():
            target = "/" + name.replace(" ", "%20")
            status, headers, body = await ask(server, target + "?v=1")
            assert (status, body) == (200, content)
            assert headers["content-type"].startswith(kind)
            assert headers["x-content-type-options"] == "nosniff"
            status, headers, body = await ask(server, target, "HEAD")
            assert (status, body) == (200, b"")
            assert headers["content-length"] == str(len(content))
        for target in ("/", "/?ws=ws://localhost:1", "http://here.local:1/"):
            assert (await ask(server, target))[::2] == (200, b"<p>the client")
        assert (await ask(server, "/sub/"))[2] == b"<p>sub"
        assert (await ask(server, "/inner.js"))[2] == b"go()"


OUTSIDE = [
    "/../secret.txt",
    "/assets/../../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/%2e%2e%2fsecret.txt",
    "/%2e%2e%5csecret.txt",
    "/%252e%252e%252fsecret.txt",
    "/../rooted/secret.txt",
    "//etc/passwd",
    "///etc/passwd",
    "/%2fetc%2fpasswd",
    "/%2f%2fetc/passwd",
    "http://here.local:1/../secret.txt",
    "/link.txt",
    "/linked/",
    "/linked/index.html",
    "/sly/",
    "/sly/index.html",
    "/empty/",
    "/empty",
    "/pipe",
    "/nothing.js",
    "/index.html/x",
    "/index.html%00.js",
    "/%00",
    "/" + "x" * 5000,
    "/" + "x/" * 5000,
    "/" + "../" * 5000,
    "/%ff%fe",
    "//[",
    "//[::1",
    "*",
    "nothing",
]


async def test_nothing_outside_the_folder(new_server, root, caplog):
    async with open_vuer_server(new_server(client_root=root)) as server:
        for target in OUTSIDE:
            with anyio.fail_after(60):
                status, _, body = await ask(server, target)
            assert status == 404, target
            assert b"SECRET" not in body
            assert b"root:" not in body
        status, _, _ = await ask(server, "/" + "x" * 100_000)
        assert status in (400, 414, 431)
    assert "Traceback" not in caplog.text


async def test_other_methods(new_server, root, no_web_client):
    for app in (new_server(client_root=root), new_server()):
        async with open_vuer_server(app) as server:
            for method in ("POST", "PUT", "DELETE", "TRACE", "BREW"):
                status, headers, _ = await ask(server, "/", method)
                assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS")
            status, headers, _ = await ask(server, "/", "OPTIONS")
            assert (status, headers["allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_without_a_folder_there_is_one_page(new_server, no_web_client, caplog):
    async with open_vuer_server(new_server()) as server:
        status, headers, body = await ask(server, "/?a=b")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b'<a href="https://vuer.ai?ws=ws://here.local:1">' in body
        assert (await ask(server, "/", "HEAD"))[2] == b""
        for target in ("/index.html", "/..", "//[", "/etc/passwd", "*"):
            assert (await ask(server, target))[0] == 404
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "host",
    ['"><script>alert(1)</script>', "a'b&c<d>", 'x" onclick="y', "ünï", "{uri}", "a b", ""],
)
async def test_a_host_is_text_wherever_it_is_shown(new_server, no_web_client, host):
    """Where any is taken; by default these are refused."""
    async with open_vuer_server(new_server()) as server:
        status, headers, body = await ask(server, "/", "GET", f"Host: {host}")
        assert status in (400, 403)
        assert headers.get("content-type") in (None, "text/plain")
    async with open_vuer_server(new_server(origins=None)) as server:
        status, _, body = await ask(server, "/", "GET", f"Host: {host}")
    assert status in (200, 400)
    page = body.decode()
    assert "<script" not in page
    assert 'onclick="' not in page
    assert page.count("<") == page.count(">")
    if status == 200:
        assert page.count("<") == 10
        assert page.count('"') == 4


async def test_an_http_1_0_request_without_a_host(new_server, no_web_client):
    async with open_vuer_server(new_server()) as server, raw(server.port) as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        await client.end()
        await client.read_to_the_end()
        assert b"200 OK" in client.received
        assert b"ws://localhost" in client.received


SIZE = 12 << 20


async def begin(server, client, target="/large.bin"):
    """Ask for a file, and read no more than its status."""
    await client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    with anyio.fail_after(60):
        return (await client.stream.receive(15)).decode()


async def test_slow_readers_of_large_files_cost_a_slice_each(new_server, root):
    names = [f"large{n}.bin" for n in range(20)]
    for name in names:
        with (root / name).open("wb") as file:
            file.truncate(SIZE)
    async with open_vuer_server(new_server(client_root=root)) as server, AsyncExitStack() as stack:
        clients = []
        tracemalloc.start()
        try:
            for name in names:  # sockets without a loop: nobody reads for them
                client = socket.create_connection(("127.0.0.1", server.port))
                clients.append(stack.enter_context(client))
                client.sendall(f"GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                await anyio.wait_readable(client)
                assert client.recv(15) == b"HTTP/1.1 200 OK"
            used, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert used < 20 * 400_000
        assert most < 20 * 600_000
        assert len(server._pages.turns) == 20
        for client in clients:
            client.close()
        await eventually(lambda: len(server._pages.turns) == 0)


async def test_a_head_reads_no_more_than_the_beginning_of_a_file(new_server, root, monkeypatch):
    with (root / "large.bin").open("wb") as file:
        file.truncate(100 << 30)  # with nothing in it
    read, read_ = [], FileIO.read

    class Counting(FileIO):
        def read(self, size=-1):
            data = read_(self, size)
            read.append(len(data))
            return data

    monkeypatch.setattr("vuer_trio.workspace.folder.FileIO", Counting)
    async with open_vuer_server(new_server(client_root=root)) as server:
        status, headers, body = await ask(server, "/large.bin", "HEAD")
        assert (status, headers["content-length"], body) == (200, str(100 << 30), b"")
        assert 0 < sum(read) <= 64
        assert (await ask(server, "/index.html"))[2] == b"<p>the client"


async def test_an_empty_file(new_server, root):
    (root / "empty.txt").touch()
    async with open_vuer_server(new_server(client_root=root)) as server:
        status, headers, body = await ask(server, "/empty.txt")
        assert (status, headers["content-length"], body) == (200, "0", b"")


async def test_a_file_that_changes_while_it_is_sent(new_server, root, caplog):
    """It is cut where it ends, and never longer than was said: nobody takes it for whole."""
    for name in ("shrinks.bin", "grows.bin"):
        (root / name).write_bytes(b"a" * SIZE)
    async with (
        open_vuer_server(new_server(client_root=root)) as server,
        raw(server.port) as shrinks,
        raw(server.port) as grows,
    ):
        for client, name in ((shrinks, "shrinks.bin"), (grows, "grows.bin")):
            assert await begin(server, client, f"/{name}") == "HTTP/1.1 200 OK"
        os.truncate(root / "shrinks.bin", SIZE // 2)
        with (root / "grows.bin").open("ab") as file:
            file.write(b"b" * SIZE)
        for client in (shrinks, grows):
            await client.read_to_the_end(30)
            head, _, client.received = client.received.partition(b"\r\n\r\n")
            assert f"content-length: {SIZE}".encode() in head
        assert len(shrinks.received) < SIZE
        assert grows.received == b"a" * SIZE
    assert "Traceback" not in caplog.text


@pytest.mark.slow
async def test_readers_that_stay_keep_nobody_from_a_session_or_a_page(
    new_server, open_client, root
):
    """As many as there are turns do not read, and more wait for one. One of the slow gives way."""
    with (root / "large.bin").open("wb") as file:
        file.truncate(SIZE)
    app = new_server(client_root=root)
    async with open_vuer_server(app) as server, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(raw(server.port)) for _ in range(80)]
        for client in clients:
            await client.send(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await eventually(lambda: len(server.server._visits) == 80, 30)
        await eventually(lambda: len(server._pages.turns) == 64, 30)
        async with open_client(server.uri) as client:
            await client.flush(timeout=60)
        _, _, body = await ask(server, "/index.html", within=30)
        assert body == b"<p>the client"


async def test_pages_of_others_get_none(new_server, root, caplog):
    async with open_vuer_server(new_server(client_root=root)) as server:
        here = "Host: localhost"
        for more in (
            ["Host: evil.test"],
            [f"Host: evil.test:{server.port}"],
            [f"Host: evil.test:{server.port}", f"Origin: http://evil.test:{server.port}"],
            [here, "Origin: http://evil.test"],
            [here, "Origin: null"],
            [here, "Origin: http://evil@localhost"],
            [here, "Origin: http://evil\\@localhost"],
        ):
            for method in ("GET", "HEAD"):
                status, headers, body = await ask(server, "/", method, *more)
                assert status == 403
                assert "access-control-allow-origin" not in headers
                assert b"client" not in body
        assert "hosts=['evil.test']" in caplog.text
        assert "origins=['http://evil.test']" in caplog.text
        for origin in ("http://localhost:3000", "https://vuer.ai"):
            status, headers, _ = await ask(server, "/", "GET", here, f"Origin: {origin}")
            assert status == 200
            assert headers["access-control-allow-origin"] == origin
            assert headers["vary"] == "Origin"
        _, headers, _ = await ask(server, "/", "GET", here)
        assert headers["vary"] == "Origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
    app = new_server(client_root=root, hosts=["*.ngrok.app"])
    async with open_vuer_server(app) as server:
        for more in (["Host: a.ngrok.app"], ["Host: a.ngrok.app", "Origin: https://a.ngrok.app"]):
            assert (await ask(server, "/", "GET", *more))[0] == 200


async def test_the_installed_client_is_sent_without_other_hosts(new_server, root, monkeypatch):
    style = b'@import"https://fonts.googleapis.com/css2?family=A:wght@400;500";p{color:red}'
    (root / "assets" / "style.css").write_bytes(style)
    (root / "style.css").write_bytes(style)
    odd = b"\xff\xfe not UTF-8"
    (root / "assets" / "odd.css").write_bytes(odd)
    monkeypatch.setattr("vuer_trio.server.serving.web_client", lambda: root)
    async with open_vuer_server(new_server()) as server:
        status, headers, body = await ask(server, "/assets/style.css")
        assert (status, body) == (200, b"p{color:red}")
        assert headers["content-length"] == "12"
        assert headers["content-type"] == "text/css"
        assert headers["cache-control"] == "no-cache"  # the name is that of what is on the disk
        again = ("Host: here.local:1", f"If-None-Match: {headers['etag']}")
        assert (await ask(server, "/assets/style.css", "GET", *again))[0] == 304
        status, headers, body = await ask(server, "/assets/style.css", "HEAD")
        assert (status, headers["content-length"], body) == (200, "12", b"")
        for name, content in (("assets/app.js", b"go()"), ("assets/odd.css", odd)):
            assert (await ask(server, f"/{name}"))[::2] == (200, content)
        assert (await ask(server, "/style.css"))[2] == style  # those of the client are in assets
        assert (await ask(server, "/assets/none.css"))[0] == 404
        (root / "assets" / "style.css").write_bytes(style + b"b{}")
        assert (await ask(server, "/assets/style.css"))[2] == b"p{color:red}b{}"
    async with open_vuer_server(new_server(client_root=root)) as server:
        assert (await ask(server, "/assets/style.css"))[2] == style + b"b{}"  # whose that is
