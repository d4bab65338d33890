"""``vuer-trio serve``: a server with an empty scene."""

from __future__ import annotations

import argparse
import errno
import re
import ssl
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from .json_text import NAME, printable
from .output import Output
from .statuses import CommandFailed, Status

if TYPE_CHECKING:
    from ..server import VuerSession

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run", "web_client"]

HELP = "serve an empty scene"
DESCRIPTION = """\
Serve an empty scene until Ctrl-C, to try a browser or a client with.

The web client is served as well if the package `vuer`, which brings it, is installed; without it
the page links to https://vuer.ai."""

_EVERYWHERE = ("0.0.0.0", "::")  # shown as localhost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    parser.add_argument(
        "--host", default="localhost", help="where to listen (default: %(default)s, this machine)"
    )
    parser.add_argument(
        "--port", type=int, help="0 for any free one (default: VUER_PORT, else 8012)"
    )
    parser.add_argument(
        "--hosts",
        metavar="NAME",
        nargs="+",
        default=(),
        help="names of this server that browsers may ask for, a tunnel's: '*.ngrok.app'",
    )
    parser.add_argument("--cert", metavar="FILE", help="serve TLS with this certificate (PEM)")
    parser.add_argument("--key", metavar="FILE", help="its private key (PEM)")
    parser.add_argument("--web-client", metavar="FOLDER", help="serve this one")


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return True


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    from ..server import Vuer, open_vuer_server

    root = args.web_client or web_client()
    try:
        app = Vuer(
            args.host,
            args.port,
            hosts=args.hosts,
            cert=args.cert,
            key=args.key,
            client_root=root,
        )
    except ValueError as exc:
        raise CommandFailed(_as_options(str(exc)), Status.USAGE) from exc
    app.spawn(_Visits(out).visit)
    try:
        async with open_vuer_server(app) as server:
            uri = server.uri
            for anywhere in _EVERYWHERE:
                uri = uri.replace(f"//{anywhere}:", "//localhost:").replace("[localhost]", "")
            out.line("Vuer is at ", (uri, "bold"))
            page = uri.replace("ws", "http", 1)
            if root is not None:
                out.line("Its web client is at ", (page, "bold"))
            else:
                out.line("Its web client is at ", (f"https://vuer.ai?ws={uri}", "bold"))
                out.remark("(`pip install vuer`, and this server has one of its own)")
            if out.error_terminal:
                out.remark(("Ctrl-C ends.", "dim"))
            await trio.sleep_forever()
    except ssl.SSLError as exc:
        raise CommandFailed(_as_options(str(exc)), Status.USAGE) from exc
    except OSError as exc:
        if (exc.strerror or "").startswith(("cert=", "key=")):
            raise CommandFailed(_as_options(exc.strerror or ""), Status.USAGE) from exc
        if exc.errno == errno.EADDRINUSE:
            raise CommandFailed(f"{exc.strerror}: another program is there; try --port 0") from exc
        raise


class _Visits:
    """What each client sees, and what is said of it."""

    def __init__(self, out: Output) -> None:
        self._out = out

    async def visit(self, session: VuerSession) -> None:
        from ..schemas import DefaultScene

        client = str(session.client_info.get("client", "unknown"))
        who = f"{session.peer} ({printable(client, NAME)})"
        self._out.remark(("+ ", "green"), who)
        try:
            session.set @ DefaultScene()
            await session.forever()
        finally:
            self._out.remark(("- ", "red"), who)


def web_client() -> Path | None:
    """The folder of the web client in the package `vuer`, which is not imported for it."""
    spec = find_spec("vuer")
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place, "client_build")
        if (folder / "index.html").is_file():
            return folder
    return None


def _as_options(text: str) -> str:
    """An error from the server, in the words of the command line."""
    text = text.replace("client_root", "web-client")
    text = re.sub(r"^(web-client|cert|key|host|port)(?= must)", r"--\1", text)
    return re.sub(r"\b(web-client|cert|key|host|port)=(?=(\S?))", _option, text)


def _option(found: re.Match[str]) -> str:
    return f"--{found[1]}{' ' if found[2] else ''}"
