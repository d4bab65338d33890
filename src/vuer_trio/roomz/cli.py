"""``roomz-cli``: a Roomz chat in the terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

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
/quit         leave (so does Ctrl-C)
Anything else is sent as a message."""

_SHOWN = (
    *("authenticated", "message", "user_joined", "user_left"),
    *("display_name_changed", "disconnect", "error"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit status: 0, or 1 for a package that is missing."""
    parser = argparse.ArgumentParser(
        prog="roomz-cli",
        description="A Roomz chat in the terminal.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        *("--server", "-s"),
        default="http://localhost:8000",
        metavar="URL",
        help="server URL (default: %(default)s)",
    )
    parser.add_argument("--session", metavar="FILE", help="keep the session in this file")
    options = parser.parse_args(arguments)
    try:
        parse_server(options.server)
    except ValueError as exc:
        parser.error(str(exc))
    try:
        for package in ("rich", "prompt_toolkit"):
            needed(package, "cli")
        for package in ("httpx2", "socketio"):
            needed(package)
    except ImportError as exc:
        print(f"roomz-cli: {exc}", file=sys.stderr)
        return 1
    client = AsyncClient(options.server, session_cache_file=options.session)
    with suppress(KeyboardInterrupt):  # while a command ran
        run("asyncio", partial(_chat, client))  # prompt_toolkit's loop
    print("Bye.")
    return 0


async def _chat(client: AsyncClient) -> None:
    terminal = Terminal(runtime())
    with terminal.open():
        await Chat(client, terminal).run()


class Chat:
    """Reads commands and messages, and shows what happens."""

    def __init__(self, client: AsyncClient, terminal: Terminal) -> None:
        self._client = client
        self._terminal = terminal
        self._rt = runtime()
        self._nursery: Nursery | None = None
        self._lines: Queue[bytes] = Fifo().open(self._rt)  # to be obeyed
        self._commands = {
            "/login": self._login,
            "/token": self._token,
            "/name": self._name,
            "/logout": self._logout,
            "/help": self._help,
        }
        for event in _SHOWN:
            client.on(event, partial(self._show, event))

    async def run(self) -> None:
        """Until ``/quit``, Ctrl-C or the end of the input."""
        self._say(f"Roomz at {shown_uri(self._client.server_url)}. /help shows the commands.")
        async with self._rt.open_nursery() as self._nursery:
            try:
                await self._client.connect(nursery=self._nursery)  # with the session in the file
            except AuthenticationError as exc:
                if exc.reason != "missing_token":
                    self._complain(printable(exc))
            except ClientError as exc:
                self._complain(printable(exc))
            if not self._client.connected:
                self._say("Not connected: /login EMAIL, then /token TOKEN.")
            await self._read()
            await self._client.disconnect()

    async def _read(self) -> None:
        """Read on while a command runs: the prompt stays, and Ctrl-C is heard."""
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
                self._lines.clear()
                nursery.cancel_scope.cancel()
            self._lines.put(b"")  # the end, when all else is done

    async def _obey_in_order(self) -> None:
        while True:
            while not self._lines.items:
                await self._lines.arrival()
            if not (line := self._lines.pop()):
                return
            await self._obey(line.decode())

    async def _obey(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        try:
            if not line.startswith("/"):
                await self._send(line)
            elif word in self._commands:
                await self._commands[word](rest.strip())
            else:
                self._complain(f"There is no command {printable(word)}; /help shows them.")
        except ClientError as exc:
            self._complain(printable(getattr(exc, "detail", "") or exc))

    # ---- commands

    async def _login(self, email: str) -> None:
        if not email:
            return self._complain("Write /login EMAIL.")
        await self._client.login(email)
        self._say(f"A magic link is on its way to {email}. Then: /token TOKEN.")

    async def _token(self, token: str) -> None:
        if not token:
            return self._complain("Write /token TOKEN, with the token of a magic link.")
        if self._client.connection_state is not ConnectionState.DISCONNECTED:
            return self._complain("You are already connected; /logout first.")
        await self._client.connect(token, nursery=self._nursery)

    async def _name(self, name: str) -> None:
        if not self._here():
            return
        reply = await self._client.set_display_name(name or None)
        if "error" in reply:
            return self._refused(reply)
        self._say(f"You are {name_of(self._client.user)} now.")

    async def _logout(self, rest: str) -> None:
        await self._client.logout()
        self._say("Logged out.")

    async def _help(self, rest: str) -> None:
        self._say(HELP)

    async def _send(self, content: str) -> None:
        if not self._here():
            return
        reply = await self._client.send(content)
        if "error" in reply:
            self._refused(reply)

    def _here(self) -> bool:
        """Whether anything can be sent; if not, it is said."""
        state = self._client.connection_state
        if state is ConnectionState.DISCONNECTED:
            self._complain("Not sent, you are disconnected: /login EMAIL, then /token TOKEN.")
        elif state is not ConnectionState.CONNECTED:
            self._complain(f"Not sent, you are {state.value}.")
        return state is ConnectionState.CONNECTED

    # ---- showing

    def _show(self, event: str, data: dict[str, Any]) -> None:
        if event == "disconnect":
            again = self._client.connection_state is ConnectionState.RECONNECTING
            self._say("Connection lost; reconnecting." if again else "Disconnected.")
        elif (line := show_event(event, data)) is not None:
            self._terminal.show(line)

    def _say(self, text: str) -> None:
        self._terminal.show([(text, "")])

    def _refused(self, reply: dict[str, Any]) -> None:
        self._complain(f"{printable(reply['error'])} ({printable(reply.get('code'))})")

    def _complain(self, text: str) -> None:
        self._terminal.show([(text, "red")])
