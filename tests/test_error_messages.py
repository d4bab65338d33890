"""Every message that the package raises with is held to the same form."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import vuer_trio
from vuer_trio import (
    Backoff,
    DropOldest,
    Fifo,
    Latest,
    Vuer,
    VuerClient,
    open_vuer_client,
)
from vuer_trio.arc import RateLimit, open_arc_client
from vuer_trio.cli import main
from vuer_trio.record import Recorder
from vuer_trio.roomz import AsyncClient

SOURCE = Path(vuer_trio.__file__).parent

#: what stands for a value that is put into a message
VALUE = "{}"
#: patterns that no message has, and what to write instead
FORBIDDEN = {
    r"\bcan not\b": "cannot",
    r"(?<!there )\bis no (?!longer\b)": "is not a ...",
    r"\bto be a(n)? \b": "must be a ...",
    r"^[\w.]+=(\{\}|\S+?): ": "NAME must be ..., got ...",
    r"^\{\}: (write|pass|use)\b": "NAME must be ..., got ...",
    r"\bmust be [^;]*?, not (a |an )?\{\}": "must be ..., got ...",
    r"\bmust be [^;]*; write\b": "must be ..., got ...; use ...",
    r"[^.]\.$": "no full stop at the end",
}


def text_of(node: ast.expr) -> str | None:
    """A string as it is written, with ``{}`` for what is put into it; None for anything else."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part) or VALUE for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{text_of(left) or VALUE}{text_of(right) or VALUE}"
        case ast.IfExp(body=body, orelse=orelse):
            return text_of(body) or text_of(orelse)
        case ast.Call(func=ast.Name(id="must_be"), args=[name, what, _, *do]):
            hint = "; " + (text_of(do[0]) or VALUE) if do else ""
            return f"{text_of(name) or VALUE} must be {text_of(what) or VALUE}, got {VALUE}{hint}"
    return None


def messages_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What a ``raise X(message)`` says, and what ``must_be`` makes anywhere else."""
    for node in ast.walk(tree):
        match node:
            case ast.Raise(exc=ast.Call(args=arguments)):
                said = map(text_of, arguments)
            case ast.Call(func=ast.Name(id="must_be")):
                said = map(text_of, [node])
            case ast.Return(value=ast.Call(func=ast.Name(id=str() as name), args=arguments)) if (
                name.endswith("Error")
            ):
                said = map(text_of, arguments)
            case _:
                continue
        for text in said:
            if text:
                yield node.lineno, text


@pytest.fixture(scope="module")
def sites() -> list[tuple[str, str]]:
    """Where in the sources a message is made, and the message."""
    return [
        (f"{path.relative_to(SOURCE).as_posix()}:{line}", text)
        for path in sorted(SOURCE.rglob("*.py"))
        for line, text in messages_of(ast.parse(path.read_text(encoding="utf-8")))
    ]


def complaints(text: str) -> list[str]:
    return [instead for pattern, instead in FORBIDDEN.items() if re.search(pattern, text)]


def test_the_sites_are_found(sites):
    assert len(sites) > 300
    assert sum("must be" in text for _, text in sites) > 80


@pytest.mark.parametrize(
    "text",
    [
        "options that can not be",
        "{} is no WebSocket URI",
        "limit={}: recv_many returns at least one event",
        "origins={}: write a list",
        "{}: write positive seconds",
        "floats must be a str, not {}",
        "floats must be a str, got {}; write 'double'",
        "this is to be a list",
        "it has ended.",
    ],
)
def test_an_old_form_is_found(text):
    assert complaints(text)


def test_every_message_has_the_form(sites):
    wrong = [(site, text, why) for site, text in sites if (why := complaints(text))]
    assert wrong == []


# ---- by the public interface


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: open_vuer_client(max_size="q"), "max_size must be an int, got 'q'"),
    (lambda: open_vuer_client(max_size=0), "max_size must be at least 1, got 0"),
    (
        lambda: open_vuer_client(heartbeat="20"),
        "heartbeat must be a number of seconds, got '20'; use math.inf for no limit",
    ),
    (lambda: open_vuer_client(inbox=3), "inbox must be a policy, got 3; use Fifo(1024)"),
    (lambda: open_vuer_client(ssl_verify=1), "ssl_verify must be True or False, got 1"),
    (
        lambda: open_vuer_client(floats="half"),
        "floats must be one of 'double', 'single', got 'half'",
    ),
    (
        lambda: open_vuer_client("http://robot"),
        "uri must be a WebSocket URI, got 'http://robot': the scheme is 'http'; use ws://host:port",
    ),
    (lambda: Vuer(port="80"), "port must be an int, got '80'; use 0 for any free port"),
    (lambda: Vuer(port=-1), "port must be from 0 to 65535, got -1; use 0 for any free port"),
    (
        lambda: Vuer(origins="https://a.example"),
        "origins must be a list of str, got 'https://a.example'; use ['https://a.example']",
    ),
    (
        lambda: Vuer(hosts="robot"),
        "hosts must be a list of names, got 'robot'; use ['robot.example']",
    ),
    (lambda: Fifo(0), "capacity must be at least 1, got 0"),
    (lambda: Fifo("q"), "capacity must be an int, got 'q'"),
    (lambda: DropOldest(max_bytes=True), "max_bytes must be an int, got True"),
    (lambda: Latest(max_keys=-1), "max_keys must be at least 1, got -1"),
    (lambda: Latest(key="k"), "key must be a function of an event, or None, got 'k'"),
    (lambda: Latest(in_flight=0), "in_flight must be at least 1, got 0; use None for no bound"),
    (
        lambda: Latest(in_flight="off"),
        "in_flight must be 'auto', an int of bytes or None, got 'off'; use None for no bound",
    ),
    (lambda: Backoff(initial=0), "initial must be more than 0 seconds, and finite, got 0"),
    (lambda: Backoff(attempts="3"), "attempts must be an int, or None for no limit, got '3'"),
    (lambda: RateLimit(0), "count must be an int of at least 1, got 0"),
    (lambda: RateLimit(1, per="60"), "per must be a number of seconds, got '60'"),
    (lambda: RateLimit(1, per=0), "per must be more than 0 seconds, and finite, got 0"),
    (
        lambda: open_arc_client("ftp://relay"),
        "relay_url must be the URL of a relay, got 'ftp://relay': the scheme is 'ftp'; "
        "use http://localhost:8080",
    ),
    (
        lambda: open_arc_client(outbox=Latest()),
        "outbox must be Fifo(...) or DropOldest(...), got Latest(",
    ),
    (lambda: open_arc_client(reregister=0), "reregister must be True or False, got 0"),
    (
        lambda: AsyncClient("ftp://rooms"),
        "server_url must be an http:// or https:// URL, got 'ftp://rooms'; use http://host:port",
    ),
    (lambda: AsyncClient("http://rooms", reconnect=1), "reconnect must be True or False, got 1"),
    (
        lambda: Recorder("a.mcap", VuerClient(), interval="1"),
        "interval must be a number of seconds, got '1'",
    ),
    (lambda: Recorder("a.mcap", 5), "source must be a client or a session, got int"),
]


@pytest.mark.parametrize(("call", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_value_is_told(call, said, monkeypatch):
    for name in ("VUER_CLIENT_URI", "ARC_RELAY_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("secret", ["s3cr3t-value", 5])
def test_of_a_secret_only_the_type_is_told(secret):
    with pytest.raises(TypeError) as caught:
        open_vuer_client(headers=[("Authorization", secret, "one too many")])
    assert "s3cr3t" not in str(caught.value)
    with pytest.raises(TypeError, match=r"^token must be a str, got bytes$"):
        open_arc_client(token=b"s3cr3t-value")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["listen", "--count", "0"], "--count must be an integer of at least 1, got '0'"),
        (["listen", "--seconds", "x"], "--seconds must be more than 0 seconds, got 'x'"),
        (["serve", "--port", "99999"], "--port must be from 0 to 65535, got 99999"),
    ],
)
def test_the_command_says_it_likewise(arguments, said, capsys):
    try:
        status = main(arguments)
    except SystemExit as left:
        status = left.code
    assert status == 2
    assert said in capsys.readouterr().err
