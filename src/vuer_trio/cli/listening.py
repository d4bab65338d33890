"""Where `serve`, `replay --serve` and `proxy` listen: the options, and what is wrong with them."""

from __future__ import annotations

import argparse
import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .statuses import CommandFailed, Status

if TYPE_CHECKING:
    from ..server import Vuer

__all__ = ["add_listening", "add_serving", "new_app", "problems_told", "serving_app"]

_NAMES = "web-client|cert|key|hosts?|port|origins"
_OTHERS = {
    "client_root": "web-client",
    "tls='auto'": "--tls auto",
    "mdns=True": "--mdns",
    "host=None": "--host 0.0.0.0",
}


def add_listening(
    parser: argparse._ActionsContainer,
    default_port: int | None = None,
    whose: str = "this server",
) -> None:
    """``args.host``, ``port``, ``hosts``, ``cert``, ``key`` and ``tls``, to a parser or a group."""
    parser.add_argument(
        "--host", help="where to listen (default: localhost, this machine; with --tls, everywhere)"
    )
    usual = "VUER_PORT, else 8012" if default_port is None else default_port
    parser.add_argument(
        "--port", type=int, default=default_port, help=f"0 for any free one (default: {usual})"
    )
    parser.add_argument(
        "--hosts",
        metavar="NAME",
        nargs="+",
        default=(),
        help=f"names of {whose} that browsers may ask for, a tunnel's: '*.ngrok.app'",
    )
    parser.add_argument("--cert", metavar="FILE", help="serve TLS with this certificate (PEM)")
    parser.add_argument("--key", metavar="FILE", help="its private key (PEM)")
    parser.add_argument(
        "--tls",
        choices=("auto",),
        help="serve TLS with a certificate of its own, to every interface; see `vuer-trio cert`",
    )


def add_serving(parser: argparse._ActionsContainer) -> None:
    """`add_listening`, and ``args.mdns``, ``token`` and ``web_client``."""
    add_listening(parser)
    parser.add_argument("--mdns", action="store_true", help="announce it in the network")
    parser.add_argument("--token", help="let in only who knows this (others can see it in `ps`)")
    parser.add_argument("--web-client", metavar="FOLDER", help="serve this one")


def new_app(args: argparse.Namespace, **more: Any) -> Vuer:
    """A server with the options of `add_listening` and ``more``. Raises CommandFailed."""
    from ..server import Vuer  # not for --help

    try:
        return Vuer(
            args.host or (None if args.tls else "localhost"),
            args.port,
            hosts=args.hosts,
            cert=args.cert,
            key=args.key,
            tls=args.tls,
            **more,
        )
    except ValueError as exc:
        raise CommandFailed(_as_options(str(exc)), Status.USAGE) from exc
    except ImportError as exc:
        raise CommandFailed(str(exc)) from exc


def serving_app(args: argparse.Namespace) -> Vuer:
    """A server with the options of `add_serving`. Raises CommandFailed."""
    return new_app(args, mdns=args.mdns, token=args.token, client_root=args.web_client)


@contextmanager
def problems_told(args: argparse.Namespace) -> Generator[None]:
    """Raises CommandFailed for a missing package and for what is wrong with the certificate.

    That no address can be listened on passes through: its OSError says what to do.
    """
    try:
        yield
    except ImportError as exc:
        raise CommandFailed(str(exc)) from exc
    except ssl.SSLError as exc:
        status = Status.FAILED if args.tls else Status.USAGE
        raise CommandFailed(_as_options(exc.strerror or str(exc)), status) from exc
    except OSError as exc:
        if (exc.strerror or "").startswith(("cert=", "key=")):
            raise CommandFailed(_as_options(exc.strerror or ""), Status.USAGE) from exc
        raise


def _as_options(text: str) -> str:
    """An error from the server, in the words of the command line."""
    for argument, option in _OTHERS.items():
        text = text.replace(argument, option)
    text = re.sub(rf"^({_NAMES})(?= must)", r"--\1", text)
    return re.sub(rf"\b({_NAMES})=(?=(\S?))", _option, text)


def _option(found: re.Match[str]) -> str:
    return f"--{found[1]}{' ' if found[2] else ''}"
