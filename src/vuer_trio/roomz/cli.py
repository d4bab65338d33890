"""``roomz-cli``: a Roomz chat in the terminal."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from textwrap import indent
from typing import TYPE_CHECKING, Any

from .._command_line.colours import add_color, is_terminal
from .._command_line.parser import Parser
from .._command_line.suggestions import did_you_mean
from .._command_line.version import add_version
from .._connection.policies import Fifo
from .._connection.queue import Queue
from .._formatting import shown_uri
from .._runtime import run, runtime
from .address import parse_server
from .client import AsyncClient
from .errors import AuthenticationError, ClientError, needed
from .events import ConnectionState
from .formatting import name_of, printable, show_event
from .terminal import Terminal

if TYPE_CHECKING:
    from .._async_types import Nursery

__all__ = ["Chat", "main"]

HELP = """\
/login EMAIL  have a magic link sent to your address
/token TOKEN  connect with the token in it
/name NAME    set your display name, shown as "Name (email)"
/name         clear it
/logout       disconnect and end the session
/help         show the commands
/quit         leave (so do Ctrl-C and Ctrl-D)
Anything else is sent as a message."""

_SHOWN = (
    *("authenticated", "message", "user_joined", "user_left"),
    *("display_name_changed", "disconnect", "error"),
)


#: names that the Tab key knows; a server may send any number of them
_MOST_NAMES = 200
_SERVER = "http://localhost:8000"
_DESCRIPTION = """\
A Roomz chat in the terminal. Lines are messages, or commands that begin with a slash; at a
terminal, the Tab key completes commands and the names of users. In a pipe, errors go to stderr."""
_EPILOG = f"""\
commands:
{indent(HELP, "  ")}

exit status:
  0     success
  1     a message was not sent, in a pipe also: a command failed; or a package is missing
  2     the arguments are invalid
  141   the reader of the output closed the pipe"""
_FAILED, _PIPE_CLOSED = 1, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = Parser(prog="roomz-cli", description=_DESCRIPTION, epilog=_EPILOG)
    add_version(parser)
    parser.add_argument("url", nargs="?", metavar="URL", help=f"of the server (default: {_SERVER})")
    parser.add_argument(*("--server", "-s"), metavar="URL", help="the same as the argument")
    parser.add_argument("--session", metavar="FILE", help="keep the session in this file")
    parser.add_argument(
        "--json", action="store_true", help="print each event as a JSON object, and nothing else"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="only messages and errors")
    add_color(parser)
    options = parser.parse_args(arguments)
    if options.url is not None and options.server is not None:
        parser.error("there is a URL, and --server too; leave one of them out")
    server = options.url or options.server or _SERVER
    try:
        parse_server(server)
    except ValueError as exc:
        parser.error(str(exc))
    try:
        for package in ("rich", "prompt_toolkit"):
            needed(package, "cli")
        for package in ("httpx2", "socketio"):
            needed(package)
    except ImportError as exc:
        print(f"roomz-cli: {exc}", file=sys.stderr)
        return _FAILED
    for file in (sys.stdout, sys.stderr):  # in a locale without UTF-8 a character is escaped
        if isinstance(file, io.TextIOWrapper):
            file.reconfigure(errors="backslashreplace")
    chat = Chat(AsyncClient(server, session_cache_file=options.session), options)
    with suppress(KeyboardInterrupt):  # Ctrl-C while a command ran
        run("asyncio", chat.main)  # prompt_toolkit needs asyncio
    return chat.end()


class Chat:
    """Reads commands and messages, and shows events."""

    def __init__(self, client: AsyncClient, options: argparse.Namespace) -> None:
        self._client = client
        self._json: bool = options.json
        self._quiet: bool = options.quiet or options.json
        self._unsent = 0  # messages
        self._broken = False  # nobody reads stdout any more
        self._failed = 0  # commands, and the connection at the start
        self._names: dict[str, None] = {}  # of users, for the Tab key
        self._color: str = options.color
        self._commands = {
            "/login": self._login,
            "/token": self._token,
            "/name": self._name,
            "/logout": self._logout,
            "/help": self._help,
        }
        for event in _SHOWN:
            client.on(event, partial(self._show, event))

    async def main(self) -> None:
        """Run in a terminal or a pipe."""
        self._rt = runtime()
        self._nursery: Nursery | None = None
        self._lines: Queue[bytes] = Fifo().open(self._rt)  # lines to run
        self._terminal = Terminal(self._rt, self._color, self._completions)
        try:
            with self._terminal.open():
                await self.run()
        finally:
            self._broken = self._terminal.broken

    def end(self) -> int:
        """Say what was not sent; return the exit status."""
        if self._broken:
            return _PIPE_CLOSED
        failed = 0 if is_terminal(sys.stdin) else self._failed
        if not self._quiet:
            try:
                print("Bye.", flush=True)
            except OSError:  # nobody reads it, or the disk is full
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return _PIPE_CLOSED
        if self._unsent:
            self._sum_up(f"{_many(self._unsent, 'message')} not sent")
        if failed:
            self._sum_up(f"{failed:,} command{'' if failed == 1 else 's'} failed")
        return _FAILED if self._unsent or failed else 0

    def _sum_up(self, text: str) -> None:
        print(f"roomz-cli: {text}", file=sys.stderr)

    async def run(self) -> None:
        """Run until ``/quit``, Ctrl-C or the end of the input."""
        self._say(f"Roomz at {shown_uri(self._client.server_url)}. /help shows the commands.")
        async with self._rt.open_nursery() as self._nursery:
            try:
                await self._client.connect(nursery=self._nursery)  # with the cached session
            except AuthenticationError as exc:
                if exc.reason != "missing_token":
                    self._failed += 1
                    self._complain(printable(exc))
            except ClientError as exc:
                self._failed += 1
                self._complain(printable(exc))
            if not self._client.connected:
                self._say("Not connected: /login EMAIL, then /token TOKEN.")
            await self._read()
            await self._client.disconnect()

    async def _read(self) -> None:
        """Read lines, also while a command runs, so that the prompt and Ctrl-C keep working."""
        async with self._rt.open_nursery() as nursery:
            nursery.start_soon(self._obey_in_order)
            try:
                with self._terminal.typing():
                    while (line := (await self._terminal.read()).strip()) != "/quit":
                        if line:
                            self._lines.put(line.encode())
            except EOFError:
                pass
            except KeyboardInterrupt:
                self._unsent += sum(not line.startswith(b"/") for line in self._lines.items)
                self._lines.clear()
                nursery.cancel_scope.cancel()
            self._lines.put(b"")  # end, after the lines before it

    async def _obey_in_order(self) -> None:
        while True:
            while not self._lines.items:
                await self._lines.arrival()
            if not (line := self._lines.pop()):
                return
            await self._obey(line.decode())

    async def _obey(self, line: str) -> None:
        done = False
        try:
            done = await (self._run(line) if line.startswith("/") else self._send(line))
        except ClientError as exc:
            self._complain(printable(getattr(exc, "detail", "") or exc))
        finally:  # when cancelled, too: nobody knows whether it was sent
            if not done and line.startswith("/"):
                self._failed += 1
            elif not done:
                self._unsent += 1

    async def _run(self, line: str) -> bool:
        """Run a command. Returns whether it was done; if not, why has been printed."""
        word, _, rest = line.partition(" ")
        if word in self._commands:
            return await self._commands[word](rest.strip())
        meant = did_you_mean(word, [*self._commands, "/quit"])
        hint = f"did you mean {meant}?" if meant else "/help shows them."
        return self._complain(f"There is no command {printable(word)}; {hint}")

    # ---- commands

    async def _login(self, email: str) -> bool:
        if not email:
            return self._complain("Write /login EMAIL.")
        await self._client.login(email)
        self._say(f"A magic link is on its way to {email}. Then: /token TOKEN.")
        return True

    async def _token(self, token: str) -> bool:
        if not token:
            return self._complain("Write /token TOKEN, with the token of a magic link.")
        if self._client.connection_state is not ConnectionState.DISCONNECTED:
            return self._complain("You are already connected; /logout first.")
        await self._client.connect(token, nursery=self._nursery)
        return True

    async def _name(self, name: str) -> bool:
        if not self._here():
            return False
        reply = await self._client.set_display_name(name or None)
        if "error" in reply:
            return self._refused(reply)
        self._say(f"You are {name_of(self._client.user)} now.")
        return True

    async def _logout(self, rest: str) -> bool:
        await self._client.logout()
        self._say("Logged out.")
        return True

    async def _help(self, rest: str) -> bool:
        word = f"/{rest.removeprefix('/')}"
        lines = [line for line in HELP.splitlines() if line.split()[0] == word]
        for line in lines or HELP.splitlines():
            self._say(line)
        return True

    async def _send(self, content: str) -> bool:
        if not self._here():
            return False
        reply = await self._client.send(content)
        return "error" not in reply or self._refused(reply)

    def _here(self) -> bool:
        """Whether messages can be sent; if not, print why."""
        state = self._client.connection_state
        if state is ConnectionState.DISCONNECTED:
            self._complain("Not sent, you are disconnected: /login EMAIL, then /token TOKEN.")
        elif state is not ConnectionState.CONNECTED:
            self._complain(f"Not sent, you are {state.value}.")
        return state is ConnectionState.CONNECTED

    # ---- showing

    def _show(self, event: str, data: dict[str, Any]) -> None:
        self._remember(data.get("user"))
        if self._json:
            self._terminal.show([(json.dumps({"event": event, **data}), "")])
        elif event == "disconnect":
            again = self._client.connection_state is ConnectionState.RECONNECTING
            self._say("Connection lost; reconnecting." if again else "Disconnected.")
        elif event == "error" and (line := show_event(event, data)) is not None:
            self._terminal.complain(line)
        elif (line := show_event(event, data)) is not None:
            self._terminal.show(line)

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._terminal.show([(text, "")])

    def _refused(self, reply: dict[str, Any]) -> bool:
        return self._complain(f"{printable(reply['error'])} ({printable(reply.get('code'))})")

    def _complain(self, text: str) -> bool:
        """Returns False: what was to be done is not."""
        self._terminal.complain([(text, "red")])
        return False

    # ---- the Tab key

    def _remember(self, user: Any) -> None:
        if isinstance(user, dict):
            for key in ("display_name", "email"):
                if isinstance(name := user.get(key), str) and name:
                    self._names[printable(name)] = None
            while len(self._names) > _MOST_NAMES:
                del self._names[next(iter(self._names))]

    def _completions(self, text: str) -> Iterator[tuple[str, int]]:
        """What the text before the cursor may become: a command, or the name of a user."""
        if text.startswith("/") and " " not in text:
            for command in (*self._commands, "/quit"):
                if command.startswith(text):
                    yield command, len(text)
            return
        word = text[text.rfind(" ") + 1 :]
        at = word.startswith("@")
        begun = word.removeprefix("@").casefold()
        for name in self._names:
            if (at or begun) and name.casefold().startswith(begun):
                yield name, len(word) - at


def _many(count: int, what: str) -> str:
    return f"1 {what} was" if count == 1 else f"{count:,} {what}s were"
