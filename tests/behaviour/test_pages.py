"""What a browser gets at a server's address, and what it does not get."""

from __future__ import annotations

import os
import tracemalloc
from contextlib import AsyncExitStack

import anyio
import pytest
from raw_client import eventually, raw

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


async def ask(server, target, method="GET", *headers):
    """Status, headers and body."""
    async with raw(server.port) as client:
        lines = [f"{method} {target} HTTP/1.1", *(headers or ("Host: here:1",))]
        await client.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        await client.end()
        await client.read_to_the_end()
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
        for target in ("/", "/?ws=ws://localhost:1", "http://here:1/"):
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
    "http://here:1/../secret.txt",
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
            with anyio.fail_after(5):
                status, _, body = await ask(server, target)
            assert status == 404, target
            assert b"SECRET" not in body
            assert b"root:" not in body
        status, _, _ = await ask(server, "/" + "x" * 100_000)
        assert status in (400, 414, 431)
    assert "Traceback" not in caplog.text


async def test_other_methods(new_server, root):
    for app in (new_server(client_root=root), new_server()):
        async with open_vuer_server(app) as server:
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
                status, headers, _ = await ask(server, "/", method)
                assert (status, headers["allow"]) == (405, "GET, HEAD")


async def test_without_a_folder_there_is_one_page(new_server, caplog):
    async with open_vuer_server(new_server()) as server:
        status, headers, body = await ask(server, "/?a=b")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b'<a href="https://vuer.ai?ws=ws://here:1">' in body
        assert (await ask(server, "/", "HEAD"))[2] == b""
        for target in ("/index.html", "/..", "//[", "/etc/passwd", "*"):
            assert (await ask(server, target))[0] == 404
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "host",
    ['"><script>alert(1)</script>', "a'b&c<d>", 'x" onclick="y', "ünï", "{uri}", "a b", ""],
)
async def test_a_host_is_text_wherever_it_is_shown(new_server, host):
    async with open_vuer_server(new_server()) as server:
        status, _, body = await ask(server, "/", "GET", f"Host: {host}")
    assert status in (200, 400)
    page = body.decode()
    assert "<script" not in page
    assert 'onclick="' not in page
    assert page.count("<") == page.count(">")
    if status == 200:
        assert page.count("<") == 10
        assert page.count('"') == 4


async def test_an_http_1_0_request_without_a_host(new_server):
    async with open_vuer_server(new_server()) as server, raw(server.port) as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        await client.end()
        await client.read_to_the_end()
        assert b"200 OK" in client.received
        assert b"ws://localhost" in client.received


async def test_slow_readers_of_a_large_file_share_its_bytes(new_server, root):
    size = 12 << 20
    (root / "large.bin").write_bytes(bytes(size))
    async with open_vuer_server(new_server(client_root=root)) as server:
        async with AsyncExitStack() as stack:
            tracemalloc.start()
            try:
                for _ in range(20):
                    client = await stack.enter_async_context(raw(server.port))
                    await client.send(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
                    with anyio.fail_after(10):
                        assert await client.stream.receive(15) == b"HTTP/1.1 200 OK"
                used, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert used < 3 * size
            assert [readers for _, readers in server._pages._sending.values()] == [20]
            (root / "large.bin").write_bytes(b"another" * 10)
            assert (await ask(server, "/large.bin"))[2] == b"another" * 10
        await eventually(lambda: server._pages._sending == {})
