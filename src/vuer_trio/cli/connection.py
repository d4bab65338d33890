"""The options of a connection, which many commands share."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

from .._client.client import VuerClient
from .._client.options import DEFAULT_URI
from .._formatting import shown
from .._interrupts import protected_block
from .._net.address import parse_address
from .output import Output
from .statuses import CommandFailed, Status

__all__ = [
    "add_connection",
    "add_uri",
    "connected",
    "count",
    "new_client",
    "seconds",
    "tls_context",
    "with_scheme",
]

_URI_HELP = f"ws://host:port or wss://... (default: VUER_CLIENT_URI, else {DEFAULT_URI})"


def add_uri(parser: argparse.ArgumentParser, *, option: bool = False) -> None:
    """``args.uri``: an argument, or the option ``--uri``."""
    if option:
        parser.add_argument("--uri", type=uri, metavar="URI", help=_URI_HELP)
    else:
        parser.add_argument("uri", type=uri, nargs="?", metavar="URI", help=_URI_HELP)


def add_connection(parser: argparse.ArgumentParser) -> None:
    """``args.timeout``, ``insecure``, ``ca_cert`` and ``header``."""
    group = parser.add_argument_group("connection")
    group.add_argument(
        "--timeout",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="to open the connection, and for each answer (default: %(default)g)",
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
    """A client as the arguments say, not connected so far."""
    try:
        return VuerClient(
            args.uri,
            ssl_context=tls_context(args),
            headers=args.header or None,
            connect_timeout=args.timeout,
            **options,
        )
    except ValueError as exc:  # of the environment, as a rule
        raise CommandFailed(str(exc), Status.USAGE) from exc


@protected_block
async def connected(
    args: argparse.Namespace, out: Output, **options: Any
) -> AsyncGenerator[VuerClient, None]:
    """``async with connected(args, out) as client``; a spinner turns while it opens."""
    client = new_client(args, **options)
    async with AsyncExitStack() as stack:
        with out.working(f"connecting to {client.uri}"):
            await stack.enter_async_context(client)
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
    """The address of a server."""
    if any(c.isspace() for c in text):  # not shown: it may be what belongs to another option
        raise argparse.ArgumentTypeError(
            "must be a URI, got one with white space; use ws://host:port"
        )
    try:
        parse_address(with_scheme(text))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None
    return with_scheme(text)


def seconds(text: str) -> float:
    """A positive time."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:  # a NaN is not
        raise argparse.ArgumentTypeError(f"must be more than 0 seconds, got {text!r}")
    return value


def count(text: str) -> int:
    """How many, from 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text!r}")
    return int(text)


def header(text: str) -> tuple[str, str]:
    """Name and value of an HTTP header."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        # Not shown: it may be a token.
        raise argparse.ArgumentTypeError(
            "must be a name and a value, got no colon, or no name before it; use 'NAME: VALUE'"
        )
    if not (text.isascii() and text.isprintable()):
        raise argparse.ArgumentTypeError(f"the header {shown(name, 64)!r} must be printable ASCII")
    return name.strip(), value.strip()
