"""Ctrl-C at many moments: a program that is interrupted, and run again.

    python -m tests.programs.interrupted PROGRAM BACKEND MOMENTS SEED [lines|time]

Each moment is one run of the program. When it has executed so many lines, of whatever code, or when
so much time is over, SIGINT is raised. All of these programs go on for ever, and catch
ConnectionError, as a robot's would: only KeyboardInterrupt may leave the run. The first run that
ends otherwise, or does not end, is printed, and the exit status is 1.
"""

from __future__ import annotations

import _weakrefset
import asyncio
import faulthandler
import linecache
import logging
import random
import signal
import sys
import tempfile
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Self

import anyio
import anyio._backends._asyncio
import anyio._backends._trio
import trio

from tests.scripted_roomz_server import ack_of, client_of, enter
from tests.scripted_server import serve_peer
from vuer_trio import Backoff, SceneStore, Vuer, VuerClient, open_vuer_client, open_vuer_server
from vuer_trio._interrupts import interrupt_in
from vuer_trio.arc import ARCClient, open_arc_client, open_arc_relay
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.record import Recorder
from vuer_trio.roomz import ClientError
from vuer_trio.schemas import Box, DefaultScene
from vuer_trio.sync import open_vuer_client as open_blocking_client

#: executed lines, of Python code of any kind, or seconds: up to so many before the signal
_LINES, _TIME = 9_000, 0.04
_WEAK = (_weakrefset.__file__, weakref.__file__)
_ANYIO = anyio._backends._trio.__file__
_SPAWNING = str(Path(trio.__file__).parent / "_core" / "_run.py")
#: seconds for a run to end
_PATIENCE = 60


class ByLines:
    """Raises SIGINT in the main thread, when it has executed so many lines since `begin`."""

    def __init__(self, chance: random.Random) -> None:
        self._left = chance.randrange(1, _LINES)
        self._counting = False
        self.shown = f"after {self._left} lines"

    def begin(self) -> None:
        self._counting = True

    def __enter__(self) -> Self:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *exc: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:
        # A "call" may be that of a coroutine which goes on, where Python looks for no signals.
        counts = self._counting and event == "line"
        if counts and not (_is_a_with(frame) or _is_unsafe(frame) or _is_lost(frame)):
            self._left -= 1
            if self._left <= 0:
                self._counting = False
                code = frame.f_code
                self.shown += f", in {code.co_filename}:{frame.f_lineno} ({code.co_name})"
                signal.raise_signal(signal.SIGINT)
        return self._trace


def _is_a_with(frame: FrameType) -> bool:
    """A block's line is executed once more before it is left. Python raises nothing there: it
    looks for signals at calls and jumps only, or no block, nor any lock, would be safe."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return line.startswith("with ") or (
        frame.f_code.co_filename == __file__ and line.startswith("async with ")
    )


def _is_lost(frame: FrameType | None) -> bool:
    """Python loses what is raised in a ``__del__``, or in what a weak reference calls."""
    while frame is not None and not (
        frame.f_code.co_name == "__del__" or frame.f_code.co_filename in _WEAK
    ):
        frame = frame.f_back
    return frame is not None


def _is_unsafe(frame: FrameType) -> bool:
    """Trio does not protect what `start_soon` does for code that is not protected itself: a task
    that would never begin is waited for. Nor are anyio's task groups protected while they are
    entered and left. That is between a program and those."""
    if not trio.lowlevel.in_trio_run() or trio.lowlevel.currently_ki_protected():
        return False
    if frame.f_code.co_filename == _SPAWNING:
        return True
    inner: FrameType | None = frame
    while inner is not None:
        code = inner.f_code
        if code.co_filename == _ANYIO and code.co_name in ("__aenter__", "__aexit__"):
            return True
        inner = inner.f_back
    return False


class ByTime:
    """The same, when so much time is over since `begin`."""

    def __init__(self, chance: random.Random) -> None:
        self._delay = chance.uniform(1e-5, _TIME)
        self.shown = f"after {self._delay:.6f} s"

    def begin(self) -> None:
        signal.signal(signal.SIGALRM, self._strike)
        signal.setitimer(signal.ITIMER_REAL, self._delay)

    def _strike(self, number: int, frame: FrameType | None) -> None:
        if _is_lost(frame):
            signal.setitimer(signal.ITIMER_REAL, 1e-4)
        else:
            signal.raise_signal(signal.SIGINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


# ---- what the programs talk to: in other threads, which no signal strikes


@contextmanager
def in_a_thread(serve: Callable[[Callable[[str], None]], Any]) -> Iterator[str]:
    """``await serve(ready)`` on Trio; what it tells ``ready`` is where."""
    told: list[str] = []
    started = threading.Event()

    def ready(where: str) -> None:
        told.append(where)
        started.set()

    threading.Thread(target=trio.run, args=(serve, ready), daemon=True).start()
    assert started.wait(_PATIENCE)
    yield told[0]


async def vuer_server(ready: Callable[[str], None]) -> None:
    app = Vuer(port=0)
    app.add_handler("ECHO", lambda event, session: session @ ServerEvent(event.value, etype="GO"))
    app.add_handler("LEAVE", lambda event, session: session.cancel_scope.cancel())
    async with open_vuer_server(app) as server:
        ready(server.uri)
        await trio.sleep_forever()


async def arc_relay(ready: Callable[[str], None]) -> None:
    async with open_arc_relay() as relay:
        ready(relay.url)
        async with open_arc_client(relay.url, agent_id="echo", rate_limit=None) as agent:
            await agent.listen(lambda message: agent.reply(message, "yes"))


async def roomz_server(ready: Callable[[str], None]) -> None:
    async def script(conn: Any) -> None:
        await enter(conn)
        for _ in range(3):
            packet = await conn.recv()
            if packet is None:
                return
            await conn.send_text(ack_of(packet, {"status": "ok", "message_id": "1"}))
        await conn.close()

    async with serve_peer(script) as peer:
        ready(peer.uri)
        await trio.sleep_forever()


# ---- the programs


async def echoes(client: VuerClient, count: int) -> None:
    for n in range(count):
        client.send @ ClientEvent(etype="ECHO", value=n)
        await client.send(ClientEvent(etype="ECHO", value=n))
        await client.recv()
        await client.recv(timeout=10)


async def streams(uri: str) -> None:
    async with open_vuer_client(uri) as client:
        while True:
            with suppress(ConnectionError):
                await echoes(client, 1)


async def comes_and_goes(uri: str) -> None:
    while True:
        with suppress(ConnectionError):
            async with open_vuer_client(uri) as client:
                await echoes(client, 2)
                await client.flush()


async def connects(uri: str) -> None:
    while True:
        client = VuerClient(uri)
        client.on("GO", works)
        with suppress(ConnectionError):
            await client.connect()
            try:
                await echoes(client, 2)
            finally:
                with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 2):
                    await client.close()


async def works(*_: object) -> None:
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def reconnects(uri: str) -> None:
    again = Backoff(initial=0.001, maximum=0.001, replay=True)
    async with open_vuer_client(uri, reconnect=again) as client:
        while True:
            with suppress(ConnectionError):
                await echoes(client, 2)
                client.send @ ClientEvent(etype="LEAVE")


async def serves(_: str) -> None:
    app, store = Vuer(port=0), SceneStore()

    @app.add_handler("ECHO")
    async def echo(event: Any, session: Any) -> None:
        await works()
        session @ ServerEvent(1, etype="GO")
        store.upsert @ Box(key="box", position=[1, 2, 3])

    @app.spawn
    async def main(session: Any) -> None:
        session.set @ DefaultScene()
        session.spawn_task(works)
        async with store.subscribe(session):
            while True:
                app.broadcast.upsert @ Box(key="box")
                await anyio.sleep(0.001)

    while True:
        with suppress(ConnectionError):
            async with open_vuer_server(app) as server:
                async with open_vuer_client(server.uri) as client:
                    await echoes(client, 3)


async def serves_in_a_nursery(_: str) -> None:
    app = Vuer(port=0)
    app.add_handler("ECHO", lambda event, session: session @ ServerEvent(1, etype="GO"))
    async with anyio.create_task_group() as tasks:
        server = await tasks.start(app_serve, app)
        while True:
            with suppress(ConnectionError):
                await echoes(await tasks.start(run, VuerClient(server.uri)), 3)
                await anyio.sleep(0.001)


async def app_serve(app: Vuer, *, task_status: Any) -> None:
    await app.serve(task_status=task_status)


async def run(client: Any, *, task_status: Any) -> None:
    with suppress(ConnectionError):
        await client.run(task_status=task_status)


async def agent(url: str) -> None:
    while True:
        with suppress(ConnectionError):
            async with ARCClient(url, rate_limit=None) as client:
                await client.subscribe(["echo"])
                for n in range(2):
                    await client.ask(n, to=["echo"], timeout=5)
                    await client.broadcast(n)


async def relay(_: str) -> None:
    while True:
        with suppress(ConnectionError):
            async with open_arc_relay() as relay:
                async with ARCClient(relay.url, rate_limit=None) as a:
                    async with ARCClient(relay.url, rate_limit=None) as b:
                        for n in range(2):
                            await a.send([b.agent_id], n)
                            await b.recv()


async def chats(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        while True:
            with suppress(ClientError):
                async with client_of(url, Path(folder), reconnect_delay=0.0) as client:
                    client.on("message", works)
                    for n in range(4):
                        await client.send(str(n))


async def chats_on(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        while True:
            client = client_of(url, Path(folder), reconnect_delay=0.0)
            with suppress(ClientError):
                await client.connect()
                try:
                    for n in range(2):
                        await client.send(str(n))
                finally:
                    with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 2):
                        await client.disconnect()


async def records(uri: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        while True:
            client = VuerClient(uri)
            with suppress(ConnectionError):
                path = Path(folder, "run.mcap")
                async with Recorder(path, client, overwrite=True, interval=0.001), client:
                    await echoes(client, 4)


def blocks(uri: str, injector: ByLines | ByTime) -> None:
    injector.begin()
    while True:
        with suppress(ConnectionError), open_blocking_client(uri) as client:
            for n in range(2):
                client.send @ ClientEvent(etype="ECHO", value=n)
                client.recv(timeout=10)


NOTHING = None
PROGRAMS: dict[str, tuple[Any, Any]] = {
    "streams": (streams, vuer_server),
    "comes_and_goes": (comes_and_goes, vuer_server),
    "connects": (connects, vuer_server),
    "reconnects": (reconnects, vuer_server),
    "serves": (serves, NOTHING),
    "serves_in_a_nursery": (serves_in_a_nursery, NOTHING),
    "agent": (agent, arc_relay),
    "relay": (relay, NOTHING),
    "chats": (chats, roomz_server),
    "chats_on": (chats_on, roomz_server),
    "records": (records, vuer_server),
    "blocks": (blocks, vuer_server),
}


def one_run(program: Any, where: str, backend: str, injector: ByLines | ByTime) -> str | None:
    """What was wrong, if anything."""

    async def main() -> None:
        injector.begin()
        await program(where)

    try:
        with injector:
            if program is blocks:
                blocks(where, injector)
            elif backend == "trio":
                trio.run(main)
            else:
                asyncio.run(main())
    except KeyboardInterrupt:
        return None
    except BaseException as exc:
        if program is serves_in_a_nursery and interrupt_in(exc) is not None:
            return None  # the nursery is the program's
        return "".join(traceback.format_exception(exc))
    return "it returned"


def main(name: str, backend: str, moments: int, seed: int, by: str = "lines") -> int:
    logging.disable()
    program, server = PROGRAMS[name]
    with in_a_thread(server) if server is not None else nullcontext("") as where:
        chance = random.Random(f"{name} {backend} {seed}")
        for _ in range(moments):
            injector = ByLines(chance) if by == "lines" else ByTime(chance)
            faulthandler.dump_traceback_later(_PATIENCE, exit=True)
            wrong = one_run(program, where, backend, injector)
            faulthandler.cancel_dump_traceback_later()
            if wrong is not None:
                print(f"{name} on {backend}, {injector.shown}: {wrong}")
                return 1
    print(f"{name} on {backend}: {moments} times KeyboardInterrupt")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:]))
