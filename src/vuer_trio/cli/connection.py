"""The options of a connection, which many commands share."""

from __future__ import annotations

import argparse
import logging
import re
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from .._client.client import VuerClient
from .._client.options import DEFAULT_URI
from .._formatting import shown, shown_uri
from .._interrupts import protected_block
from .._net.address import parse_address
from .output import Output
from .statuses import CommandFailed, Status

__all__ = [
    "add_connection",
    "add_uri",
    "add_uri_and_event",
    "add_uri_and_file",
    "connected",
    "count",
    "new_client",
    "seconds",
    "tls_context",
    "with_scheme",
]

_log = logging.getLogger(__name__)
_URI_HELP = f"ws://host:port or wss://... (default: VUER_CLIENT_URI, else {DEFAULT_URI})"
_DURATION = re.compile(r"\+?(\d+(?:\.\d*)?(?:e[-+]?\d+)?|\.\d+|inf)\s*(ms|s|min|m|h|)")
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_OF_A_PAGE = {"http": "ws", "https": "wss"}
#: what can only be meant as a server: with a scheme, or a host and a port
_URI = re.compile(r"\w+://.*|(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}(?:/.*)?", re.S)


def add_uri(parser: argparse.ArgumentParser, *, of: Callable[[str], str] | None = None) -> None:
    """``args.uri``: the first argument, or the option ``--uri``; None without them.

    ``of`` converts it; without one, what is not a URI is refused.
    """
    _add_word(parser, of or uri, ())


def add_uri_and_file(parser: argparse.ArgumentParser, help: str) -> None:
    """``args.uri`` and ``args.file``, a Path: ``[URI] FILE``, or ``FILE URI``."""
    _add_word(parser, uri, ("file",))
    parser.add_argument("file", metavar="FILE", help=help)


def add_uri_and_event(parser: argparse.ArgumentParser, etype_help: str, json_help: str) -> None:
    """``args.uri``, ``args.etype`` and ``args.json``: ``[URI] ETYPE [JSON]``."""
    _add_word(parser, uri, ("etype", "json"))
    parser.add_argument("etype", metavar="ETYPE", help=etype_help)
    parser.add_argument("json", nargs="?", metavar="JSON", help=json_help)


def _add_word(
    parser: argparse.ArgumentParser, of: Callable[[str], str], more: Sequence[str]
) -> None:
    """The URI: a word before ``more``, or an option.

    argparse cannot tell a URI that is left out from a word after it that is; `_place` can.
    """
    parser.add_argument("word", nargs="?", metavar="URI", help=_URI_HELP)
    parser.add_argument("--uri", type=of, metavar="URI", help="the same as the argument")
    parser.set_defaults(finish=partial(_place, parser, of, more))


def _place(
    parser: argparse.ArgumentParser,
    of: Callable[[str], str],
    more: Sequence[str],
    args: argparse.Namespace,
) -> None:
    """Find out which of the words is the URI, and put the others where they belong."""
    words = [word for word in (args.word, *(getattr(args, n) for n in more)) if word is not None]
    if args.uri is None and words:
        if more == ("file",) and len(words) == 2 and _is_uri(words[1]) > _is_uri(words[0]):
            words.reverse()
        if _is_uri(words[0]) or len(words) > len(more):
            try:
                args.uri = of(words.pop(0))
            except argparse.ArgumentTypeError as exc:
                parser.error(str(exc))
    if len(words) > len(more):
        parser.error("there is a URI, and --uri too; leave one of them out")
    if more and not words:
        parser.error(f"the following arguments are required: {more[0].upper()}")
    for name, word in zip_longest(more, words):
        setattr(args, name, Path(word) if name == "file" else word)


def _is_uri(word: str) -> bool:
    return _URI.fullmatch(word) is not None


def add_connection(parser: argparse.ArgumentParser) -> None:
    """``args.timeout``, ``insecure``, ``ca_cert`` and ``header``."""
    group = parser.add_argument_group("connection")
    group.add_argument(
        "--timeout",
        type=seconds,
        default=10.0,
        metavar="TIME",
        help="to open the connection, and for each answer (default: %(default)g s)",
    )
    group.add_argument(
        "--ca-cert", metavar="FILE", help="trust the certificates that this one (PEM) has signed"
    )
    group.add_argument(
        "--insecure", action="store_true", help="do not check the server's certificate"
    )
    group.add_argument(
        "--header",
        type=header,
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="send this HTTP header when connecting; may be repeated",
    )


def new_client(args: argparse.Namespace, **options: Any) -> VuerClient:
    """Create a client from the arguments, without connecting it."""
    try:
        return VuerClient(
            args.uri,
            ssl_context=tls_context(args),
            headers=args.header or None,
            connect_timeout=args.timeout,
            **options,
        )
    except ValueError as exc:  # usually an invalid environment variable
        raise CommandFailed(f"{_source_of(exc, args)}{exc}", Status.USAGE) from exc


def _source_of(error: ValueError, args: argparse.Namespace) -> str:
    """Where a URI comes from that nobody has written on the command line."""
    of_uri = args.uri is None and str(error).startswith("uri must")
    return "VUER_CLIENT_URI in the environment: " if of_uri else ""


@protected_block
async def connected(
    args: argparse.Namespace, out: Output, **options: Any
) -> AsyncGenerator[VuerClient, None]:
    """``async with connected(args, out) as client``, with a spinner while it opens."""
    client = new_client(args, **options)
    async with AsyncExitStack() as stack:
        with out.working(f"connecting to {client.uri}"):
            await stack.enter_async_context(client)
        _log.info("connected to %s by %s", client.uri, client.transport)
        yield client


def tls_context(args: argparse.Namespace) -> ssl.SSLContext | None:
    """For ``--ca-cert`` and ``--insecure``; None without them."""
    if args.ca_cert is None and not args.insecure:
        return None
    context = ssl.create_default_context()
    if args.ca_cert is not None:
        try:
            context.load_verify_locations(args.ca_cert)
        except OSError as exc:  # an ssl.SSLError, too
            of_ssl = isinstance(exc, ssl.SSLError)
            what = "not a certificate in PEM format" if of_ssl else exc.strerror
            raise CommandFailed(f"--ca-cert {args.ca_cert}: {what}", Status.USAGE) from exc
    if args.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


# ---- types of arguments


def with_scheme(text: str) -> str:
    """``localhost:8012`` is ``ws://localhost:8012``."""
    return text if "://" in text else f"ws://{text}"


def uri(text: str) -> str:
    """The URI of a server."""
    if any(c.isspace() for c in text):  # not shown: it may be the value of another option
        raise argparse.ArgumentTypeError(
            "must be a URI, got one with white space; use ws://host:port"
        )
    scheme, slashes, rest = text.partition("://")
    if slashes and (web := _OF_A_PAGE.get(scheme.lower())) is not None:
        raise argparse.ArgumentTypeError(
            f"{shown_uri(text)} is the address of a page; use {shown_uri(f'{web}://{rest}')}"
        )
    try:
        parse_address(with_scheme(text))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None
    return with_scheme(text)


def seconds(text: str) -> float:
    """A positive number of seconds, or one with a unit, as ``500ms``, ``2m`` or ``1h``."""
    found = _DURATION.fullmatch(text.strip().lower())
    value = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(
            f"must be more than 0 seconds, got {shown(text, 40)!r}; use 1.5, 500ms, 2m or 1h"
        )
    return value


def count(text: str) -> int:
    """An integer of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text!r}")
    return int(text)


def header(text: str) -> tuple[str, str]:
    """The name and value of an HTTP header."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        # Not shown: it may be a token.
        raise argparse.ArgumentTypeError(
            "must be a name and a value, got no colon, or no name before it; use 'NAME: VALUE'"
        )
    if not (text.isascii() and text.isprintable()):
        raise argparse.ArgumentTypeError(f"the header {shown(name, 64)!r} must be printable ASCII")
    return name.strip(), value.strip()
