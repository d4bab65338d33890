"""What of a file a request asks for: conditions (RFC 9110 §13) and ranges (§14). Plain data."""

from __future__ import annotations

import re
from email.utils import formatdate, parsedate_to_datetime
from typing import NamedTuple

from .._net.http_request import HttpRequest

__all__ = ["Facts", "Plan", "http_date", "make_plan"]

_TAG = re.compile(r'(?:W/)?"[!#-~\x80-\xff]*"')
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)


class Facts(NamedTuple):
    """What is known of a representation. ``size`` in bytes, ``modified`` in seconds since 1970;
    ``tags`` are the entity tags of all encodings of it, its own first."""

    size: int
    tags: tuple[str, ...]
    modified: float | None

    @property
    def tag(self) -> str:
        """Its own entity tag, quotes included."""
        return self.tags[0]


class Plan(NamedTuple):
    """How to answer: a status, the bytes from ``start`` to before ``stop``, the entity tag."""

    status: int
    start: int
    stop: int
    tag: str


def http_date(seconds: float) -> str:
    """As Last-Modified has it."""
    return formatdate(int(seconds), usegmt=True)


def make_plan(request: HttpRequest, facts: Facts) -> Plan:
    """By the conditions in their order (RFC 9110 §13.2.2), then the range."""
    whole = Plan(200, 0, facts.size, facts.tag)
    if not _may_go_on(request, facts):
        return Plan(412, 0, 0, facts.tag)
    if (known := _known(request, facts)) is not None:
        return Plan(304, 0, 0, known)
    asked = request.header("range")
    if asked is None or request.method != "GET" or not _is_same(request, facts):
        return whole
    return _part(asked, facts) or whole


def _may_go_on(request: HttpRequest, facts: Facts) -> bool:
    wanted = request.header("if-match")
    if wanted is not None:
        return wanted.strip() == "*" or not set(facts.tags).isdisjoint(_TAG.findall(wanted))
    since = _seconds(request.header("if-unmodified-since"))
    return since is None or facts.modified is None or int(facts.modified) <= since


def _known(request: HttpRequest, facts: Facts) -> str | None:
    """The tag of what the client has, if that still holds."""
    held = request.header("if-none-match")
    if held is not None:
        if held.strip() == "*":
            return facts.tag
        weak = {tag.removeprefix("W/") for tag in _TAG.findall(held)}
        return next((tag for tag in facts.tags if tag in weak), None)
    since = _seconds(request.header("if-modified-since"))
    if since is None or facts.modified is None or int(facts.modified) > since:
        return None
    return facts.tag


def _is_same(request: HttpRequest, facts: Facts) -> bool:
    """Whether what the client has a part of is still this."""
    held = request.header("if-range")
    if held is None:
        return True
    if '"' in held:
        return held.strip() == facts.tag  # a weak one is none (RFC 9110 §13.1.5)
    return facts.modified is not None and held.strip() == http_date(facts.modified)


def _part(asked: str, facts: Facts) -> Plan | None:
    """None for what is not understood, several ranges among it: the whole is an answer to that."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    size = facts.size
    if not first:  # the last so many bytes
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= stop:
        return Plan(416, 0, 0, facts.tag)
    return Plan(206, start, stop, facts.tag)


def _seconds(date: str | None) -> float | None:
    """Of an HTTP date; None for what is none."""
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
