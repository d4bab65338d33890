"""``vuer-trio cert``: the authority and the certificate of ``tls="auto"``."""

from __future__ import annotations

import argparse
import ssl
import sys
from typing import TYPE_CHECKING

from .statuses import Status

if TYPE_CHECKING:
    from ..server.authority import Authority

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "execute"]

HELP = "make, show and renew the certificate of tls='auto'"
DESCRIPTION = """\
The certificate that a server with tls="auto" shows, and the authority of this user that signs it.
A headset, phone or browser that trusts the authority shows no warning.

  make    make the authority and a certificate, unless there are any
  show    say what they are for, until when they are valid, and where they are
  renew   make a new certificate, or with --authority a new authority as well
  path    print where the authority's certificate is, for scripts

A server does what `make` does by itself. The folder is that of the environment's VUER_TRIO_DATA, if
that is set. The exit status is 1 if there is no authority, or something cannot be used."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it takes."""
    parser.add_argument(
        "action", choices=("make", "show", "renew", "path"), metavar="ACTION", help="see above"
    )
    parser.add_argument(
        "--authority",
        action="store_true",
        help="with renew: a new authority, which devices have to trust anew",
    )
    parser.add_argument(
        "--hosts",
        metavar="NAME",
        nargs="+",
        default=(),
        help="with make and renew: further names for the certificate",
    )


def execute(args: argparse.Namespace) -> int:
    """Do what the arguments say. Returns the exit status."""
    if args.authority and args.action != "renew":
        return _complain("--authority goes with renew", Status.USAGE)
    if args.hosts and args.action not in ("make", "renew"):
        return _complain("--hosts goes with make and renew", Status.USAGE)
    try:
        return _execute(args)
    except ImportError as error:
        return _complain(str(error))
    except OSError as error:  # an ssl.SSLError is one
        return _complain(error.strerror or str(error))


def _execute(args: argparse.Namespace) -> int:
    from ..server.authority import Authority, authority_file
    from ..server.machine_names import machine_names

    makes = args.action in ("make", "renew")
    authority = Authority.open(make=makes, anew=args.authority)
    if authority is None:
        return _complain("there is no authority yet; `vuer-trio cert make` makes one")
    if args.action == "path":
        print(authority_file())
        return Status.DONE
    if makes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.load(context, machine_names(args.hosts), anew=args.action == "renew")
    usable = _show(authority)
    if authority.made:
        print(f"The authority is new: install {authority.path} on each device, once.")
    return Status.DONE if usable else Status.FAILED


def _show(authority: Authority) -> bool:
    """Whether there is a certificate that can be used."""
    from ..server.authority import fingerprint
    from ..server.machine_names import machine_names

    own = authority.certificate
    _line("Authority", str(authority.path))
    _line("valid", f"{own.not_valid_before_utc:%Y-%m-%d} to {own.not_valid_after_utc:%Y-%m-%d}")
    _line("SHA-256", fingerprint(own))
    issued = authority.issued()
    if issued is None:
        _line("Certificate", "none; a server makes it, or `vuer-trio cert make`")
        return False
    _line("Certificate", f"for {', '.join(issued.names)}")
    _line("valid", f"{issued.begins:%Y-%m-%d} to {issued.ends:%Y-%m-%d}")
    _line("SHA-256", fingerprint(issued.certificate))
    why = issued.fault({*machine_names(), *issued.names})
    if why is not None:
        _line("to renew", f"{why}; the next server renews it, or `vuer-trio cert renew`")
    return why is None


def _line(label: str, text: str) -> None:
    print(f"{label + ':':<13}{text}")


def _complain(text: str, status: Status = Status.FAILED) -> Status:
    print(f"vuer-trio: {text}", file=sys.stderr)
    return status
