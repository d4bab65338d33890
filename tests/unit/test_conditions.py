"""What a request wants of a file: a table."""

from __future__ import annotations

import pytest

from vuer_trio._net.http_request import HttpRequest
from vuer_trio.server.conditions import Facts, http_date, make_plan
from vuer_trio.server.pages import _HASHED

MODIFIED = 1_700_000_000.75
DATE, EARLIER = http_date(MODIFIED), http_date(MODIFIED - 1)
FACTS = Facts(100, ('"a"', '"a-gzip"'), MODIFIED)


@pytest.mark.parametrize(
    ("headers", "status", "part"),
    [
        ({}, 200, (0, 100)),
        ({"if-none-match": '"a"'}, 304, (0, 0)),
        ({"if-none-match": '"a-gzip"'}, 304, (0, 0)),
        ({"if-none-match": '"b",W/"a"'}, 304, (0, 0)),
        ({"if-none-match": "a"}, 200, (0, 100)),
        ({"if-none-match": '"b"', "if-modified-since": DATE}, 200, (0, 100)),
        ({"if-modified-since": DATE}, 304, (0, 0)),
        ({"if-modified-since": EARLIER}, 200, (0, 100)),
        ({"if-modified-since": "Thu, 99 Foo 2099 00:00:00 GMT"}, 200, (0, 100)),
        ({"if-match": '"a"'}, 200, (0, 100)),
        ({"if-match": "*"}, 200, (0, 100)),
        ({"if-match": 'W/"a"'}, 412, (0, 0)),
        ({"if-match": '"b"', "if-none-match": '"a"'}, 412, (0, 0)),
        ({"if-unmodified-since": DATE}, 200, (0, 100)),
        ({"if-unmodified-since": EARLIER}, 412, (0, 0)),
        ({"range": "bytes=0-9"}, 206, (0, 10)),
        ({"range": " bytes=99-"}, 206, (99, 100)),
        ({"range": "bytes=-1"}, 206, (99, 100)),
        ({"range": "bytes=100-"}, 416, (0, 0)),
        ({"range": "bytes=-0"}, 416, (0, 0)),
        ({"range": "bytes=9-1"}, 200, (0, 100)),
        ({"range": "bytes=" + "9" * 30 + "-"}, 200, (0, 100)),
        ({"range": "bytes=0-9", "if-range": '"a"'}, 206, (0, 10)),
        ({"range": "bytes=0-9", "if-range": '"b"'}, 200, (0, 100)),
        ({"range": "bytes=0-9", "if-range": DATE}, 206, (0, 10)),
        ({"range": "bytes=0-9", "if-range": EARLIER}, 200, (0, 100)),
        ({"range": "bytes=0-9", "if-none-match": '"a"'}, 304, (0, 0)),
    ],
)
def test_what_a_request_wants(headers, status, part):
    plan = make_plan(HttpRequest("GET", "/", tuple(headers.items())), FACTS)
    assert (plan.status, (plan.start, plan.stop)) == (status, part)
    if "range" in headers:
        plan = make_plan(HttpRequest("HEAD", "/", tuple(headers.items())), FACTS)
        assert plan.status in (200, 304)


def test_an_empty_file_has_no_part():
    for wanted in ("bytes=0-", "bytes=0-0", "bytes=-5"):
        request = HttpRequest("GET", "/", (("range", wanted),))
        assert make_plan(request, FACTS._replace(size=0)).status == 416


def test_names_that_change_with_their_content():
    for name in (
        *("chunk-B_1l0x81.js", "chunk-BEdNaCT-.js", "chunk-CkeFlrP_.js", "entry.WT-Rvmn8.js"),
        *("pages_index-c6b9ae3c.Clummn1-.css", "chunk-FC7ZZ3jy.js", "chunk-DoJFWIAy.js"),
    ):
        assert _HASHED.fullmatch(name), name
    for name in ("app.js", "robot-Textures.png", "scan-20260101.ply", "three.module.js", "a-b.js"):
        assert not _HASHED.fullmatch(name), name
