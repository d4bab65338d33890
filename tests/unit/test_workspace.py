"""Workspaces, and what of a folder is given out."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import trio

from vuer_trio.workspace import (
    MIME_TYPES,
    Blob,
    LinkRequest,
    Workspace,
    guess_content_type,
    sanitize_path,
    workspace_from_config,
)
from vuer_trio.workspace import folder as folder_module
from vuer_trio.workspace.folder import Folder, open_explicitly
from vuer_trio.workspace.paths import decoded_parts, is_hidden, is_plain

KEY = b"-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\n"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"


def test_the_folders_of_a_workspace():
    assert Workspace().paths == (Path("."),)
    workspace = Workspace("a", Path("/b"))
    assert workspace.paths == (Path("a"), Path("/b"))
    assert workspace.absolute_paths == [str(Path.cwd() / "a"), "/b"]
    assert repr(workspace) == 'Workspace("a", "/b")'


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        (None, (".",)),
        ("a", ("a",)),
        (Path("a"), ("a",)),
        (["a", Path("b")], ("a", "b")),
        (("a",), ("a",)),
    ],
)
def test_what_makes_a_workspace(config, paths):
    assert workspace_from_config(config).paths == tuple(map(Path, paths))


def test_a_workspace_is_taken_as_it_is():
    workspace = Workspace("a")
    assert workspace_from_config(workspace) is workspace
    for config in (5, [5], ["a", None], b"a"):
        with pytest.raises(TypeError, match="workspace must be a folder, a list of folders"):
            workspace_from_config(config)


def test_find(tmp_path):
    for name in ("a/x.urdf", "b/x.urdf", "b/sub/y.stl", "b/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    workspace = Workspace(tmp_path / "a", tmp_path / "b")
    assert workspace.find("x.urdf") == tmp_path / "a/x.urdf"
    assert workspace.find("/sub/../sub/y.stl") is None
    assert workspace.find("/../sub/y.stl") == tmp_path / "b/sub/y.stl"
    for name in ("", "..", "sub", "nothing", ".hidden"):
        assert workspace.find(name) is None
    assert trio.run(workspace.resolve, "sub/y.stl") == tmp_path / "b/sub/y.stl"
    assert trio.run(workspace.resolve, "nothing") is None


def test_only_exists_may_be_overridden(tmp_path):
    class Everything(Workspace):
        async def exists(self, filepath):
            return filepath.name != "not.txt"

    workspace = Everything(tmp_path)
    assert trio.run(workspace.resolve, "a/b.txt") == tmp_path / "a/b.txt"
    assert trio.run(workspace.resolve, "not.txt") is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a/robot.urdf", "application/xml"),
        ("robot.XACRO", "application/xml"),
        ("hand.stl", "model/stl"),
        ("hand.glb", "model/gltf-binary"),
        ("cloud.ply", "application/x-ply"),
        ("scan.splat", "application/octet-stream"),
        ("sky.hdr", "image/vnd.radiance"),
        ("app.js", "text/javascript"),
        ("page.html", "text/html"),
        ("photo.jpg", "image/jpeg"),
        ("robot.urdf.gz", "application/octet-stream"),
        ("nothing", "application/octet-stream"),
    ],
)
def test_content_types(name, kind):
    assert guess_content_type(name) == MIME_TYPES.guess(Path(name)) == kind


def test_the_table_of_content_types_can_be_extended(monkeypatch):
    monkeypatch.setitem(Workspace.MIME_TYPES, ".robot", "application/x-robot")
    assert guess_content_type("a.robot") == "application/x-robot"


def test_blobs():
    assert Blob(b"a").as_bytes() == b"a"
    assert Blob(text="ä").as_bytes() == "ä".encode()
    assert Blob(json={"a": [1]}).as_bytes() == b'{"a": [1]}'
    kinds = [blob.content_type for blob in (Blob(b"a"), Blob(text="a"), Blob(json=[]))]
    assert kinds == ["application/octet-stream", "text/plain", "application/json"]
    assert Blob(b"a", content_type="image/x").content_type == "image/x"
    for given in ({}, {"data": b"a", "text": "a"}):
        with pytest.raises(ValueError, match="a Blob must be given one of data, text and json"):
            Blob(**given)


# ---- links


def test_links_are_kept_by_their_path():
    workspace = Workspace()
    assert workspace.link(b"a", "api/status.json/") == "api/status.json/"
    workspace.link(lambda request: request, "/submit", method="post", content_type="text/x")
    workspace.link(Path("a.stl"), "/a.stl")
    assert workspace.links["/api/status.json"]["type"] == "bytes"
    assert workspace.links["/api/status.json"]["content_type"] == "application/json"
    submit = workspace.links["/submit"]
    assert (submit["type"], submit["method"], submit["takes_request"]) == ("callable", "POST", True)
    assert workspace.links["/a.stl"]["target"] == Path.cwd() / "a.stl"
    assert workspace.unlink("submit")
    assert not workspace.unlink("/submit")
    with pytest.raises(TypeError, match="target must be a function, a Path or bytes, got"):
        workspace.link("a.stl", "/a.stl")
    with pytest.raises(ValueError, match="to must be a path below /, got '/'; use '/files'"):
        workspace.mount(".", to="/")


@pytest.mark.parametrize(
    ("fn", "takes"),
    [
        (lambda: 1, False),
        (lambda request: 1, True),
        (lambda r: 1, True),
        (lambda n=1: 1, False),
        (lambda request=None: 1, True),
        (lambda *args: 1, True),
        (lambda *, a=1: 1, False),
        (dict, False),
        (b"bytes", False),
    ],
)
def test_who_gets_the_request(fn, takes):
    workspace = Workspace()
    workspace.link(fn, "/x")
    assert workspace.links["/x"]["takes_request"] is takes


def test_what_a_link_gives():
    workspace = Workspace()
    request = LinkRequest("GET", "/workspace/x", "x", "a=1&a=2&b=", {})

    async def ask():
        return await workspace.handle_link("x/", request)

    assert trio.run(ask) is None
    for result, body, kind in (
        ({"a": 1}, b'{"a": 1}', "application/json"),
        ([1], b"[1]", "application/json"),
        ("ä", "ä".encode(), "text/plain; charset=utf-8"),
        (5, b"5", "text/plain; charset=utf-8"),
        (memoryview(b"a"), b"a", "application/octet-stream"),
        (Blob(b"a", content_type="x/y"), b"a", "x/y"),
    ):
        workspace.link(lambda result=result: result, "/x")
        reply = trio.run(ask)
        assert (reply.status, reply.body, reply.content_type) == (200, body, kind)
    assert reply.text == "a"

    async def later(request):
        await trio.lowlevel.checkpoint()
        return f"{request.query} {request.match_info} {await request.text()}"

    workspace.link(later, "/x")
    assert trio.run(ask).body == b"{'a': '1', 'b': ''} {'filename': 'x'} "


def test_what_a_linked_function_raises_ends_nothing(caplog):
    workspace = Workspace()

    class Odd(BaseException):
        pass

    def fails():
        raise Odd("of the function")

    workspace.link(fails, "/x")
    reply = trio.run(workspace.handle_link, "/x", None)
    assert (reply.status, b"of the function" in reply.body) == (500, False)
    assert "of the function" in caplog.text

    def interrupted():
        raise KeyboardInterrupt

    workspace.link(interrupted, "/x")
    with pytest.raises(KeyboardInterrupt):
        trio.run(workspace.handle_link, "/x", None)


# ---- paths


def test_paths_of_a_program_are_put_right():
    for given, cleaned in {
        "a/b.txt": "a/b.txt",
        "/a//b.txt": "a/b.txt",
        "../../etc/passwd": "etc/passwd",
        "a/./../b": "a/b",
        "..": "",
        "": "",
    }.items():
        assert sanitize_path(given) == cleaned.replace("/", os.sep)


def test_paths_of_a_peer_are_refused():
    assert decoded_parts("/a%20b//c.txt/") == ("a b", "c.txt")
    assert decoded_parts("/") == ()
    assert decoded_parts("/%252e%252e") == ("%2e%2e",)
    for path in ("/..", "/%2e", "/a%2fb", "/a%5Cb", "/%00", "/%ff", "/%0a", "/" + "x" * 256):
        assert decoded_parts(path) is None, path


def test_names_that_windows_reads_differently():
    for name in ("con", "NUL.txt", "com1", "LPT9.a.b", "a.", "a ", "a:b", "a.stl::$DATA", "a|b"):
        assert is_plain(name, windows=False)
        assert not is_plain(name, windows=True)
    for name in ("console.txt", "com", "aux_1.stl", "a.b"):
        assert is_plain(name, windows=True)


def test_what_is_hidden():
    for name in (".env", ".", "a.pem", "A.KEY", "id_rsa", "id_ed25519_sk", "x.kdbx", "b.tar.p12"):
        assert is_hidden(name), name
    for name in ("id_rsa.pub", "keys.txt", "key", "a.pem.txt", "monkey.glb", "a.keynote"):
        assert not is_hidden(name), name


# ---- folders


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root/sub").mkdir(parents=True)
    (tmp_path / "root/sub/a.txt").write_bytes(b"inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a.txt").write_bytes(b"SECRET")
    return tmp_path / "root"


def content(file):
    if file is None:
        return None
    with file:
        return file.read()


@pytest.mark.parametrize("below", [True, False], ids=["below", "compared"])
def test_a_folder_opens_what_is_in_it(root, below, monkeypatch):
    monkeypatch.setattr(folder_module, "_BELOW", below)
    folder = Folder(root)
    (root / "inner").symlink_to("sub")
    (root / "inner.txt").symlink_to("inner/a.txt")
    (root / "outer").symlink_to(root.parent / "outside")
    (root / "key.txt").write_bytes(b"\n " + KEY)
    (root / "chain.txt").write_bytes(CERTIFICATE * 3 + KEY)
    (root / "certificate.txt").write_bytes(CERTIFICATE)
    (root / "about.txt").write_bytes(b"A key begins with\n" + KEY)
    for names in (["sub", "a.txt"], ["inner", "a.txt"], ["inner.txt"]):
        assert content(folder.open(names)) == b"inside"
    for names in (["outer", "a.txt"], ["sub"], [], ["..", "outside", "a.txt"], ["nothing"]):
        assert folder.open(names) is None
    assert folder.open(["key.txt"]) is folder.open(["chain.txt"]) is None
    assert content(folder.open(["certificate.txt"])) == CERTIFICATE
    assert content(folder.open(["about.txt"])).startswith(b"A key")
    assert Folder(root / "nothing").open(["a.txt"]) is None
    assert content(Folder(root / "inner").open(["a.txt"])) == b"inside"  # named by the program
    assert content(open_explicitly(root / "key.txt")).endswith(KEY)
    assert open_explicitly(root) is open_explicitly(root / "nothing") is None


@pytest.mark.parametrize("below", [True, False], ids=["below", "compared"])
def test_who_exchanges_a_folder_for_a_link_meanwhile_gets_nothing(root, below, monkeypatch):
    """Between the judgement of a path and its opening, which is where it hurts most."""
    monkeypatch.setattr(folder_module, "_BELOW", below)
    folder, open_below = Folder(root), folder_module._open_below

    def exchange(*args):
        (root / "sub").rename(root / "was")
        (root / "sub").symlink_to(root.parent / "outside")
        return open_below(*args)

    monkeypatch.setattr(folder_module, "_open_below", exchange)
    assert folder.open(["sub", "a.txt"]) is None


def test_a_race_of_links_is_never_lost(root):
    """A thread exchanges the folder for a link and back, as fast as it can."""
    stop = threading.Event()

    sub, was, link = root / "sub", root / "was", root.parent / "link"
    link.symlink_to(root.parent / "outside")

    def flip():
        while not stop.is_set():
            sub.rename(was)
            link.rename(sub)
            sub.rename(link)
            was.rename(sub)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        found = {content(Folder(root).open(["sub", "a.txt"])) for _ in range(3000)}
    finally:
        stop.set()
        thread.join()
    assert b"inside" in found
    assert found <= {b"inside", None}


# ---- encoders


def test_images():
    numpy = pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    from vuer_trio.workspace import b64jpg, b64png, decode_b64png, jpg, png

    pixels = numpy.zeros((4, 6, 4))
    pixels[..., 0] = 1.5  # clipped
    pixels[..., 3] = 0.5
    image = decode_b64png(b64png(pixels))
    assert (image.size, image.mode, image.getpixel((0, 0))) == ((6, 4), "RGBA", (255, 0, 0, 127))
    assert png(pixels[..., :1]).startswith(b"\x89PNG")
    assert jpg(pixels).startswith(b"\xff\xd8")
    assert b64jpg((pixels * 100).astype("uint8"), quality=10).startswith("data:image/jpeg;base64,")
    with pytest.raises(ValueError, match=r"the shape of an image must be \(H, W\)"):
        png(pixels[..., :2])
    with pytest.raises(TypeError, match="an image must be an array of numbers, got 'abc'"):
        png("abc")
