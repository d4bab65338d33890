"""``vuer-trio serve``: a server with an empty scene."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import trio

from .json_text import NAME, printable
from .listening import add_serving, problems_told, serving_app
from .output import Output

if TYPE_CHECKING:
    from ..server import SceneStore, VuerSession
    from ..server.options import ServerOptions

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run", "say_how_to_open"]

HELP = "serve an empty scene"
DESCRIPTION = """\
Serve an empty scene until Ctrl-C, to try a browser or a client with.

The web client is served as well if the package `vuer`, which brings it, is installed; without it
the page links to https://vuer.ai."""

_EVERYWHERE = ("0.0.0.0", "::")  # shown as localhost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    add_serving(parser)
    parser.add_argument(
        "--redis",
        metavar="URI",
        help="show the scene that others share there: SceneStore(bus=RedisBus(URI))",
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="serve with N processes (default: 1)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the addresses as one JSON object"
    )


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return True


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    from .._web_client.installed import web_client
    from ..server import open_vuer_server
    from .shared import check_uri, open_shared_scene
    from .workers import inherited, supervise

    worker = inherited()
    if worker is not None and worker.number > 1:
        args.mdns = False  # the first announces it for all
    root = args.web_client or web_client()
    app = serving_app(args)

    def say_where(port: int, uri: str) -> None:
        for anywhere in _EVERYWHERE:
            uri = uri.replace(f"//{anywhere}:", "//localhost:").replace("[localhost]", "")
        if args.json:
            out.line(json.dumps({"uri": uri, "page": _page(app._options, port, uri)}))
        else:
            _say_where(app._options, port, uri, root is not None, out)
        if args.workers != 1:
            own = "" if args.redis else "; without --redis, each shows a scene of its own"
            out.remark(f"({args.workers} processes{own})")
        if out.error_terminal:
            out.remark(("Ctrl-C ends.", "dim"))

    visits = _Visits(out)
    app.spawn(visits.visit)
    with problems_told(args):
        if args.workers != 1 and worker is None:
            check_uri(args.redis)
            return await supervise(args.workers, app._options, say_where, out)
        async with AsyncExitStack() as stack:
            visits.store = await stack.enter_async_context(open_shared_scene(args.redis))
            if worker is not None:
                await stack.enter_async_context(worker.block())
            sockets = () if worker is None else worker.sockets
            server = await stack.enter_async_context(open_vuer_server(app, sockets=sockets))
            if worker is None:
                say_where(server.port, server.uri)
            else:
                worker.say_ready()  # and the first process says where
            await trio.sleep_forever()


def _page(options: ServerOptions, port: int, uri: str) -> str:
    from ..server.banner import network_page_url

    there = network_page_url(options, port) if options.tls is not None else None
    return there or uri.replace("ws", "http", 1)


def _say_where(options: ServerOptions, port: int, uri: str, served: bool, out: Output) -> None:
    out.line("Vuer is at ", (uri, "bold"))
    if options.tls is not None or options.token is not None:
        say_how_to_open(options, port, out)
    elif served:
        out.line("Its web client is at ", (uri.replace("ws", "http", 1), "bold"))
    else:
        out.line("Its web client is at ", (f"https://vuer.ai?ws={uri}", "bold"))
        out.remark("(`pip install vuer`, and this server has one of its own)")


def say_how_to_open(options: ServerOptions, port: int, out: Output) -> None:
    """The addresses as `Vuer.start` prints them; at a terminal also one for a camera."""
    from ..server.banner import banner, network_page_url
    from ..server.qr_code import qr_code

    for line in banner(options, port, "trio")[1:]:
        out.line(line)
    page = network_page_url(options, port) if options.tls is not None else None
    if page is not None:
        for line in qr_code(page, sys.stdout):
            out.line((line, "bright_white on black"))


class _Visits:
    """What each client sees, and what is said of it."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self.store: SceneStore | None = None  # that all sessions share

    async def visit(self, session: VuerSession) -> None:
        from ..schemas import DefaultScene

        client = str(session.client_info.get("client", "unknown"))
        who = f"{session.peer} ({printable(client, NAME)})"
        self._out.remark(("+ ", "green"), who)
        try:
            if self.store is not None:
                async with self.store.subscribe(session):
                    await session.forever()
            session.set @ DefaultScene()
            await session.forever()
        finally:
            self._out.remark(("- ", "red"), who)
