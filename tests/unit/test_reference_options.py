"""The reference's keywords, variables and attributes."""

from __future__ import annotations

import pytest

from vuer_trio import Vuer
from vuer_trio.server import Setting

OURS = ("https://vuer.ai", "https://docs.vuer.ai")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("HOST", "PORT", "DOMAIN", "CORS", "SSL_CERT", "SSL_KEY", "SSL_CA_CERT"):
        monkeypatch.delenv(f"VUER_{name}", raising=False)
    for name in ("WEBSOCKET_MAX_SIZE", "REQUEST_MAX_SIZE"):
        monkeypatch.delenv(name, raising=False)


def options(**given):
    return Vuer(**given)._options


def test_the_environment(monkeypatch):
    variables = {
        "VUER_HOST": "0.0.0.0",
        "VUER_PORT": "9000",
        "VUER_DOMAIN": "https://my.example",
        "VUER_CORS": "https://a.example, https://b.example",
        "VUER_SSL_CERT": "a.pem",
        "VUER_SSL_KEY": "b.pem",
        "VUER_SSL_CA_CERT": "c.pem",
        "WEBSOCKET_MAX_SIZE": "1000",
        "REQUEST_MAX_SIZE": "2000",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = options()
    assert (found.host, found.port, found.domain) == ("0.0.0.0", 9000, "https://my.example")
    assert (found.cert, found.key, found.ca_cert) == ("a.pem", "b.pem", "c.pem")
    assert (found.max_size, found.request_max_size) == (1000, 2000)
    assert found.origins == (*OURS, "https://a.example", "https://b.example", "https://my.example")
    app = Vuer()
    assert (app.host, app.port, app.cert, app.domain) == (
        *("0.0.0.0", 9000, "a.pem"),
        "https://my.example",
    )
    # what is given comes first
    told = "local" + "host"
    given = options(host=told, port=1, domain="https://vuer.ai", max_size=5, REQUEST_MAX_SIZE=6)
    assert (given.host, given.port, given.domain) == ("localhost", 1, "https://vuer.ai")
    assert (given.max_size, given.request_max_size) == (5, 6)
    assert options(host=None).host is None
    assert options(WEBSOCKET_MAX_SIZE=7).max_size == 7


def test_an_empty_certificate_is_none(monkeypatch):
    assert options(cert="", key="", ca_cert="").tls_context() is None
    monkeypatch.setenv("VUER_SSL_CERT", "a.pem")
    monkeypatch.setenv("VUER_SSL_KEY", "b.pem")
    found = options(cert="")
    assert (found.cert, found.key) == (None, None)


@pytest.mark.parametrize("name", ["VUER_SSL_KEY", "VUER_SSL_CA_CERT"])
def test_a_variable_that_asks_for_tls_is_not_ignored(monkeypatch, name):
    monkeypatch.setenv(name, "b.pem")
    with pytest.raises(ValueError, match="it needs cert="):
        Vuer()


def test_one_file_may_hold_certificate_and_key(tmp_path):
    import trustme

    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    assert options(cert=tmp_path / "both.pem").tls_context() is not None


def test_cors_are_origins_beside_the_others():
    assert options(cors="https://a.example/, ,http://b:80").origins == (
        *OURS,
        *("https://a.example", "http://b:80"),
    )
    assert options(cors="*").origins is None
    assert options(cors="https://vuer.ai,*").origins is None
    assert options(cors="https://a.example", origins=None).origins is None
    assert options(cors="https://a.example", origins=[]).origins == ("https://a.example",)
    assert options(client_url="http://a.example:3000/x?y").origins[2:] == ("http://a.example:3000",)


def test_attributes_hold_until_the_start():
    app = Vuer()
    assert (app.host, app.port, app.cert, app.queue_len) == ("localhost", 8012, None, None)
    app.host, app.port, app.cors = "0.0.0.0", 9000, "*"
    app.cert = "a.pem"
    app.key = "b.pem"
    app.queries = {"grid": False}
    found = app._options
    assert (found.host, found.port, found.cert, found.key) == ("0.0.0.0", 9000, "a.pem", "b.pem")
    assert (found.origins, found.queries) == (None, {"grid": False})
    assert (app.host, app.port, app.cert) == ("0.0.0.0", 9000, "a.pem")
    app.port = "x"
    with pytest.raises(TypeError, match="port must be an int"):
        app.start()
    app.port, app.cert = 1, None
    with pytest.raises(ValueError, match=r"key= .* needs cert="):
        app.start()


def test_attributes_of_the_class_hold_for_all(monkeypatch):
    monkeypatch.setattr(Vuer, "cors", "https://a.example")
    monkeypatch.setattr(Vuer, "port", 7)
    app = Vuer()
    assert (app._options.port, app._options.origins) == (7, (*OURS, "https://a.example"))
    assert Vuer(port=8)._options.port == 8
    app.port = 9
    assert (app.port, app._options.port) == (9, 9)

    class Robot(Vuer):
        domain = "https://robot.example"

    assert Robot()._options.domain == "https://robot.example"
    assert Robot(domain="https://b.example")._options.domain == "https://b.example"


def test_an_attribute_of_the_class_is_a_setting():
    assert isinstance(Vuer.host, Setting)


def test_keywords_of_run():
    with pytest.raises(TypeError, match="no option 'hots'; the nearest is 'hosts'"):
        Vuer().run(hots=5)
    with pytest.raises(ValueError, match="port must be from 0 to 65535, got 70000"):
        Vuer().run(port=70_000)


def test_what_the_decorators_give():
    app = Vuer()

    async def main(session):
        return session

    async def stream(session):
        yield session

    assert app.spawn(main) is main
    for made in (app.spawn()(main), app.spawn(client="browser")(main), app.spawn(main, a="b")):
        assert made.__name__ == "main"
        assert made.fn is main
        assert callable(made.start)
        app.spawn(made)  # as it was
        with pytest.raises(TypeError, match="no option 'hots'"):
            made.start(hots=5)
    with pytest.raises(StopIteration) as returned:
        app.spawn()(main)("x").send(None)
    assert returned.value.value == "x"
    assert app.bind()(stream).fn is app.bind(stream).fn is stream


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((5, print), "path must be a str, '/status', got 5"),
        (
            ("/", 5),
            "the function of a route must be a function, of the request or of nothing, got 5",
        ),
        (("/", lambda a, b: ""), r"must take \(request\), got \(a, b\)"),
        (("/", lambda *, a: ""), r"must take \(\), got \(\*, a\)"),
        (("/", print, "OPTIONS"), "method must be one of GET, POST, .*, got 'OPTIONS'"),
        (("/", print, "GET", "a\r\nb"), "content_type must be a type, 'text/html', got"),
    ],
)
def test_routes_that_cannot_be(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Vuer().add_route(*given)
