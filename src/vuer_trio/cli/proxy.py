"""``vuer-trio proxy``: stand between browsers and a server, and record both directions."""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from .._client.options import DEFAULT_URI
from .._nursery import background_service
from .._runtime import runtime
from .connection import add_connection, seconds, tls_context, with_scheme
from .listening import add_listening, new_app, problems_told
from .output import Output
from .record import sum_up
from .statuses import CommandFailed, Status

if TYPE_CHECKING:
    from .._proxy.proxy import Proxy
    from .._proxy.upstream import Upstream
    from ..record import Recorder
    from ..server.options import ServerOptions

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "endless", "run"]

HELP = "stand between browsers and a server, and record both directions"
DESCRIPTION = """\
Pass everything between browsers and a server on, unchanged, and record what both say to each
other in a new MCAP file, until Ctrl-C or --seconds. Open the page at the proxy's address, not at
the server's.

  vuer-trio proxy ws://localhost:8012 --record run.mcap --port 8013
  vuer-trio proxy ws://robot.local:8012 --record run.mcap --tls auto

`vuer-trio replay` replays the file, to a server or as one."""

#: seconds between updates of the progress
_REFRESH = 0.25
_PORT = 8013
#: bytes of one recorded message
_MAX_SIZE = 1 << 26


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `Command`."""
    parser.add_argument(
        "uri",
        type=_server,
        nargs="?",
        metavar="URI",
        help=f"the server: ws://host:port or wss://... (default: {DEFAULT_URI})",
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="the file to create")
    parser.add_argument(
        "--etype",
        action="append",
        metavar="ETYPE",
        help="record only events of this type; may be repeated",
    )
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after this time")
    add_listening(parser, _PORT, "the proxy")
    parser.add_argument(
        "--origins",
        metavar="ORIGIN",
        nargs="+",
        help="pages of other sites that may connect: https://example.com",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, no messages")
    add_connection(parser)


def _server(text: str) -> str:
    """The URI of a server that is to be passed on to."""
    from .._proxy.upstream import parse_upstream

    if any(c.isspace() for c in text):  # not shown: it may be the value of another option
        raise argparse.ArgumentTypeError(
            "must be a URI, got one with white space; use ws://host:port"
        )
    try:
        parse_upstream(with_scheme(text))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None
    return with_scheme(text)


def endless(args: argparse.Namespace) -> bool:
    """See `Command`."""
    return args.seconds is None


async def run(args: argparse.Namespace, out: Output) -> int:
    """See `Command`."""
    from .._proxy.proxy import Proxy
    from .._proxy.upstream import Upstream, parse_upstream

    logging.getLogger("vuer_trio.proxy").setLevel(
        logging.ERROR if args.quiet else logging.INFO if args.verbose else logging.WARNING
    )
    upstream = Upstream(
        parse_upstream(args.uri or DEFAULT_URI),
        tls_context(args),
        args.header or (),
        args.timeout,
    )
    more = {} if args.origins is None else {"origins": args.origins}
    options = new_app(args, max_size=_MAX_SIZE, **more)._options
    with problems_told(args):
        proxy = Proxy(runtime(), upstream, options)
    await _Proxying(args, out, upstream, options, proxy).run()
    return Status.DONE


class _Proxying:
    """One run of the command."""

    def __init__(
        self,
        args: argparse.Namespace,
        out: Output,
        upstream: Upstream,
        options: ServerOptions,
        proxy: Proxy,
    ) -> None:
        self._args, self._out = args, out
        self._upstream = upstream
        self._options = options
        self._proxy = proxy
        self._recorder: Recorder | None = None
        self._began = trio.current_time()

    async def run(self) -> None:
        args, out = self._args, self._out
        created = listened = False
        try:
            async with AsyncExitStack() as stack:
                if args.record is not None:
                    self._recorder = await stack.enter_async_context(self._new_recorder())
                    created = True
                await stack.enter_async_context(background_service(runtime(), self._proxy.run))
                listened = True
                self._began = trio.current_time()
                self._announce()
                if args.seconds is None:
                    await self._wait()
                with trio.move_on_after(args.seconds or 0):
                    await self._wait()
        except FileExistsError:
            raise CommandFailed(f"{args.record} already exists; choose another name") from None
        except ImportError as exc:
            raise CommandFailed(str(exc)) from exc
        finally:
            if created and not listened:  # it is empty
                args.record.unlink(missing_ok=True)
            if listened and not args.quiet and not out.abandoned:
                self._sum_up()

    def _new_recorder(self) -> Recorder:
        from ..record import Recorder

        source: Any = self._proxy  # which has what a recorder asks of a session
        return Recorder(self._args.record, source, etypes=self._args.etype)

    def _announce(self) -> None:
        from ..server.banner import network_page_url, page_url
        from ..server.qr_code import qr_code

        out, options, port = self._out, self._options, self._proxy.port
        out.line("A proxy to ", self._proxy.peer, " is at ", (page_url(options, port), "bold"))
        network = network_page_url(options, port)
        if network is not None:
            out.line("In this network it is at ", (network, "bold"))
        if network is not None and options.tls is not None:
            for line in qr_code(network, sys.stdout):
                out.line((line, "bright_white on black"))
        if self._args.record is None and not self._args.quiet:
            out.remark("Nothing is recorded; --record FILE does that.")
        if out.error_terminal and not self._args.quiet:
            out.remark(("Ctrl-C ends.", "dim"))

    async def _wait(self) -> None:
        """Show the progress, at a terminal, until cancelled."""
        if not self._out.error_terminal or self._args.quiet:
            await trio.sleep_forever()
        with self._out.working("waiting for a browser") as tell:
            while True:
                tell(self._told())
                await trio.sleep(_REFRESH)

    def _told(self) -> str:
        proxy, recorder = self._proxy, self._recorder
        connections = _many(proxy.open, "connection")
        if recorder is None:
            return f"{connections} open"
        dropped = f", {recorder.dropped:,} dropped" if recorder.dropped else ""
        elapsed = trio.current_time() - self._began
        return (
            f"recording to {recorder.path}: {connections} open, "
            f"{_many(recorder.written, 'message')}{dropped}, {elapsed:.0f} s"
        )

    def _sum_up(self) -> None:
        out, recorder = self._out, self._recorder
        out.remark(f"{_many(self._proxy.opened, 'connection')} passed on")
        if recorder is None:
            return
        sum_up(recorder, trio.current_time() - self._began, out)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
