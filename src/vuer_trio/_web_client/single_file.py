"""The web client and a scene in one HTML file, which a browser opens from the disk.

Browsers do not load modules from a disk, so they lie in the file, compressed. A script makes blobs
of them, which an import map finds by the names that their imports have here; it stands for the
server, too, as a WebSocket that says one thing: SET. The client takes its own address for that of
a page, which the address of a file is not like, so it gets another one.
"""

from __future__ import annotations

import html
import json
import re
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .installed import web_client
from .offline import MUJOCO, offline

__all__ = ["needed_by", "single_file"]

#: a module that another one names, by a path
_MODULE = re.compile(r"""(?<=["'])\.{1,2}/(?:chunks/|entries/)?([\w.-]+\.js)(?=["'])""")
_LOCATION = re.compile(r"\b(?:window|self|document(?:\$\d+)?)\.location\b")
#: what vite would load in advance, by addresses that a file does not have
_IN_ADVANCE = re.compile(r"__vite__mapDeps\(\[[\d,]*\]\)")
#: of what exports one of these, at its end
_LEFT_OUT = re.compile(r" as (?:emulate|resolveContrib)\b")
_TAIL = 2000
#: the package for MuJoCo in the scene that the client begins with
_MUJOCO = re.compile(r"^ +- tag: ContribLoader\n(?: +(?!- tag).*\n)+", re.MULTILINE)
_ENTRY = "entry-client-routing"
#: addresses, and the names of properties that hold them
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//|\.{0,2}/|[\w-]+/", re.IGNORECASE)
_ADDRESSES = re.compile(r"src|url|href|files?|path|font|map|.*(?:Src|Url|Map|Path)")


def single_file(message: bytes, nodes: Iterable[dict[str, Any]], title: str) -> bytes:
    """The file for the SET event ``message``, of a scene with these nodes.

    Raises FileNotFoundError without the web client.
    """
    root = web_client()
    if root is None:
        raise FileNotFoundError(
            "to_html() needs the web client, which is in the package vuer: pip install vuer"
        )
    nodes = list(nodes)
    page = (root / "index.html").read_text("utf-8")
    found = re.search(r"<body>(.*?)<script[^>]* src=", page, re.DOTALL)
    if found is None:
        raise FileNotFoundError("to_html() does not know the web client in this version of vuer")
    modules = dict(_modules(root))
    styles = "".join(
        f"<style>{offline(path.read_text('utf-8'))}</style>\n"
        for path in sorted(root.glob("assets/static/*.css"))
    )
    entry = next(name for name in modules if name.startswith(_ENTRY))
    needs = json.dumps(needed_by(nodes))
    return "".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{html.escape(title)}</title>\n",
            f'<meta name="vuer-needs" content="{html.escape(needs)}">\n',
            styles,
            "</head>\n<body>",
            found[1],
            *(
                f'<script type="text/plain" {_ID}="{n}">{_packed(t)}</script>\n'
                for n, t in modules.items()
            ),
            f'<script type="text/plain" id="vuer-scene">{_packed(message)}</script>\n',
            _START.replace("ENTRY", entry),
            "</body>\n</html>\n",
        )
    ).encode("utf-8", "surrogateescape")


def needed_by(nodes: Iterable[dict[str, Any]]) -> list[str]:
    """The addresses that the nodes name, which are not in the file, each once."""
    found = dict.fromkeys(
        value
        for node in nodes
        for name, item in node.items()
        if _ADDRESSES.fullmatch(name)
        for value in (item if isinstance(item, (list, tuple)) else (item,))
        if isinstance(value, str) and _ADDRESS.match(value)
    )
    return [value for value in found if not value.startswith(("data:", "blob:"))]


def _modules(root: Path) -> Iterator[tuple[str, str]]:
    """All that the first one leads to, by their names; neither the emulator of a headset nor what
    is for developers of packages."""
    paths = {path.name: path for path in root.glob("assets/*/*.js")}
    todo = [name for name in paths if name.startswith(_ENTRY)]
    seen = set(todo)
    while todo:
        name = todo.pop()
        text = paths[name].read_text("utf-8", "surrogateescape")
        if _LEFT_OUT.search(text, len(text) - _TAIL):
            continue
        text = _MUJOCO.sub("", offline(text, but=MUJOCO))
        names = {found for found in _MODULE.findall(text) if found in paths}
        todo.extend(sorted(names - seen))
        seen |= names
        text = _MODULE.sub(lambda m: f"vuer/{m[1]}" if m[1] in paths else m[0], text)
        text = _LOCATION.sub("globalThis.vuerLocation", text)
        yield name, _IN_ADVANCE.sub("[]", text)


def _packed(data: str | bytes) -> str:
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    return b64encode(zlib.compress(data, 6)).decode()


_ID = "data-vuer-module"
_START = """<script>
globalThis.vuerLocation = Object.assign(new URL("http://localhost/?hideUI=true"), {
  replace() {}, assign() {}, reload() {},
});
{
  const unpacked = async (element) => {
    const packed = await fetch("data:application/octet-stream;base64," + element.textContent);
    return new Response(packed.body.pipeThrough(new DecompressionStream("deflate")));
  };
  globalThis.WebSocket = class extends EventTarget {
    static CONNECTING = 0; static OPEN = 1; static CLOSING = 2; static CLOSED = 3;
    binaryType = "blob"; bufferedAmount = 0; extensions = ""; protocol = ""; readyState = 0;
    constructor(url) {
      super();
      this.url = String(url);
      setTimeout(async () => {
        this.readyState = 1;
        this.tell(new Event("open"));
        const response = await unpacked(document.getElementById("vuer-scene"));
        this.tell(new MessageEvent("message", { data: await response.blob() }));
      });
    }
    tell(event) { this["on" + event.type]?.(event); this.dispatchEvent(event); }
    send() {}
    close() { this.readyState = 3; }
  };
  const needs = JSON.parse(document.querySelector("meta[name=vuer-needs]").content);
  if (needs.length) console.warn("This scene needs what is not in the file:", ...needs);
  (async () => {
    const elements = [...document.querySelectorAll("[data-vuer-module]")];
    const imports = Object.fromEntries(await Promise.all(elements.map(async (element) => {
      const text = await (await unpacked(element)).text();
      const blob = new Blob([text], { type: "text/javascript" });
      return ["vuer/" + element.dataset.vuerModule, URL.createObjectURL(blob)];
    })));
    const map = document.createElement("script");
    map.type = "importmap";
    map.textContent = JSON.stringify({ imports });
    document.head.append(map);
    await import("vuer/ENTRY");
  })();
}
</script>
"""
