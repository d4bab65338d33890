"""Targets that lead out of a folder, or to what is hidden in it, if anybody is careless.

The folder is that of `make_folder`; whatever is below it, above it or beside it that must not be
given out has SECRET in it.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

__all__ = ["PREFIXES", "SECRET", "TAILS", "TARGETS", "make_folder"]

SECRET = b"SECRET"
KEY = b"-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"

#: where a server has that folder
PREFIXES = ("/workspace/", "/static/", "/mounted/", "/")

_UP = ["..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "..%00"]
_SLASHES = ["/", "%2f", "%5c", "\\", "%252f", "%c0%af", "%e2%88%95", "//", "/./"]
_HIDDEN = [
    *(".env", ".git/config", ".hidden/a.txt", "sub/.hidden/a.txt", "%2eenv", "%2E%67it/config"),
    *(".", "./", "./.env", "sub/%2e/", "server.pem", "server.key", "SERVER.KEY", "id_rsa"),
    *(
        "sub/store.p12",
        "key.txt",
        "chain.txt",
        "bag.txt",
        "server%2ekey",
        "server.key/",
        "id_ed25519",
    ),
]
_LINKS = [
    *("out.txt", "out/secret.txt", "out/sub/secret.txt", "up/secret.txt", "loop", "loop/x", "dev"),
    *(
        "chained.txt",
        "tokey.txt",
        "todot.txt",
        "absolute",
        "absolute/etc/passwd",
        "proc/self/environ",
    ),
]
_ODD = [
    *(
        "a.stl%00",
        "a.stl%00.txt",
        "%00",
        "%0a",
        "a.stl%0d%0aX-Evil:1",
        "a.stl%20",
        "a.stl.",
    ),
    *(
        "a.stl/b",
        "%ff",
        "%ff%fe",
        "a%80.stl",
        "%ed%a0%80",
        "%",
        "%2",
        "%zz",
        "%u002e%u002e/secret.txt",
    ),
    *(
        "CON",
        "con.txt",
        "NUL",
        "aux.stl",
        "COM1",
        "LPT9.txt",
        "a.stl::$DATA",
        "a.stl:stream",
        "C:",
        "C:/",
    ),
    *(
        "C:%5cWindows%5cwin.ini",
        "%5c%5c.%5cpipe",
        "~",
        "~root/.ssh/id_rsa",
        "$HOME",
        "pipe",
        "socket",
    ),
    *("sub", "sub/", "", "?../secret.txt", "#/../secret.txt", ";/../secret.txt", "a.stl;.txt", "*"),
    *("etc/passwd", "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "%2f%2fetc/passwd"),
    *("file:///etc/passwd", "http://localhost/etc/passwd", "x" * 300, "x" * 5000, "x/" * 5000),
    *("../" * 5000, "%2e%2e/" * 300, "a.stl/" + "../" * 30 + "etc/passwd", "sub/../../secret.txt"),
]
TAILS = [
    *(f"{up}{slash}secret.txt" for up in _UP for slash in _SLASHES),
    *(f"sub{slash}{up}{slash}{up}{slash}secret.txt" for up in _UP[:3] for slash in _SLASHES[:4]),
    *_HIDDEN,
    *_LINKS,
    *_ODD,
]

#: as they are written into a request line
TARGETS = [f"{prefix}{tail}" for prefix in PREFIXES[:1] for tail in TAILS] + [
    f"{prefix}{tail}"
    for prefix in PREFIXES[1:]
    for tail in [*TAILS[: len(_SLASHES)], *_HIDDEN, *_LINKS, *_ODD]
    if prefix != "/" or tail not in ("", "?../secret.txt", "#/../secret.txt", "/./")
]


def make_folder(base: Path) -> Path:
    """A folder in ``base`` with one file to be given out, ``a.stl``, and traps all around."""
    root = base / "root"
    for name, content in {
        "root/a.stl": b"solid a\n",
        "root/sub/b.stl": b"solid b\n",
        "root/.env": SECRET,
        "root/.git/config": SECRET,
        "root/.hidden/a.txt": SECRET,
        "root/sub/.hidden/a.txt": SECRET,
        "root/server.pem": KEY,
        "root/server.key": SECRET,
        "root/SERVER.KEY": SECRET,
        "root/id_rsa": SECRET,
        "root/id_ed25519": SECRET,
        "root/sub/store.p12": SECRET,
        "root/key.txt": KEY,
        "root/chain.txt": CERTIFICATE + KEY,
        "root/bag.txt": b"Bag Attributes\n    friendlyName: x\n" + KEY,
        "secret.txt": SECRET,
        "rooted/secret.txt": SECRET,
        "outside/secret.txt": SECRET,
        "outside/sub/secret.txt": SECRET,
    }.items():
        file = base / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    for name, target in {
        "out.txt": "../secret.txt",
        "out": base / "outside",
        "up": "..",
        "loop": "loop",
        "dev": "/dev/zero",
        "chained.txt": "out.txt",
        "tokey.txt": "server.key",
        "todot.txt": ".env",
        "absolute": "/",
        "proc": "/proc",
    }.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        here = Path.cwd()
        os.chdir(root)  # the path of a socket is short
        try:
            sock.bind("socket")
        finally:
            os.chdir(here)
    return root
