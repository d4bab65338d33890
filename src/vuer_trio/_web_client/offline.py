r"""The files of the web client, without what they would fetch from other hosts, unasked.

- The font of texts in a scene is in the file. Other characters than it has are asked for from the
  content delivery network (CDN), as before.
- The fonts of the page's own words are those of the browser.
- The package for MuJoCo is the one that the client brings along, as it would be in development;
  its version is that of the client, not the one that is asked for.
- For WebRTC no STUN server is asked, unless an element names one: ``iceServer``.
- In WebXR, controllers have the buttons of a usual one, and neither controllers nor hands have a
  model: those of hands the client takes away after two seconds anyway.

What a scene asks for is fetched as before: pictures of an environment by name, decoders for
compressed models, matcaps, and so on.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache

from .font import font_data

__all__ = ["MUJOCO", "Edit", "edits", "offline"]

#: the name of an edit
MUJOCO = "the package for MuJoCo"


@dataclass(frozen=True)
class Edit:
    """Text that is replaced, once in a file, within so many characters of ``anchor``.

    The files are long, and patterns alone would take seconds to find their places.
    """

    name: str
    anchor: str
    pattern: re.Pattern[str]
    replacement: str
    before: int = 200
    after: int = 4000

    def apply(self, text: str) -> str | None:
        """The text changed; None if there is nothing to change."""
        at = -1
        while (at := text.find(self.anchor, at + 1)) >= 0:
            start, end = max(0, at - self.before), at + self.after
            changed, times = self.pattern.subn(self.replacement, text[start:end], count=1)
            if times:
                return text[:start] + changed + text[end:]
        return None


#: one usual controller, in the form of a profile of WebXR's Input Profiles
_PROFILE = "vuer-controller"
_PROFILES = {
    "profilesList.json": {"generic-trigger": {"path": f"{_PROFILE}/profile.json"}},
    "profile.json": {
        "profileId": _PROFILE,
        "fallbackProfileIds": [],
        "layouts": {
            "left-right-none": {
                "selectComponentId": "xr-standard-trigger",
                "components": {
                    name: {
                        "type": kind,
                        "gamepadIndices": indices,
                        "rootNodeName": name,
                        "visualResponses": {},
                    }
                    for name, kind, indices in (
                        ("xr-standard-trigger", "trigger", {"button": 0}),
                        ("xr-standard-squeeze", "squeeze", {"button": 1}),
                        (
                            "xr-standard-thumbstick",
                            "thumbstick",
                            {"button": 3, "xAxis": 2, "yAxis": 3},
                        ),
                    )
                },
                "gamepadMapping": "xr-standard",
                "rootNodeName": _PROFILE,
                "assetPath": "none.glb",  # which nothing loads
            }
        },
    },
}


@cache
def edits() -> tuple[Edit, ...]:
    """All of them. Reads a file."""
    found = json.dumps(_PROFILES)
    return (
        Edit(
            "fonts of the page",
            '@import"https://fonts.googleapis.com/',
            re.compile(r'@import\s*"https://fonts\.googleapis\.com/[^"]*"[^;]*;'),
            "",
        ),
        Edit(
            "where fonts are looked up",
            "/unicode-font-resolver@",
            re.compile(r'\bfetch\((\w+)\+"/"\+(\w+)\)(?=\.then)'),
            r'(vuerFonts[\2]?Promise.resolve(new Response(vuerFonts[\2])):fetch(\1+"/"+\2))',
        ),
        Edit(
            "where a font is",
            "/unicode-font-resolver@",
            re.compile(r'(\w+)\+"/font-files/"\+(\w+)\.id(?=\+)'),
            r'\2.file||\1+"/font-files/"+\2.id',
        ),
        Edit(
            "data of fonts",  # after those two: it is longer than how far they look,
            "/unicode-font-resolver@",
            # in a list of variables, inside a function of which a worker gets the text
            re.compile(r'("https://[^"]*/unicode-font-resolver@[^"]*")'),
            r"\1,vuerFonts=" + _escaped(json.dumps(font_data())),
        ),
        Edit(
            "a sign that the font lacks",  # of what closes the picture of a camera
            'children:"\u2715"',
            re.compile('children:"\u2715"'),
            'children:"\u00d7"',
        ),
        Edit(
            "profiles of controllers",
            "@webxr-input-profiles/",
            re.compile(r"(async function fetchJson\((\w+)\)\{)"),
            r"\1const vuerFound=" + _escaped(found) + r'[\2.split("/").at(-1)];'
            r"if(vuerFound)return vuerFound;",
        ),
        Edit(
            "models of controllers and hands",
            "createXRStore({hand:!0,",
            re.compile(r"(createXRStore\(\{)hand:!0,"),
            r"\1hand:{model:!1},controller:{model:!1},",
        ),
        *(
            Edit(
                f"the STUN server of {what}",
                anchor,
                re.compile(r'\{urls:"stun:[^"]*"\}'),
                "null",
                before=0,
                after=300,
            )
            for what, anchor in (
                ("a connection", "DEFAULT_ICE_SERVER={urls:"),
                ("a video plane", "function WebRTCVideoPlane("),
                ("a stereo video plane", "WebRTCStereoVideoPlane=("),
            )
        ),
        Edit(
            MUJOCO,
            "{resolveContrib:",
            re.compile(
                r"if\((\w+)&&(\w+)\)(\(async\(\)=>\{try\{const\{resolveContrib\b.{0,300}?"
                r"=(\w+)\((\w+)\);if\(!)"
            ),
            r'if(\1&&\2||\5==="@vuer-ai/mujoco-ts")\3',
        ),
    )


def offline(text: str, but: str = "") -> str:
    """The text of a file, changed where it has to be. ``but`` is an edit that is not made."""
    for edit in edits():
        if edit.name != but:
            text = edit.apply(text) or text
    return text


def _escaped(text: str) -> str:
    r"""For a replacement of `re`, where ``\`` means something."""
    return text.replace("\\", r"\\")
