"""Which pages may talk to a server, and by which names they may call it: a table."""

from __future__ import annotations

import socket

import pytest

from vuer_trio._hosting.origins import (
    DEFAULT,
    Origins,
    check_hosts,
    check_origins,
    is_from_here,
)
from vuer_trio._net.http_request import HttpRequest

UPGRADE = (("upgrade", "websocket"), ("connection", "Upgrade"))


def refusal(
    origin, host, *, origins=DEFAULT, hosts=(), told=None, secure=False, method="GET", ws=True
):
    headers = [("origin", origin)] if origin is not None else []
    headers += [("host", host)] if host is not None else []
    request = HttpRequest(method, "/", [*headers, *(UPGRADE if ws else ())])
    return Origins(origins, hosts, told).refusal(request, secure=secure)


WELCOME = [
    # no Origin: no browser leaves it out of a WebSocket
    (None, "localhost:8012"),
    (None, "robot.lab.example:8012"),
    (None, None),
    # listed
    ("https://vuer.ai", "localhost:8012"),
    ("https://vuer.ai", "192.168.1.5:8012"),
    ("https://vuer.ai:443", "some-name.ngrok.app"),
    ("https://VUER.ai", "x"),
    # of this machine
    ("http://localhost:3000", "robot.local:8012"),
    ("http://localhost", "127.0.0.1:8012"),
    ("http://app.localhost:3000", "localhost:8012"),
    ("https://127.0.0.1", "robot.local:8012"),
    ("http://127.1.2.3:1", "localhost:8012"),
    ("http://[::1]:5000", None),
    ("http://localhost.:8012", "localhost:8012"),
    ("https://docs.vuer.ai", "localhost:8012"),
    # of the same machine, in a network of one's own
    ("http://192.168.1.5", "192.168.1.5:8012"),
    ("http://10.0.0.7:3000", "10.0.0.7:8012"),
    ("http://[fd00::5]:3000", "[fd00::5]:8012"),
    # of the server itself, by a name that is nobody else's
    ("http://192.168.1.5:8012", "192.168.1.5:8012"),
    ("http://[fd00::5]:8012", "[fd00::5]:8012"),
    ("http://[FD00:0::5]:8012", "[fd00::5]:8012"),
    ("http://robot.local:8012", "robot.local:8012"),
    ("http://robot.local.:8012", "robot.local:8012"),
    ("http://Robot.local:8012", "robot.LOCAL:8012"),
    ("http://robot.local", "robot.local"),
    ("http://robot.local", "robot.local:80"),
    (f"http://{socket.gethostname()}:8012", f"{socket.gethostname()}:8012"),
    # which TLS has vouched for
    ("https://robot.lab.example:8012", "robot.lab.example:8012"),
    ("https://some-name.ngrok.app", "some-name.ngrok.app"),
    ("https://some-name.ngrok.app", "some-name.ngrok.app:443"),
]


@pytest.mark.parametrize(("origin", "host"), WELCOME)
def test_who_may_open_a_websocket(origin, host):
    assert refusal(origin, host) is None


FOREIGN = [
    ("http://evil.test", "localhost:8012"),
    ("https://evil.test", "localhost:8012"),
    ("http://evil.test:8012", "127.0.0.1:8012"),
    ("http://localhost.evil.test", "localhost:8012"),
    ("http://evillocalhost", "localhost:8012"),
    ("https://vuer.ai.evil.test", "localhost:8012"),
    ("http://vuer.ai", "localhost:8012"),
    ("https://vuer.ai:8443", "localhost:8012"),
    ("http://127.0.0.1.evil.test", "127.0.0.1:8012"),
    ("http://128.0.0.1", "127.0.0.1:8012"),
    # another application of the same host
    ("http://robot.local:8013", "robot.local:8012"),
    ("http://robot.local", "robot.local:8012"),
    ("http://198.41.0.4", "198.41.0.4:8012"),
    ("http://192.168.1.6:8012", "192.168.1.5:8012"),
    ("http://192.168.1.5:8012", "robot.local:8012"),
    ("https://robot.lab.example:8013", "robot.lab.example:8012"),
    ("https://some-name.ngrok.app", "other-name.ngrok.app"),
    # rebinding: both headers are the page's own choice
    ("http://evil.test:8012", "evil.test:8012"),
    ("http://evil.test", "evil.test"),
    ("http://evil:8012", "evil:8012"),
    ("http://local:8012", "local:8012"),
    ("http://notlocal:8012", "notlocal:8012"),
    ("http://1.2.3.4.evil.test:8012", "1.2.3.4.evil.test:8012"),
    ("http://some-name.ngrok.app", "some-name.ngrok.app"),
    # none of a page's site
    ("null", "localhost:8012"),
    ("", "localhost:8012"),
    (" ", "localhost:8012"),
    ("file://", "localhost:8012"),
    ("file://localhost", "localhost:8012"),
    ("chrome-extension://localhost", "localhost:8012"),
    # none that a browser sends
    ("http://", "localhost:8012"),
    ("http://:8012", ":8012"),
    ("http:///", "localhost:8012"),
    ("//localhost", "localhost:8012"),
    ("localhost", "localhost:8012"),
    ("http://evil@localhost", "localhost:8012"),
    ("http://evil:pw@localhost:8012", "localhost:8012"),
    ("http://evil\\@localhost", "localhost:8012"),
    ("http://localhost\\.evil.test", "localhost:8012"),
    ("http://local\thost", "localhost:8012"),
    ("http://localhost\t", "localhost:8012"),
    ("http://localhost\n", "localhost:8012"),
    ("http://localhost\x00", "localhost:8012"),
    ("http://\x1b[31mlocalhost", "localhost:8012"),
    (" http://localhost", "localhost:8012"),
    ("http://localhost/", "localhost:8012"),
    ("http://localhost?", "localhost:8012"),
    ("http://localhost#", "localhost:8012"),
    ("http://localhost:", "localhost:8012"),
    ("http://localhost:x", "localhost:8012"),
    ("http://localhost:-1", "localhost:8012"),
    ("http://localhost:65536", "localhost:8012"),
    ("http://localhost:999999", "localhost:8012"),
    ("http://localhost:٣", "localhost:8012"),
    ("http://localhost, http://localhost", "localhost:8012"),
    ("http://localhost http://evil.test", "localhost:8012"),
    ("http://%6cocalhost", "localhost:8012"),
    ("http://localhost%00", "localhost:8012"),
    ("http://\u24dbocalhost", "localhost:8012"),
    ("http://\u212aocal.local:8012", "\u212aocal.local:8012"),
    ("http://..", ".."),
    ("http://.local:8012", ".local:8012"),
    ("http://a..local:8012", "a..local:8012"),
    ("http://[", "localhost:8012"),
    ("http://[::1", "localhost:8012"),
    ("http://[::g]", "localhost:8012"),
    ("http://[::1]evil.test", "localhost:8012"),
    ("http://[::1%eth0]", "localhost:8012"),
    ("http://[localhost]", "localhost:8012"),
    ("http://::1", "localhost:8012"),
    ("http://0x7f.1", "0x7f.1"),
    ("http://2130706433", "2130706433"),
    ("http://" + "a" * 300 + ".local", "a" * 300 + ".local"),
    # a Host that is none
    ("https://robot.lab.example", "evil@robot.lab.example"),
    ("https://robot.lab.example", ""),
    ("https://robot.lab.example", None),
]


@pytest.mark.parametrize(("origin", "host"), FOREIGN)
@pytest.mark.parametrize("ws", [True, False])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_may_not(origin, host, ws, method):
    for secure in (False, True):
        assert refusal(origin, host, ws=ws, method=method, secure=secure)
    assert refusal(origin, host, origins=None) is None


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8012",
        "LOCALHOST.:8012",
        "app.localhost:8012",
        "127.0.0.1:8012",
        "10.0.0.7",
        "[::1]:8012",
        "[2001:db8::7]:8012",
        "robot.local:8012",
        socket.gethostname(),
    ],
)
def test_a_page_is_given_to_who_asks_for_a_host_that_is_nobody_elses(host):
    for method in ("GET", "HEAD"):
        assert refusal(None, host, ws=False, method=method) is None


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:8012", "evil", "some-name.ngrok.app", "localhost.evil.test"]
)
def test_a_page_is_not_given_by_the_name_of_a_stranger(host):
    for method in ("GET", "HEAD"):
        told = refusal(None, host, ws=False, method=method)
        assert "hosts=[" in told
        assert refusal(None, host, ws=False, method=method, secure=True) is None
        assert refusal(None, host, ws=False, method=method, origins=None) is None
    # which a browser does not ask without an Origin
    assert refusal(None, host, ws=False, method="POST") is None
    assert refusal(None, host, ws=True) is None


@pytest.mark.parametrize("host", ["", " ", "a b", "evil@localhost", "localhost:x", '"><script>'])
def test_a_host_that_is_none_gets_no_page(host):
    for secure in (False, True):
        assert "not a host name" in refusal(None, host, ws=False, secure=secure)


def test_without_a_host_it_is_no_browser():
    assert refusal(None, None, ws=False) is None


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (["robot.lab.example"], "robot.lab.example"),
        (["Robot.Lab.Example."], "robot.lab.example"),
        (["*.ngrok.app"], "some-name.ngrok.app"),
        (["*.ngrok.app"], "a.b.ngrok.app"),
        (["a.example", "*"], "anything.example"),
        (["bücher.example"], "xn--bcher-kva.example"),
    ],
)
def test_names_that_the_server_was_told(hosts, name):
    for ws in (True, False):
        assert refusal(f"http://{name}:8012", f"{name}:8012", hosts=hosts, ws=ws) is None
        assert refusal(f"https://{name}", name, hosts=hosts, ws=ws) is None
        assert refusal(None, f"{name}:8012", hosts=hosts, ws=ws) is None


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (["robot.lab.example"], "evil.robot.lab.example"),
        (["robot.lab.example"], "lab.example"),
        (["*.ngrok.app"], "ngrok.app"),
        (["*.ngrok.app"], "evilngrok.app"),
        (["*.ngrok.app"], "x.ngrok.app.evil.test"),
    ],
)
def test_names_that_it_was_not_told(hosts, name):
    assert refusal(f"http://{name}:8012", f"{name}:8012", hosts=hosts)
    assert refusal(None, name, hosts=hosts, ws=False)


def test_hosts_are_names_of_the_server_and_not_of_pages():
    assert refusal("https://robot.example", "localhost:8012", hosts=["robot.example"])
    assert refusal("http://robot.example:1", "robot.example:2", hosts=["robot.example"])


def test_the_host_that_it_listens_on_is_its_name():
    assert refusal(None, "robot.example:8012", told="robot.example", ws=False) is None
    assert refusal("http://robot.example:1", "robot.example:1", told="robot.example") is None
    assert refusal(None, "evil.test:8012", told="0.0.0.0", ws=False)
    assert refusal(None, "evil.test:8012", told="", ws=False)


def test_a_list_of_ones_own():
    assert refusal("https://a.example", "robot:1", origins=["https://a.example"]) is None
    assert refusal("https://vuer.ai", "robot:1", origins=["https://a.example"])
    assert refusal("http://localhost:1", "robot:1", origins=[]) is None
    app = ["capacitor://localhost"]
    assert refusal("capacitor://localhost", "robot:1", origins=app) is None


def test_what_is_refused_names_the_cure_and_is_shown_escaped():
    told = refusal("http://evil.test", "localhost:8012")
    assert "origins=['http://evil.test']" in told
    told = refusal("http://evil.test:8012", "evil.test:8012")
    assert "hosts=['evil.test']" in told
    told = refusal("http://\x1b[31m\x85ü", "localhost:8012")
    assert "'http://\\x1b[31m\\x85\\xfc'" in told
    assert told.isprintable()
    assert len(refusal("http://" + "a" * 60_000, "localhost:8012")) < 500
    assert len(refusal(None, "a" * 60_000, ws=False)) < 500


def answered(origin, origins=DEFAULT):
    headers = [] if origin is None else [("origin", origin)]
    return dict(Origins(origins).headers(HttpRequest("GET", "/", headers)))


def test_a_page_that_was_let_in_may_read_the_answer_and_no_other():
    answer = answered("https://vuer.ai")
    assert answer["vary"] == "Origin"
    assert answer["access-control-allow-origin"] == "https://vuer.ai"
    frames = answer["content-security-policy"].split()
    assert frames[0] == "frame-ancestors"
    assert {"'self'", "https://vuer.ai", "http://localhost:*"} < set(frames)
    assert "access-control-allow-origin" not in answered(None)
    assert answered("null", None) == {"vary": "Origin", "access-control-allow-origin": "null"}
    for origin in (None, "http://a\tb", "http://\xe4"):
        assert answered(origin, None) == {"vary": "Origin"}


@pytest.mark.parametrize(
    ("origins", "message"),
    [
        (
            "https://a.example",
            r"origins must be a list of str, got .*; use \['https://a.example'\]",
        ),
        ([5], "each of origins must be a str, got 5"),
        (["a.example"], "each of origins must be a scheme, a host and perhaps a port"),
        (["https://a.example/"], "each of origins must be a scheme, a host and perhaps a port"),
        (["https://u@a.example"], "each of origins must be a scheme, a host and perhaps a port"),
        (
            ["https://a.example:99999"],
            "each of origins must be a scheme, a host and perhaps a port",
        ),
        (["*"], "each of origins must be a scheme, a host and perhaps a port"),
    ],
)
def test_origins_that_cannot_be(origins, message):
    with pytest.raises((TypeError, ValueError), match=message):
        check_origins(origins)


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ("robot", "hosts must be a list of names, got 'robot'"),
        (None, "hosts must be a list of names, got None"),
        (5, "hosts must be a list of names, got 5"),
        ([5], "each of hosts must be a str, got 5"),
        (["https://robot"], "without scheme, port and path, got 'https://robot'"),
        (["robot:8012"], "got 'robot:8012'"),
        (["robot/x"], "got 'robot/x'"),
        (["a.*.b"], r"got 'a\.\*\.b'"),
        (["**"], "use 'robot.example'"),
        ([""], "got ''"),
    ],
)
def test_hosts_that_cannot_be(hosts, message):
    with pytest.raises((TypeError, ValueError), match=message):
        check_hosts(hosts)


def test_hosts_that_can_be():
    check_hosts(["robot", "robot.example", "*.example", "*", "10.0.0.1", "::1", "[::1]"])


# ---- from this machine?


def from_here(*headers, peer="127.0.0.1", host="localhost:8012", proxies=False):
    named = [] if host is None else [("host", host)]
    return is_from_here(HttpRequest("GET", "/", [*named, *headers]), peer, proxies=proxies)


def test_what_comes_from_this_machine():
    for host in ("localhost", "127.0.0.1:80", "[::1]:80", "a.localhost", None):
        assert from_here(host=host)
    for peer in ("127.0.0.5", "::1", None):  # None: a stream in memory
        assert from_here(peer=peer)
    for way in ("127.0.0.1", "::1, 127.0.0.1"):
        forwarded = ("x-forwarded-for", way), ("x-forwarded-proto", "http")
        assert from_here(*forwarded, proxies=True)
        assert not from_here(*forwarded)


@pytest.mark.parametrize("proxies", [False, True])
@pytest.mark.parametrize(
    "brought",
    [
        {"peer": "192.168.1.7"},
        {"host": "192.168.1.5:8012"},
        {"host": "robot.example"},
        {"host": "a b"},
        {"host": ""},
        *(
            {"header": header}
            for header in (
                ("x-forwarded-for", "192.168.1.7"),
                ("x-forwarded-for", "192.168.1.7, 127.0.0.1"),
                ("x-forwarded-for", "127.0.0.1, 192.168.1.7"),
                ("x-forwarded-for", "unknown"),
                ("x-forwarded-for", ""),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "localhost"),
                ("forwarded", "for=192.168.1.7"),
                ("via", "1.1 a"),
                ("x-real-ip", "192.168.1.7"),
                ("cf-connecting-ip", "203.0.113.5"),
                ("true-client-ip", "203.0.113.5"),
            )
        ),
    ],
    ids=str,
)
def test_what_does_not(brought, proxies):
    headers = [value for name, value in brought.items() if name == "header"]
    more = {name: value for name, value in brought.items() if name != "header"}
    assert not from_here(*headers, **more, proxies=proxies)
