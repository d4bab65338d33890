"""The font for texts in a scene, as data that the web client's font resolver asks for.

The resolver (`unicode-font-resolver`, schema 1) asks for a map of each block of 256 characters
that a text needs, then for what is known of the fonts that the maps name, then for their files.
"""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache
from importlib.resources import files

__all__ = ["font_data"]

_FONT = "vuer-dejavu-sans"
#: Latin, Greek, Cyrillic; punctuation, arrows, mathematics; boxes: whole blocks, so that what the
#: font lacks in them is an empty box, and not a request
_BLOCKS = (0x00, 0x100, 0x200, 0x300, 0x400, 0x2000, 0x2100, 0x2200, 0x2500)
_BLOCK = 256
#: a map has six bits in a character, which is "0" for none of them, and "o" for all
_ALL = "o" * -(-_BLOCK // 6)


@cache
def font_data() -> dict[str, str]:
    """JSON by the resolver's paths. Reads a file. A font's ``file`` is where it is: here, a URL
    of data."""
    woff = files(__package__).joinpath("dejavu-sans.woff").read_bytes()
    blocks = [f"{first:x}-{first + _BLOCK - 1:x}" for first in _BLOCKS]
    known = {
        "id": _FONT,
        "ranges": ",".join(blocks),
        "typeforms": {"sans-serif": {"normal": [400]}},
        "file": f"data:font/woff;base64,{b64encode(woff).decode()}",
    }
    every_language = {".": {_FONT: _ALL}}
    return {
        **{f"codepoint-index/plane0/{b}.json": json.dumps([1, every_language]) for b in blocks},
        f"font-meta/{_FONT}.json": json.dumps([1, known]),
    }
