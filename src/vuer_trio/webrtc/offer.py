"""An offer (RFC 8829) as a browser posts it: JSON with ``type`` and ``sdp``."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .._formatting import shown

__all__ = ["LARGEST_OFFER", "BadOffer", "parse_offer"]

#: bytes; a browser's has some six thousand
LARGEST_OFFER = 65_536
#: media sections and candidates; a browser offers sound and picture, at some addresses each
_SECTIONS, _CANDIDATES = 8, 64
#: codecs of a section times their feedbacks, of which aiortc makes an object each; a browser has
#: some fifty and two hundred
_PAIRS = 20_000
_FORM = 'send JSON with the keys "type", which is "offer", and "sdp"'


class BadOffer(ValueError):
    """It cannot be answered. The text says why, for whoever sent it."""


def parse_offer(body: bytes) -> str:
    """The SDP of an offer. Raises BadOffer."""
    try:
        offer = json.loads(body)
    except (ValueError, RecursionError):
        raise BadOffer(f"the offer is not JSON; {_FORM}") from None
    if not isinstance(offer, dict) or not isinstance(offer.get("sdp"), str):
        raise BadOffer(f"the offer has no SDP; {_FORM}")
    if offer.get("type") != "offer":
        kind = shown(repr(offer.get("type")), 40)
        raise BadOffer(f"the type must be 'offer', got {kind}; {_FORM}")
    sdp: str = offer["sdp"]
    if not sdp.startswith("v=0"):
        raise BadOffer("the SDP must begin with v=0 (RFC 8866)")
    sections = list(_sections(sdp))
    media = [section[0][2:].partition(" ")[0] for section in sections]
    if "video" not in media:
        raise BadOffer("the SDP asks for no video; add a transceiver for video before the offer")
    if others := set(media) - {"audio", "video"}:
        kind = shown(repr(min(others)), 40)
        raise BadOffer(f"the SDP must have sections for audio and video only, got {kind}")
    if len(media) > _SECTIONS:
        raise BadOffer(f"the SDP must have at most {_SECTIONS} media sections, got {len(media)}")
    candidates = sdp.count("a=candidate:")
    if candidates > _CANDIDATES:
        raise BadOffer(f"the SDP must have at most {_CANDIDATES} candidates, got {candidates}")
    for section in sections:
        codecs, feedbacks = (
            sum(line.startswith(what) for line in section) for what in ("a=rtpmap:", "a=rtcp-fb:")
        )
        if codecs * feedbacks > _PAIRS:
            raise BadOffer(f"a section has {codecs} codecs with {feedbacks} feedbacks, too many")
    return sdp


def _sections(sdp: str) -> Iterator[list[str]]:
    """The lines of each media section, from lines as aiortc has them: not LF alone ends one."""
    section: list[str] | None = None
    for line in sdp.splitlines():
        if line.startswith("m="):
            if section is not None:
                yield section
            section = [line]
        elif section is not None:
            section.append(line)
    if section is not None:
        yield section
