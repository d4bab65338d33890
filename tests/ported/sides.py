"""A program as it runs under one of the two libraries, and what is seen of it."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgpack
import psutil
import trustme
import websockets

from tests.ported.frames import UUID, steady
from tests.ported.scripted_browser import Wire, answer, init
from vuer_trio.port.imports import OURS, THEIRS, changed

HERE = Path(__file__).parent
DEFAULT_PORT = 8012
#: seconds for a program to listen, and to leave when it is told to
STARTING, LEAVING = 60.0, 40.0
#: below those that systems give to who asks for none
PORTS = (10_000, 32_000)
#: bytes: a folder beyond this is not copied along with its program
LARGE = 64 << 20
SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__"}


@cache
def certificate() -> tuple[bytes, bytes]:
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
    return issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()


@cache
def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def free_port() -> int:
    """Not one that a connection of anybody's may get before the program has it."""
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("", port))
            return port


def ports_in(source: str) -> list[int]:
    """The ports that a program has written down, and not left to ``VUER_PORT``."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.keyword(arg=str(name), value=ast.Constant(value=int(port))):
                named = [(name, port)]
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int(port))):
                named = [(name, port)]
            case ast.Call(args=[ast.Constant(value=str(name)), *_], keywords=keywords):
                values = [k.value for k in keywords if k.arg == "default"]
                named = [(name, v.value) for v in values if isinstance(v, ast.Constant)]
            case _:
                continue
        found |= {p for name, p in named if "port" in name.lower() and isinstance(p, int)}
    return sorted(port for port in found if port > 1023)


@dataclass
class Side:
    """One of the two: start, connect, emit, stop."""

    library: str
    folder: Path
    program: Path
    source: str
    variables: Mapping[str, str] = field(default_factory=dict)
    with_folder: bool = False
    #: what was seen, each thing once, in order: frames by the session that got them
    seen: dict[str, dict[str, None]] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    survivors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        written = ports_in(self.source)
        self.ports = {port: free_port() for port in {*written, DEFAULT_PORT}}
        self.listening = [self.ports[p] for p in written] or [self.ports[DEFAULT_PORT]]
        self.mirror = free_port()
        self._tasks: list[asyncio.Task[None]] = []
        self._sockets: list[Any] = []
        self._mirroring: Any = None
        self._printed: tuple[int, list[str]] = (0, [])  # up to which byte, and what

    # ---- the program

    async def start(self) -> None:
        work = self.folder / self.library
        if self.with_folder:
            shutil.copytree(self.program.parent, work, ignore=_too_much)
            for path in work.rglob("*.py"):
                path.write_text(self._ours(path.read_text("utf-8")), "utf-8")
        else:
            work.mkdir()
            (work / self.program.name).write_text(self._ours(self.source), "utf-8")
        cert, key = certificate()
        for name, pem in (("cert.pem", cert), ("key.pem", key)):
            if not (work / name).exists():
                (work / name).write_bytes(pem)
        if "VuerClient" in self.source:
            self._mirroring = await websockets.serve(self._mirror, "127.0.0.1", self.mirror)
        foreign = ("VUER_", "COVERAGE_") if self.library == THEIRS else "VUER_"
        plain = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        out, err = ((self.folder / f"{self.library}.{end}").open("wb") for end in ("out", "err"))
        with out, err:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, self.program.name),
                cwd=work,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                env={
                    **plain,
                    **self.variables,
                    "VUER_PORT": str(self.ports[DEFAULT_PORT]),
                    "VUER_CLIENT_URI": f"ws://127.0.0.1:{self.mirror}",
                    "PYTHONPATH": os.pathsep.join([str(HERE / "site"), *_python_path()]),
                    "PYTHONUNBUFFERED": "1",
                },
            )

    def _ours(self, source: str) -> str:
        if self.library == OURS:
            source = changed(source)
        for written, port in self.ports.items():
            source = re.sub(rf"\b{written}\b", str(port), source)
        return source

    def ended(self) -> bool:
        return self.process is None or self.process.returncode is not None

    async def listens(self) -> bool:
        """Wait until it listens at all its ports, or has ended without."""
        waiting, end = set(self.listening), time.monotonic() + STARTING
        while waiting and time.monotonic() < end and not self.ended():
            for port in list(waiting):
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    waiting.discard(port)
            await asyncio.sleep(0.02)
        self.listening = [port for port in self.listening if port not in waiting]
        return bool(self.listening)

    # ---- its clients

    async def connect(self, port: int, label: str, client: str) -> None:
        """One more browser, which says what it is and answers what it is asked."""
        ws = await self._dial(port)
        self._sockets.append(ws)
        self._tasks.append(asyncio.create_task(self._listen(ws, label)))
        await ws.send(msgpack.packb(init(client)))

    async def _dial(self, port: int) -> Any:
        options: dict[str, Any] = {"max_size": None, "ping_interval": None, "proxy": None}
        options["open_timeout"] = 60
        try:
            return await websockets.connect(f"ws://127.0.0.1:{port}", **options)
        except (OSError, EOFError, websockets.InvalidMessage):
            options["ssl"] = trusting()
            return await websockets.connect(f"wss://127.0.0.1:{port}", **options)

    async def _listen(self, ws: Any, label: str) -> None:
        with suppress(websockets.ConnectionClosed):
            async for message in ws:
                wire = msgpack.unpackb(message, strict_map_key=False)
                self._note(f"{label} requests" if "rtype" in wire else label, wire)
                if "rtype" in wire and (reply := answer(wire)) is not None:
                    await ws.send(msgpack.packb(reply))

    async def emit(self, wires: Iterable[Wire]) -> None:
        """Have the first browser of each port say something."""
        for ws in self._sockets:
            with suppress(websockets.ConnectionClosed):
                for wire in wires:
                    await ws.send(msgpack.packb(wire))

    async def _mirror(self, ws: Any) -> None:
        """The server of a program that is a client: shows what it gets, and says a few things."""

        async def tell(etype: str, data: Any, **more: Any) -> None:
            wire = {"ts": int(time.time() * 1000), "etype": etype, "data": data, **more}
            await ws.send(msgpack.packb(wire))

        with suppress(websockets.ConnectionClosed):
            async for message in ws:
                wire = msgpack.unpackb(message, strict_map_key=False)
                self._note("as a client", wire)
                if wire["etype"] == "INIT":
                    await tell("SET", {"tag": "Scene", "children": []})
                    await tell("UPSERT", {"nodes": [{"tag": "Box", "key": "b"}], "to": None})
                elif wire["etype"] == "ECHO":
                    await tell("ECHO", wire["value"])
                elif wire["etype"] == "BYE":
                    await ws.close()

    def _note(self, label: str, wire: Wire) -> None:
        frames = self.seen.setdefault(label, {})
        frames.setdefault(self._unnumbered(steady(wire)))

    def _unnumbered(self, text: str) -> str:
        """With the ports that the program knows of."""
        for written, port in {**self.ports, 0: self.mirror}.items():
            text = re.sub(rf"\b{port}\b", f"<{written}>", text)
        return text

    # ---- what else is seen

    def amount(self) -> tuple[int, int]:
        """It changes with whatever new is seen."""
        return sum(map(len, self.seen.values())), len(self.prints())

    def prints(self) -> list[str]:
        """The distinct lines that the program itself has printed."""
        path = self.folder / f"{self.library}.out"
        if (size := path.stat().st_size) == self._printed[0]:
            return self._printed[1]
        text = path.read_text("utf-8", "replace")
        text = UUID.sub("<uuid>", text).replace(str(self.folder / self.library), "<folder>")
        text = re.sub(r"0x[0-9a-f]{6,}", "<address>", text).replace(OURS, THEIRS)
        text = self._unnumbered(text)
        lines = sorted({line.strip() for line in text.splitlines() if line.strip()})
        self._printed = (size, lines)
        return lines

    def complaints(self) -> str:
        return (self.folder / f"{self.library}.err").read_text("utf-8", "replace")

    async def fetch(self, path: str) -> None:
        """What ``GET path`` gets: status, type, content."""
        self.seen.setdefault("files", {})[await asyncio.to_thread(self._fetch, path)] = None

    def _fetch(self, path: str) -> str:
        for scheme in ("http", "https"):
            url = f"{scheme}://127.0.0.1:{self.listening[0]}{path}"
            try:
                with urllib.request.urlopen(url, timeout=60, context=trusting()) as got:
                    digest = hashlib.sha1(got.read()).hexdigest()[:8]
                    return f"{path} {got.status} {got.headers.get_content_type()} {digest}"
            except urllib.error.HTTPError as error:
                return f"{path} {error.code}"
            except OSError:
                continue
        return f"{path} cannot be fetched"

    # ---- its end

    async def stop(self, how: signal.Signals, *, all_of_them: bool = True) -> None:
        """End it as a terminal or a service manager does: the signal goes to all its processes."""
        process = self.process
        if process is None:
            return
        members = self.members()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how) if all_of_them else process.send_signal(how)
        # The reference waits for its sessions for a minute, and nobody waits for it.
        patience = LEAVING if self.library == OURS else 1.0
        end = time.monotonic() + patience
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)
        while (members := [m for m in members if _lives(m)]) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        self.survivors = [f"{m.pid} {' '.join(_command(m))}" for m in members]
        for member in members:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        await process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for ws in self._sockets:
            ws.transport.abort()
            await ws.wait_closed()
        if self._mirroring is not None:
            self._mirroring.close()

    def members(self) -> list[psutil.Process]:
        """The program, and all that it has started."""
        if self.process is None:
            return []
        found = []
        for process in psutil.process_iter():
            with suppress(OSError, psutil.NoSuchProcess):
                if os.getsid(process.pid) == self.process.pid:
                    found.append(process)
        return found


def _python_path() -> list[str]:
    """Of this process: perhaps it is that of another checkout than the one installed."""
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _too_much(folder: str, names: list[str]) -> set[str]:
    return {
        name
        for name in names
        if name in SKIPPED
        or (Path(folder, name).is_file() and Path(folder, name).stat().st_size > LARGE)
    }
