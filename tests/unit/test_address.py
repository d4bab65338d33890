"""Addresses, taken apart."""

from __future__ import annotations

import pytest

from vuer_trio._net.address import parse_address


@pytest.mark.parametrize(
    ("uri", "secure", "host", "port", "resource"),
    [
        ("ws://localhost", False, "localhost", 80, "/"),
        ("ws://localhost:8012", False, "localhost", 8012, "/"),
        ("wss://example.com", True, "example.com", 443, "/"),
        ("wss://EXAMPLE.com:8443/a/b?c=d&e", True, "example.com", 8443, "/a/b?c=d&e"),
        ("ws://host?query", False, "host", 80, "/?query"),
        ("ws://[::1]:9/x", False, "::1", 9, "/x"),
        ("ws://10.0.0.1/", False, "10.0.0.1", 80, "/"),
        ("ws://bücher.example/ä?ö=ü", False, "xn--bcher-kva.example", 80, "/%C3%A4?%C3%B6=%C3%BC"),
        ("ws://host/already%20quoted%2F?a=%26", False, "host", 80, "/already%20quoted%2F?a=%26"),
        ("ws://host/a@b:c", False, "host", 80, "/a@b:c"),
    ],
)
def test_an_address_is_taken_apart(uri, secure, host, port, resource):
    address = parse_address(uri)
    assert (address.uri, address.secure, address.host) == (uri, secure, host)
    assert (address.port, address.resource, address.user) == (port, resource, None)
    assert address.shown.partition("?")[0] == uri.partition("?")[0]


@pytest.mark.parametrize(
    ("uri", "header"),
    [
        ("ws://localhost:8012", "localhost:8012"),
        ("ws://host:80", "host"),
        ("ws://host:443", "host:443"),
        ("wss://host:443", "host"),
        ("wss://host:80", "host:80"),
        ("ws://[::1]", "[::1]"),
        ("ws://[::1]:8012", "[::1]:8012"),
    ],
)
def test_the_host_header_has_the_port_only_where_it_is_not_the_scheme_s_own(uri, header):
    assert parse_address(uri).host_header == header


@pytest.mark.parametrize(
    ("uri", "user", "shown"),
    [
        ("ws://me:secret@host:1/x", ("me", "secret"), "ws://me:***@host:1/x"),
        ("ws://me@host", ("me", ""), "ws://***@host"),
        ("wss://me:se%40cret@host", ("me", "se@cret"), "wss://me:***@host"),
        ("ws://me:se@cret@host", ("me", "se@cret"), "ws://me:***@host"),
        ("ws://me:secret@host/a@b", ("me", "secret"), "ws://me:***@host/a@b"),
        ("ws://me:secret@host/?x=//y@z", ("me", "secret"), "ws://me:***@host/?x=***"),
    ],
)
def test_a_password_is_read_and_never_shown(uri, user, shown):
    address = parse_address(uri)
    assert address.user == user
    assert address.host == "host"
    assert address.shown == shown


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("http://host", "the scheme is 'http'"),
        ("localhost:8012", "scheme"),
        ("//host", "it has no scheme"),
        ("", "it has no scheme"),
        ("ws://", "it has no host"),
        ("ws:///path", "it has no host"),
        ("ws://host#there", "it has a fragment"),
        ("ws://host:port", "[Pp]ort"),
        ("ws://host:99999", "[Pp]ort"),
        ("ws://[::1", "IPv6"),
        ("ws://ho st", "white space"),
        ("ws://host/a b", "white space"),
        ("ws://host/\r\nX-Evil: 1", "white space"),
        ("ws://host/\t", "white space"),
        (" ws://host", "white space"),
        ("ws://" + "ä" * 70, "too long|label"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(uri, what):
    with pytest.raises(ValueError, match=f"(?s)uri must be a WebSocket URI, got .*{what}") as error:
        parse_address(uri)
    assert "ws://host:port" in str(error.value)


def test_a_password_is_not_shown_in_an_error_either():
    with pytest.raises(ValueError, match=r"[Pp]ort") as error:
        parse_address("ws://me:secret@host:99999")
    assert "secret" not in str(error.value)
