"""The real `vuer.Vuer` server with an app that tests drive by events.

    python tests/programs/reference_server.py --port 8012

prints `READY 8012` once the port accepts connections. A client drives it so (→ what comes back):

    TAG value=str       names the session, for REPORT_ALL; sessions may share a name
    REPORT              → REPORT: this session's events so far, a map:
                        events [[etype, value], ...], ts [as it came, ...], count,
                        init (INIT's value), first (etype of the very first event), sessions, ended
                        value={"tail": n} limits events and ts to the last n
    REPORT_ALL value={"client": tag}
                        → REPORT_ALL: the same over all sessions of that name, ended ones too;
                        {"wait": s} first waits up to s seconds until they have all ended
    SESSIONS            → SESSIONS: the etype of the very first event of each session so far
    SCENE               → SET, UPSERT, ADD, UPDATE, REMOVE
    ECHO value          → ECHO data=value
    ECHO_MODE value=bool  from then on each event → ACK data=value
    GRAB [value={"ttl": s}] → GRAB_RENDER, then GRABBED data={"value", "etype"}, or {"error": name}
    BURST value=n       → TICK data=0 ... n-1, none lost
    MALFORMED [value=[bytes, ...]] → those messages (two broken ones by default), then AFTER
    TEXT [value=str]    → a text frame
    CLOSE [value=code]  → Close
    DIE                 the process ends at once

The events that drive (all but ECHO, which counts as one of the application's) and INIT are not in
a report's `events` and are not acknowledged. Reports go out with 64-bit floats, all else as the
server packs it: 32-bit.
"""

import argparse
import asyncio
import os
import sys
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from msgpack import packb
from vuer import Vuer, VuerSession
from vuer.events import NOOP, ClientEvent, ServerEvent
from vuer.schemas import Box, DefaultScene, Sphere

HOST = "127.0.0.1"
COMMANDS = {"INIT", "TAG", "REPORT", "REPORT_ALL", "SCENE", "ECHO_MODE", "GRAB", "BURST"}
COMMANDS |= {"SESSIONS", "MALFORMED", "TEXT", "CLOSE", "DIE"}
TRUNCATED_MAP = b"\x82\xa5etype\xa3SET"  # two entries announced, one there
UPLINK_HIGH = 50  # messages; the uplink queue drops its oldest beyond 100


class Reply(ServerEvent):
    """A server event of any etype; the base class takes it from the class only."""

    def __init__(self, etype: str, data: Any) -> None:
        self.etype = etype
        super().__init__(data)


@dataclass
class Log:
    """What one session received."""

    socket: Any  # aiohttp's WebSocketResponse; the server forgets it when the session ends
    first: str | None = None
    init: Any = None
    events: list[ClientEvent] = field(default_factory=list)
    acknowledge: bool = False


logs: dict[VuerSession, Log] = {}
logs_by_tag: dict[str, list[Log]] = defaultdict(list)


def report(logs: list[Log], tail: int | None = None) -> dict[str, Any]:
    events = [event for log in logs for event in log.events]
    shown = events if tail is None else events[len(events) - tail :]
    return {
        "events": [[event.etype, event.value] for event in shown],
        "ts": [event.ts for event in shown],
        "count": len(events),
        "init": logs[-1].init if logs else None,
        "first": logs[-1].first if logs else None,
        "sessions": len(logs),
        "ended": all(log.socket.closed for log in logs),
    }


def send_exact(session: VuerSession, event: ServerEvent) -> None:
    # `session @ event` packs 32-bit floats, in which a timestamp is off by a minute.
    session.uplink_queue.append(packb({**event._serialize(), "ts": int(event.ts * 1000)}))


async def drain(session: VuerSession, high: int = 0) -> None:
    """Wait until the uplink task has taken all but `high` messages from the queue."""
    await asyncio.sleep(0)
    while len(session.uplink_queue) > high:
        await asyncio.sleep(0.001)  # the client reads slowly; `sleep(0)` would burn a core


def add_handlers(app: Vuer) -> None:
    # Handlers are tasks, one per event, started in the order of the events. Those without an
    # await before their effect therefore take effect in that order.

    @app.add_handler("TAG")
    async def tag(event: ClientEvent, session: VuerSession) -> None:
        logs_by_tag[event.value].append(logs[session])

    @app.add_handler("REPORT")
    async def report_session(event: ClientEvent, session: VuerSession) -> None:
        tail = (event.value or {}).get("tail")
        send_exact(session, Reply("REPORT", report([logs[session]], tail)))

    @app.add_handler("REPORT_ALL")
    async def report_tag(event: ClientEvent, session: VuerSession) -> None:
        tagged = logs_by_tag[event.value["client"]]
        deadline = asyncio.get_running_loop().time() + event.value.get("wait", 0)
        while asyncio.get_running_loop().time() < deadline:
            if tagged and all(log.socket.closed for log in tagged):
                break
            await asyncio.sleep(0.005)
        send_exact(session, Reply("REPORT_ALL", report(tagged, event.value.get("tail"))))

    @app.add_handler("SESSIONS")
    async def sessions(event: ClientEvent, session: VuerSession) -> None:
        send_exact(session, Reply("SESSIONS", [log.first for log in logs.values()]))

    @app.add_handler("SCENE")
    async def scene(event: ClientEvent, session: VuerSession) -> None:
        session.set @ DefaultScene(Box(key="box", args=[1, 1, 1]))
        await drain(session)
        session.upsert @ Box(key="box", args=[2, 2, 2], position=[0, 0.5, 0])
        await drain(session)
        session.add(Sphere(key="ball", args=[0.25]), to="box")
        await drain(session)
        session.update @ Sphere(key="ball", position=[1, 2, 3])
        await drain(session)
        session.remove @ "ball"

    @app.add_handler("ECHO")
    async def echo(event: ClientEvent, session: VuerSession) -> None:
        session @ Reply("ECHO", event.value)

    @app.add_handler("GRAB")
    async def grab(event: ClientEvent, session: VuerSession) -> None:
        ttl = (event.value or {}).get("ttl", 5.0)
        try:
            render = await session.grab_render(ttl=ttl, quality=0.5)
        except TimeoutError as exc:
            session @ Reply("GRABBED", {"error": type(exc).__name__})
        else:
            session @ Reply("GRABBED", {"value": render.value, "etype": render.etype})

    @app.add_handler("BURST")
    async def burst(event: ClientEvent, session: VuerSession) -> None:
        for number in range(event.value):
            session @ Reply("TICK", number)
            if len(session.uplink_queue) >= UPLINK_HIGH:
                await drain(session)

    @app.add_handler("MALFORMED")
    async def malformed(event: ClientEvent, session: VuerSession) -> None:
        await drain(session)
        for payload in event.value or [b"\xc1", TRUNCATED_MAP]:
            await session.socket.send_bytes(payload)
        session @ Reply("AFTER", None)

    @app.add_handler("TEXT")
    async def text(event: ClientEvent, session: VuerSession) -> None:
        await drain(session)
        await session.socket.send_str(event.value or "text")

    @app.add_handler("CLOSE")
    async def close(event: ClientEvent, session: VuerSession) -> None:
        await drain(session)
        # Not awaited here: the end of the session cancels its handlers, and a cancelled close
        # drops TCP without waiting for the client's Close.
        closing = asyncio.create_task(session.socket.close(code=event.value or 1000))
        closings.add(closing)
        closing.add_done_callback(closings.discard)

    closings: set[asyncio.Task[bool]] = set()

    @app.add_handler("DIE")
    async def die(event: ClientEvent, session: VuerSession) -> None:
        os._exit(1)

    @app.spawn
    async def main(session: VuerSession) -> None:
        await session.forever()


def keep_logs(app: Vuer) -> None:
    """Record every event, handled or not: wrap the generator through which the server feeds them.

    `app.bind` replaces the same attribute, but then no handler would run.
    """
    dispatch = app.bound_fn

    async def record_and_dispatch(
        session: VuerSession,
    ) -> AsyncGenerator[ServerEvent, ClientEvent]:
        log = logs[session] = Log(session.socket)
        dispatcher = dispatch(session)
        reply = await anext(dispatcher)
        assert reply == NOOP
        while True:
            event = yield reply
            log.first = log.first or event.etype
            if event.etype == "INIT":
                log.init = event.value
            elif event.etype == "ECHO_MODE":
                log.acknowledge = bool(event.value)
            elif event.etype not in COMMANDS:
                log.events.append(event)
                if log.acknowledge:
                    session @ Reply("ACK", event.value)
                    if len(session.uplink_queue) >= UPLINK_HIGH:
                        # Lets the uplink task run, but never waits for it: a client that only
                        # sends would then stop this reader, which the real server never does.
                        await asyncio.sleep(0)
            reply = await dispatcher.asend(event)

    app.bound_fn = record_and_dispatch


async def announce(app: Vuer) -> None:
    # The runner is asked, not the port: that might be somebody else's.
    while not (app._runner and app._runner.addresses):
        await asyncio.sleep(0.01)
    print(f"READY {app.port}", flush=True)


def exit_with_stdin() -> None:
    """End when the parent ends, however it ends: a leaked session keeps a core busy for ever."""
    os.read(sys.stdin.fileno(), 1)  # unbuffered: a lock held at exit would abort the interpreter
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--exit-with-stdin", action="store_true")
    arguments = parser.parse_args()
    if arguments.exit_with_stdin:
        threading.Thread(target=exit_with_stdin, daemon=True).start()
    app = Vuer(host=HOST, port=arguments.port)
    add_handlers(app)
    keep_logs(app)
    # `start` runs this thread's current event loop for ever and offers no hook after the bind
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    announcing = loop.create_task(announce(app))
    app.start()
    assert announcing.done()


if __name__ == "__main__":
    main()
