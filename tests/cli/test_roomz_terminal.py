"""Keys that are typed while `roomz-cli` is busy: none may be lost to the terminal's line editor."""

from __future__ import annotations

import sys

import pytest

from tests.pseudo_terminal import Terminal

#: shows so much below the prompt, or between two, that it parks until somebody reads it
_PROGRAM = """
import asyncio
from vuer_trio._runtime import runtime
from vuer_trio.roomz.terminal import Terminal

MUCH = "x" * 300_000

async def main():
    terminal = Terminal(runtime())
    with terminal.open(), terminal.typing():
        assert await terminal.read() == "go"
        if {between}:
            terminal._session.output.write_raw(MUCH)
            terminal._session.output.flush()
        else:
            terminal.show([(MUCH, "")])
        try:
            print("read", repr(await terminal.read()))
        except EOFError:
            print("the end")
        except KeyboardInterrupt:
            print("stopped")

asyncio.run(main())
print("Bye.")
"""


@pytest.mark.parametrize("between", [False, True], ids=["at the prompt", "between two prompts"])
@pytest.mark.parametrize(
    ("key", "said"), [("\x04", "the end"), ("\x03", "stopped"), ("abd\x7fc\r", "read 'abc'")]
)
def test_a_key_typed_while_a_line_is_printed(key, said, between):
    with Terminal(sys.executable, "-c", _PROGRAM.format(between=between)) as it:
        it.expect(">")
        it.enter("go")
        it.park_unread()
        it.type(key)
        it.expect(said)
        it.expect("Bye.")
        assert it.wait() == 0
