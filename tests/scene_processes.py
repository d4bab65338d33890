"""Several server processes that share a scene, and viewers of them that check the order."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import msgpack

from vuer_trio.scene import Scene

__all__ = ["Audience", "SceneProcess", "Viewer"]

PROGRAM = Path(__file__).parent / "programs" / "scene_process.py"
#: seconds for what comes, however busy the machine is
PATIENCE = 120.0

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def masked(payload: bytes) -> bytes:
    """A client's frame, of less than 126 bytes, with a mask of zeros."""
    return bytes((0x82, 0x80 | len(payload))) + bytes(4) + payload


INIT = masked(msgpack.packb({"etype": "INIT", "ts": 0, "value": {"client": "viewer"}}))


class SceneProcess:
    """``tests/programs/scene_process.py``."""

    def __init__(self, name: str, redis: str | None, backend: str = "trio") -> None:
        self.name = name
        self._redis, self._backend = redis, backend
        self._process: subprocess.Popen[str] | None = None
        self._reading = anyio.Lock()
        self.port = 0
        self.changed: dict[str, dict[str, Any]] = {}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        given = {
            "redis": self._redis,
            "port": self.port,
            "backend": self._backend,
            "name": self.name,
        }
        self._process = subprocess.Popen(  # noqa: ASYNC220  # started in no time
            [sys.executable, str(PROGRAM), json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = (await self._hear("port"))["port"]

    async def _hear(self, wanted: str) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        while True:
            with anyio.fail_after(PATIENCE):
                line = await anyio.to_thread.run_sync(
                    self._process.stdout.readline, abandon_on_cancel=True
                )
            if not line:
                raise AssertionError(f"{self.name} has ended")
            said: dict[str, Any] = json.loads(line)
            if "changed" in said:
                self.changed[said["changed"]] = said
            if wanted in said:
                return said

    def _tell(self, **what: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def change(self, name: str, count: int, rate: float) -> None:
        """Have it make changes; `wait_changed` waits until they have come back to it."""
        self._tell(change=name, count=count, rate=rate)

    async def wait_changed(self, name: str) -> dict[str, Any]:
        async with self._reading:
            while name not in self.changed:
                await self._hear("changed")
        return self.changed[name]

    async def state(self) -> dict[str, Any]:
        async with self._reading:
            self._tell(state=1)
            return await self._hear("digest")

    def kill(self) -> None:
        """With -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]  # both are pipes
            self._process = None


class Run:
    """What one connection of a viewer has got: the scene, and changes from ``first`` on."""

    def __init__(self) -> None:
        self.scene: bytes | None = None
        self.first: int | None = None
        self.last: int | None = None


class Viewer:
    """Reads what its server sends, and connects again."""

    def __init__(self, audience: Audience, process: SceneProcess) -> None:
        self.process = process
        self.runs: list[Run] = []
        self._audience = audience
        self._buffer = bytearray()

    @property
    def last(self) -> int | None:
        """The newest change, by its number among all of the audience's."""
        return self.runs[-1].last if self.runs else None

    @property
    def shows(self) -> bool:
        """Whether it has a scene."""
        return bool(self.runs) and self.runs[-1].scene is not None

    async def watch(self) -> None:
        while True:
            try:
                async with await anyio.connect_tcp("127.0.0.1", self.process.port) as stream:
                    await self._view(stream)
            except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                await anyio.sleep(0.1)

    async def _view(self, stream: anyio.abc.ByteStream) -> None:
        await stream.send(REQUEST + INIT)
        received = b""
        while b"\r\n\r\n" not in received:
            received += await stream.receive()
        head, _, rest = received.partition(b"\r\n\r\n")
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise anyio.EndOfStream
        self.runs.append(Run())
        self._buffer = bytearray(rest)
        while True:
            self._take_frames()
            self._buffer += await stream.receive(1 << 18)

    def _take_frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            size, head = buffer[at + 1], 2
            if size == 126:
                size, head = int.from_bytes(buffer[at + 2 : at + 4]), 4
            elif size == 127:
                size, head = int.from_bytes(buffer[at + 2 : at + 10]), 10
            if len(buffer) - at < head + size:
                break
            if buffer[at] == 0x82:
                self._take(bytes(buffer[at + head : at + head + size]))
            at += head + size
        del buffer[:at]

    def _take(self, payload: bytes) -> None:
        run = self.runs[-1]
        if run.scene is None:
            run.scene = payload
            return
        number = self._audience.number(payload)
        if run.last is None:
            run.first = number
        elif number != run.last + 1:
            self._audience.faults.append(f"after {run.last} came {number}")
        run.last = number


class Audience:
    """Viewers. Each change gets a number when the first of them sees it; all must see them in
    this order, without a gap."""

    def __init__(self) -> None:
        self.viewers: list[Viewer] = []
        self.faults: list[str] = []
        self._numbers: dict[bytes, int] = {}

    def number(self, payload: bytes) -> int:
        return self._numbers.setdefault(payload, len(self._numbers))

    @property
    def count(self) -> int:
        """How many changes have been seen."""
        return len(self._numbers)

    def changes(self) -> list[dict[str, Any]]:
        """All of them, in order."""
        return [msgpack.unpackb(payload) for payload in self._numbers]

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[anyio.abc.TaskGroup]:
        async with anyio.create_task_group() as tasks:
            yield tasks
            tasks.cancel_scope.cancel()

    def add(self, tasks: anyio.abc.TaskGroup, process: SceneProcess, count: int) -> None:
        for _ in range(count):
            viewer = Viewer(self, process)
            self.viewers.append(viewer)
            tasks.start_soon(viewer.watch)

    async def all_show(self) -> None:
        with anyio.fail_after(PATIENCE):
            while not all(viewer.shows for viewer in self.viewers):
                await anyio.sleep(0.02)

    async def pause(self, processes: list[SceneProcess]) -> str:
        """Once nobody makes changes: wait until all have everything, and compare all scenes.

        Returns the digest of the scene.
        """
        with anyio.fail_after(PATIENCE):
            while True:
                states = [await process.state() for process in processes]
                digests = {state["digest"] for state in states}
                if len(digests) == 1 and not any(state["waiting"] for state in states):
                    break
                await anyio.sleep(0.1)
        (digest,) = digests
        with anyio.fail_after(PATIENCE):
            while self.shown() != {digest} and not self.faults:
                await anyio.sleep(0.1)
        assert self.faults == []
        return digest

    def shown(self) -> set[str]:
        """The digests of what all viewers show; none while one of them has got less."""
        if not all(viewer.shows for viewer in self.viewers):
            return set()
        if len({viewer.last for viewer in self.viewers} - {None}) > 1:
            return set()
        changes = list(self._numbers)
        groups = {(v.runs[-1].scene, v.runs[-1].first, v.runs[-1].last) for v in self.viewers}
        found = set()
        for scene, first, last in groups:
            page = Scene()
            assert scene is not None
            page.apply(msgpack.unpackb(scene))
            if first is not None and last is not None:
                for payload in changes[first : last + 1]:
                    page.apply(msgpack.unpackb(payload))
            data = json.dumps(page.to_dict(), sort_keys=True).encode()
            found.add(hashlib.sha256(data).hexdigest())
        return found

    def numbers_of(self, writer: str) -> list[int]:
        """Which of a writer's changes, those that are numbered, have been seen, in order."""
        return [
            node["n"]
            for change in self.changes()
            for node in change["data"].get("nodes", ())
            if node.get("writer") == writer
        ]
