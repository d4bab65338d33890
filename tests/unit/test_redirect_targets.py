"""Where a redirect leads, what is taken along, and what is not followed; and zones."""

from __future__ import annotations

import pytest

from vuer_trio._connection.close_info import is_final
from vuer_trio._net.address import parse_address
from vuer_trio._net.connect_options import ConnectOptions
from vuer_trio._net.rejection import Rejected
from vuer_trio._websocket.redirect import REDIRECTS, follow

WORDS = "the server answered HTTP 307 Temporary Redirect"


def dialing(uri, **options):
    return ConnectOptions(parse_address(uri), 1000, **options)


def sent(way, location, *, status=307, count=0):
    return follow(way, Rejected(WORDS, status=status, location=location), count)


def refusal(uri, location, **options):
    status, count = options.pop("status", 307), options.pop("count", 0)
    with pytest.raises(Rejected) as error:
        sent(dialing(uri, **options), location, status=status, count=count)
    assert error.value.status == status
    assert is_final(error.value)
    assert str(error.value).startswith(WORDS)
    return str(error.value).removeprefix(WORDS)


@pytest.mark.parametrize(
    ("uri", "location", "target"),
    [
        ("ws://a:1/x/y?q", "ws://b:2/z", "ws://b:2/z"),
        ("ws://a:1/x/y?q", "http://b:2/z", "ws://b:2/z"),
        ("ws://a:1/x/y?q", "https://b/z", "wss://b:443/z"),
        ("ws://a:1/x/y?q", "HTTPS://B/z", "wss://b:443/z"),
        ("wss://a/x/y?q", "https://b/z", "wss://b:443/z"),
        ("wss://a/x/y?q", "wss://b", "wss://b:443/"),
        ("ws://a:1/x/y?q", "/z?r", "ws://a:1/z?r"),
        ("ws://a:1/x/y?q", "z", "ws://a:1/x/z"),
        ("ws://a:1/x/y?q", "../z", "ws://a:1/z"),
        ("ws://a:1/x/y?q", "?r", "ws://a:1/x/y?r"),
        ("ws://a:1/x/y?q", "//b/z", "ws://b:80/z"),
        ("wss://a/x", "//b:9/z", "wss://b:9/z"),
        ("ws://a:1/x", "/z#there", "ws://a:1/z"),
        ("ws://a:1/x", "http://b/é".encode().decode("latin-1"), "ws://b:80/%C3%A9"),
        ("ws://[::1]:1/x", "/z", "ws://[::1]:1/z"),
        ("ws://[fe80::1%25eth0]:1/x", "/z", "ws://[fe80::1%eth0]:1/z"),
        ("ws://[fe80::1%eth0]:1/x", "http://[fe80::1]:2/z", "ws://[fe80::1%eth0]:2/z"),
    ],
)
def test_a_location_is_any_url_that_a_page_would_have(uri, location, target):
    address = sent(dialing(uri), location).address
    scheme = "wss" if address.secure else "ws"
    host = f"[{address.host}]" if ":" in address.host else address.host
    assert f"{scheme}://{host}:{address.port}{address.resource}" == target


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_statuses_that_lead_somewhere(status):
    assert sent(dialing("ws://a"), "/b", status=status).address.resource == "/b"


HEADERS = [
    ("Authorization", "Bearer tok_1"),
    ("cookie", "session=tok_1"),
    ("Proxy-Authorization", "Basic tok_1"),
    ("X-Api-Key", "tok_1"),
    ("X-Auth-Token", "tok_1"),
    ("Host", "front.test"),
    ("X-Robot", "seven"),
    ("User-Agent", "arm"),
]


@pytest.mark.parametrize("location", ["/y", "http://a:1/y", "ws://A:1/y"])
def test_the_same_origin_gets_all_that_it_had(location):
    way = sent(
        dialing("ws://me:pw@a:1/x?token=tok_1", headers=HEADERS, server_hostname="s"), location
    )
    assert way.headers == HEADERS
    assert way.address.user == ("me", "pw")
    assert way.server_hostname == "s"


@pytest.mark.parametrize(
    "location", ["ws://b:1/y", "ws://a:2/y", "wss://a:1/y", "//b/y", "ws://x:y@b/y"]
)
def test_another_origin_gets_no_secret(location):
    way = sent(
        dialing("ws://me:pw@a:1/x?token=tok_1", headers=HEADERS, server_hostname="s"), location
    )
    assert way.headers == [("X-Robot", "seven"), ("User-Agent", "arm")]
    assert way.address.user is None
    assert "tok_1" not in repr(way)
    assert "pw" not in repr(way)
    assert way.server_hostname == ("s" if way.address.host == "a" else None)
    back = sent(way, "wss://a:1/x")  # what was dropped stays so
    assert back.headers == way.headers
    assert back.address.user is None


def test_a_secret_that_the_server_sends_on_goes_no_further():
    way = dialing("ws://a/x?token=tok%201&room=5")
    there = sent(way, "ws://b/x?room=5&token=tok+1&again=tok%201")
    assert there.address.resource == "/x?room=5"
    assert sent(way, "/y?token=tok%201").address.resource == "/y?token=tok%201"


@pytest.mark.parametrize(
    ("uri", "location", "options", "why"),
    [
        ("wss://a", "ws://a/b", {}, ", Location: ws://a/b; it is not followed: it leads from wss"),
        ("wss://a", "http://b", {}, ", Location: ws://b; it is not followed: it leads from wss"),
        ("ws://a", "/b", {"count": REDIRECTS}, ": 5 redirects were followed: is it a loop?"),
        ("ws://a", "/b", {"stream": object()}, ", Location: ws://a/b; it is not followed: stream="),
        ("ws://a", "ws://b", {"stays": "the token stays"}, "followed: the token stays"),
        ("ws://a", "/b", {"status": 300}, ", Location: ws://a/b; it is not followed: with this"),
        ("ws://a", "", {}, "; it is not followed: it does not say where to"),
        ("ws://a", "ftp://b/c", {}, "its Location, 'ftp://b/c', is not a WebSocket's"),
        ("ws://a", "mailto:x", {}, "is not a WebSocket's"),
        ("ws://a", "ws://[b", {}, "its Location, 'ws://[b', is not a URL"),
        ("ws://a", "ws://b:port", {}, "is not a URL"),
        ("ws://a", "ws://b:0x50/", {}, "is not a URL"),
        ("ws://a", "http:\\\\b", {}, "is not a URL"),
        ("ws://a", "ws://b/\tc", {}, "is not a URL"),
        ("ws://a", "ws://b/ c", {}, "is not a URL"),
        ("ws://a", "ws://", {}, "is not a URL"),
    ],
)
def test_what_is_not_followed_is_final_and_names_where_it_leads(uri, location, options, why):
    assert why in refusal(uri, location, **options)


def test_no_error_shows_a_secret_of_a_location():
    for location in ("ws://me:pw@b/c?token=pw", "ftp://me:pw@b/c?token=pw", "ws://me:pw@[?pw"):
        assert "pw" not in refusal("wss://a", location)


def test_who_stays_may_be_sent_elsewhere_at_the_same_server():
    assert sent(dialing("ws://a", stays="so"), "/b").address.resource == "/b"


@pytest.mark.parametrize(
    ("uri", "host", "header"),
    [
        ("ws://[fe80::1%25eth0]:8012/", "fe80::1%eth0", "[fe80::1]:8012"),
        ("ws://[fe80::1%eth0]:8012/", "fe80::1%eth0", "[fe80::1]:8012"),
        ("ws://[FE80::1%25Eth0]/", "fe80::1%Eth0", "[fe80::1]"),
        ("ws://[fe80::1%252]/", "fe80::1%2", "[fe80::1]"),
        ("ws://[fe80::1%25]/", "fe80::1%25", "[fe80::1]"),
        ("wss://[::1]/", "::1", "[::1]"),
    ],
)
def test_a_zone_is_for_this_machine_alone(uri, host, header):
    address = parse_address(uri)
    assert (address.host, address.host_header) == (host, header)
    assert address.bare_host == header.partition("]")[0].removeprefix("[")
    assert dialing(uri).server_name == address.bare_host
    assert address.shown == uri
