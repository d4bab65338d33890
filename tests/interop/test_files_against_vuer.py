"""The files of one folder, fetched from the real server and from ours: one table.

In each cell ours is at least as good: the same, or what the reference has not got. The table is in
the output (``pytest -s``).
"""

from __future__ import annotations

import gzip
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.free_ports import free_port

SERVER = """
import sys
root, port, package = sys.argv[1], int(sys.argv[2]), sys.argv[3]
Vuer = __import__(package).Vuer
app = Vuer(host="127.0.0.1", port=port, workspace=[root + "/one", root + "/two"])
app.workspace.mount(root + "/mounted", to="/uploads")
app.workspace.link(lambda: {"ok": True}, "/api/status")
app.workspace.link(b"linked" * 10, "/linked.bin")
app.workspace.link(lambda request: request.query["q"], "/asked.txt")
app.start()
"""
URDF = b"<robot name='arm'><link name='base'/></robot>\n" * 200
NOISE = bytes((n * n) % 251 for n in range(30_000))
FILES = {
    "one/robot.urdf": URDF,
    "two/robot.urdf": b"hidden by the first",
    "one/arm.xacro": URDF,
    "one/arm.srdf": URDF,
    "one/world.sdf": URDF,
    "one/model.mjcf": URDF,
    "one/scene.xml": URDF,
    "one/hand.stl": NOISE,
    "one/hand.obj": b"v 0 0 0\n" * 500,
    "one/hand.mtl": b"newmtl a\n" * 300,
    "one/hand.dae": URDF,
    "two/hand.glb": NOISE,
    "two/hand.gltf": b'{"asset": {}}',
    "two/hand.usdz": NOISE,
    "two/cloud.ply": NOISE,
    "two/cloud.pcd": NOISE,
    "two/scan.splat": NOISE,
    "two/scan.ksplat": NOISE,
    "two/scan.spz": NOISE,
    "two/sky.hdr": NOISE,
    "two/sky.exr": NOISE,
    "two/texture.ktx2": NOISE,
    "two/engine.wasm": b"\0asm" * 500,
    "two/meshes/deep/photo.png": NOISE,
    "two/photo.jpg": NOISE,
    "two/config.yaml": b"a: 1\n",
    "two/config.json": b"{}",
    "two/app.js": b"go()\n" * 300,
    "two/page.html": b"<p>page",
    "two/notes.txt": b"notes",
    "two/a name.stl": NOISE,
    "two/empty.txt": b"",
    "two/unknown": NOISE,
    "mounted/up.stl": NOISE,
    "one/.env": b"SECRET",
    "one/.git/config": b"SECRET",
    "one/server.key": b"SECRET",
    "outside.txt": b"SECRET",
}
SERVED = list(
    dict.fromkeys(
        f"/workspace/{name.partition('/')[2].replace(' ', '%20')}"
        for name in FILES
        if name.startswith(("one/", "two/")) and b"SECRET" not in FILES[name]
    )
)
OTHERS = ["/uploads/up.stl", "/workspace/api/status", "/workspace/linked.bin"]
OTHERS += ["/workspace/asked.txt?q=a%20b", "/workspace/robot.urdf?hot=true", "/", "/favicon.ico"]
MISSING = ["/workspace/nothing.stl", "/workspace/", "/workspace/meshes", "/uploads/nothing"]
HIDDEN = [
    "/workspace/.env",
    "/workspace/.git/config",
    "/workspace/server.key",
    "/workspace/out.txt",
]
ORIGIN = "https://vuer.ai"


class Got(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


class Peer:
    """A server in a process of its own."""

    def __init__(self, package: str, root: Path) -> None:
        self.port = free_port()
        foreign = ("VUER_", "WEBSOCKET_MAX_SIZE", "REQUEST_MAX_SIZE")
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(root), str(self.port), package],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        )

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, "the server has ended"
                assert time.monotonic() < deadline, "the server does not listen"
                time.sleep(0.05)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(60)

    def get(self, target: str, method: str = "GET", **headers: str) -> Got:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, headers=named)
            reply = connection.getresponse()
            fields = {name.lower(): value for name, value in reply.getheaders()}
            return Got(reply.status, fields, reply.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def peers(tmp_path_factory) -> Iterator[tuple[Peer, Peer]]:
    pytest.importorskip("vuer")
    root = tmp_path_factory.mktemp("files")
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "one/out.txt").symlink_to("../outside.txt")
    both = Peer("vuer", root), Peer("vuer_trio", root)
    try:
        for peer in both:
            peer.wait()
        yield both
    finally:
        for peer in both:
            peer.stop()


def cells(peer: Peer, target: str) -> dict[str, Any]:
    """A row of the table."""
    plain = peer.get(target, Origin=ORIGIN)
    tag, date = plain.headers.get("etag"), plain.headers.get("last-modified")
    part = peer.get(target, Range="bytes=2-5")
    packed = peer.get(target, Accept_Encoding="gzip")
    head = peer.get(target, "HEAD")
    preflight = peer.get(target, "OPTIONS", Origin=ORIGIN, Access_Control_Request_Method="GET")
    return {
        "status": plain.status,
        "type": plain.kind,
        "length": len(plain.body),
        "etag 304": bool(tag) and peer.get(target, If_None_Match=tag or "").status == 304,
        "date 304": bool(date) and peer.get(target, If_Modified_Since=date or "").status == 304,
        "range": part.status == 206 and part.headers.get("content-range") is not None,
        "416": peer.get(target, Range="bytes=99999999-").status == 416,
        "gzip": packed.headers.get("content-encoding") == "gzip",
        "head": head.status == plain.status and head.body == b"",
        "cors": plain.headers.get("access-control-allow-origin") == ORIGIN,
        "preflight": preflight.status in (200, 204)
        and preflight.headers.get("access-control-allow-origin") == ORIGIN,
        "evil": "access-control-allow-origin"
        not in peer.get(target, Origin="http://evil.example").headers,
    }


def shown(value: Any) -> str:
    return (
        {True: "yes", False: "-"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )


def test_ours_is_at_least_as_good_in_each_cell(peers):
    vuer, ours = peers
    rows, worse = [], []
    for target in [*SERVED, *OTHERS, *MISSING, *HIDDEN]:
        theirs, mine = cells(vuer, target), cells(ours, target)
        rows.append((target, theirs, mine))
        for name, value in theirs.items():
            if target in HIDDEN:
                good = mine["status"] == 404
            elif isinstance(value, bool):
                good = mine[name] or not value
            elif name == "status":
                good = mine[name] == value or (mine[name] == 200 and target == "/favicon.ico")
            elif mine["status"] != theirs["status"] or mine["status"] != 200:
                good = True  # of the text of an error, or of what only ours has
            elif name == "type":
                good = mine[name] == value or value == "application/octet-stream"
            else:
                good = mine[name] == value
            if not good:
                worse.append((target, name, value, mine[name]))
    names = list(rows[0][1])
    print("\n", *(["of both (vuer / vuer_trio)".ljust(34)] + [name.ljust(9) for name in names]))
    for target, theirs, mine in rows:
        cell = [
            (shown(mine[n]) if theirs[n] == mine[n] else f"{shown(theirs[n])}/{shown(mine[n])}")
            for n in names
        ]
        print("", target.ljust(34), *(text.ljust(9) for text in cell))
    assert worse == []
    for target, _, mine in rows:
        if target in SERVED:
            assert mine["status"] == 200, target
            for name in ("etag 304", "date 304", "head", "preflight", "cors", "evil"):
                assert mine[name], (target, name)
            assert mine["range"] or mine["length"] < 3
    assert any(mine["gzip"] for _, _, mine in rows)


def test_the_bytes_are_the_same(peers):
    vuer, ours = peers
    for target in [*SERVED, *OTHERS[:5]]:
        theirs, mine = vuer.get(target), ours.get(target)
        assert mine.body == theirs.body, target
        packed = ours.get(target, Accept_Encoding="gzip")
        if packed.headers.get("content-encoding") == "gzip":
            assert gzip.decompress(packed.body) == theirs.body
        for wanted in ("bytes=0-0", "bytes=-3", "bytes=4-", "bytes=1-99999999"):
            a, b = vuer.get(target, Range=wanted), ours.get(target, Range=wanted)
            if a.status == 206:
                assert (b.status, b.body) == (206, a.body), (target, wanted)
                assert b.headers["content-range"] == a.headers["content-range"]


def test_what_the_reference_gives_away_is_not_given_away(peers):
    vuer, ours = peers
    given = {target: vuer.get(target).body == b"SECRET" for target in HIDDEN}
    assert any(given.values())  # or there is nothing to be seen here
    for target in HIDDEN:
        assert ours.get(target).status == 404
