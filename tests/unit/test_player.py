"""Replaying under control: paused, faster, from elsewhere. In virtual time."""

from __future__ import annotations

import math
import threading

import pytest
import trio
import trio.testing

from tests.recording_files import new_file, packed, put_all
from tests.repetitions import cancel_everywhere
from vuer_trio.record import open_recording, replay
from vuer_trio.record.player import Player

pytestmark = pytest.mark.trio


def box(x):
    return {"tag": "Box", "key": "box", "position": [x, 0, 0]}


@pytest.fixture
def recording(tmp_path):
    """A pose a second from 1 to 9, and a scene that moves a second later each."""
    file = new_file(tmp_path / "run.mcap")
    put_all(file, [(0.0, "sent", packed("INIT", {}))])
    scene = packed("SET", data={"tag": "Scene", "children": [box(0)]})
    put_all(file, [(0.5, "received", scene)])
    for n in range(1, 10):
        put_all(file, [(float(n), "sent", packed("POSE", n))])
        update = packed("UPDATE", data={"nodes": [box(n)]})
        put_all(file, [(n + 0.5, "received", update)])
        file.write()
    file.finish()
    return open_recording(file.path)


class Sent:
    """What was sent and when, in seconds since the beginning."""

    def __init__(self):
        self.began = trio.current_time()
        self.events = []

    async def __call__(self, event):
        value = event.value if event.etype == "POSE" else position_in(event.data)
        self.events.append((round(trio.current_time() - self.began, 6), value))

    @property
    def values(self):
        return [value for _, value in self.events]


def position_in(data):
    nodes = data["nodes"] if "nodes" in data else data["children"]
    return [node["position"][0] for node in nodes]


@pytest.fixture
async def sent():
    return Sent()


async def test_it_plays_as_replay_does(recording, sent, autojump_clock):
    player = Player(recording, "client", sent)
    assert await player.run() == 9
    assert sent.events == [(n - 1.0, n) for n in range(1, 10)]  # the first one at once
    assert player.position == pytest.approx(9)


async def test_a_range_a_speed_and_a_loop(recording, sent, autojump_clock):
    player = Player(recording, "client", sent, start=2.5, end=5, speed=2, loop=True)
    with trio.move_on_after(2.25):
        await player.run()
    assert sent.events == [(0, 3), (0.5, 4), (1, 5), (1, 3), (1.5, 4), (2, 5), (2, 3)]
    assert Player(recording, "client", sent, start=3.1, end=3.9)
    assert await Player(recording, "client", sent, start=3.1, end=3.9, loop=True).run() == 0


async def test_without_waiting(recording, sent, autojump_clock):
    assert await Player(recording, "client", sent, speed=math.inf).run() == 9
    assert {time for time, _ in sent.events} == {0}


async def test_a_pause_stops_the_clock(recording, sent, autojump_clock):
    player = Player(recording, "client", sent, paused=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(player.run)
        await trio.sleep(100)
        assert sent.events == []
        player.paused = False
        await trio.sleep(2.25)
        player.paused = True
        at = player.position
        await trio.sleep(50)
        assert player.position == at == pytest.approx(3.25)
        player.paused = False
    times = [time for time, _ in sent.events]
    assert times[:4] == pytest.approx([100, 101, 102, 153])
    assert sent.values == [*range(1, 10)]


async def test_the_speed_changes_at_once(recording, sent, autojump_clock):
    player = Player(recording, "client", sent)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(player.run)
        await trio.sleep(0.5)
        player.speed = 10
        await trio.sleep(0.1)
        player.speed = 0.5
    assert [time for time, _ in sent.events] == pytest.approx(
        [0, 0.55, 1.6, 3.6, 5.6, 7.6, 9.6, 11.6, 13.6]
    )
    for wrong, error in ((0, ValueError), ("2", TypeError)):
        with pytest.raises(error, match="speed"):
            player.speed = wrong


async def test_seeking_ahead_and_back(recording, sent, autojump_clock):
    player = Player(recording, "client", sent)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(player.run)
        await trio.sleep(1.25)
        player.seek(player.position + 5)
        assert player.position == pytest.approx(7.25)
        await trio.sleep(1)
        player.seek(2.5)
        await trio.sleep(1)
        assert player.position == pytest.approx(3.5)
        player.seek(1e9)
    assert sent.events[:4] == [
        (0, 1),
        (1, 2),
        (pytest.approx(2), 8),
        (pytest.approx(2.75), 3),
    ]
    assert sent.values == [1, 2, 8, 3, 9][: len(sent.values)]


async def test_seeking_stays_within_the_range(recording, sent, autojump_clock):
    player = Player(recording, "client", sent, start=3, end=5, paused=True)
    player.seek(-math.inf)
    assert player.position == 3
    player.seek(100)
    assert player.position == 5
    player.seek(0)
    player.paused = False
    assert await player.run() == 3
    assert sent.values == [3, 4, 5]


async def test_steps(recording, sent, autojump_clock):
    player = Player(recording, "client", sent)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(player.run)

        async def until(values):
            while sent.values != values:
                await trio.testing.wait_all_tasks_blocked()
                await trio.sleep(0.001)

        await until([1])
        player.step()
        assert player.paused
        await until([1, 2])
        player.step()
        player.step()
        await until([1, 2, 3, 4])
        player.step_back()
        await until([1, 2, 3, 4, 3])
        assert player.position == pytest.approx(3)
        player.step_back()
        player.step_back()
        await until([1, 2, 3, 4, 3, 1])
        player.step_back()  # there is nothing before it
        await until([1, 2, 3, 4, 3, 1, 1])
        player.step()
        await until([1, 2, 3, 4, 3, 1, 1, 2])
        player.paused = False
    assert sent.values == [1, 2, 3, 4, 3, 1, 1, 2, *range(3, 10)]


async def test_a_page_gets_the_scene_of_where_it_begins(recording, sent, autojump_clock):
    player = Player(recording, "server", sent, start=4, end=6, scene=True)
    assert await player.run() == 2
    assert sent.values == [[3], [4], [5]]
    sent.events.clear()
    player = Player(recording, "server", sent, scene=True, speed=math.inf)
    assert await player.run() == 10  # from the start there is none to be made
    assert sent.values == [[0], *([n] for n in range(1, 10))]
    sent.events.clear()
    player = Player(recording, "server", sent, scene=True, speed=math.inf)
    player.seek(0)
    await player.run()
    assert sent.values == [[], [0], *([n] for n in range(1, 10))]


async def test_what_sending_raises_comes_out(recording, autojump_clock):
    def send(event):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await Player(recording, "client", send).run()


@pytest.mark.no_cover
async def test_a_cancellation_anywhere_truncates_nothing(recording):
    async def scenario(here):
        sent = []

        async def send(event):
            await trio.lowlevel.checkpoint()
            sent.append(event.value)

        player = Player(recording, "client", send, speed=1e6)
        async with here:
            player.seek(3)
            await player.run()
        assert sent == [*range(3, 10)][: len(sent)]
        assert here.fired or len(sent) == 7

    await cancel_everywhere(scenario)


async def most_between_turns(recording, monkeypatch, run):
    """The most entries that are read between two turns of another task."""
    read = seen = most = 0
    entries = type(recording)._entries

    def counted(self, *times):
        nonlocal read
        for entry in entries(self, *times):
            read += 1
            yield entry

    monkeypatch.setattr(type(recording), "_entries", counted)

    async def neighbour():
        nonlocal seen, most
        while True:
            most, seen = max(most, read - seen), read
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(neighbour)
        await run()
        nursery.cancel_scope.cancel()
    assert read >= 20_000
    return max(most, read - seen)


@pytest.mark.parametrize("way", ["Player", "replay", "replay a script"])
@pytest.mark.parametrize("what", ["of the other side", "not asked for", "malformed"])
async def test_what_is_left_out_leaves_others_their_turns(tmp_path, monkeypatch, way, what):
    file = new_file(tmp_path / "run.mcap")
    message = packed("POSE", 1)
    if what == "malformed":
        monkeypatch.setattr("vuer_trio.record.script.log.disabled", True)
        message = message[:-1]
    file.put(1.0, "received" if what == "of the other side" else "sent", (message,) * 20_000)
    file.put(2.0, "sent", (packed("A", 1),))
    file.finish()
    recording, etypes = open_recording(file.path), ["A"] if what == "not asked for" else None
    sent = []

    async def send(event):
        sent.append(event.etype)

    async def run():
        if way == "Player":
            await Player(recording, "client", send, etypes=etypes, speed=math.inf).run()
        elif way == "replay" and etypes is None:
            await replay(recording, send, speed=math.inf)
        else:
            await replay(recording.script(etypes=etypes), send, speed=math.inf)

    assert await most_between_turns(recording, monkeypatch, run) < 5000
    assert sent == ["A"]


@pytest.mark.parametrize("doing", ["the scene of the start", "a step back"])
async def test_who_leaves_while_a_thread_reads_leaves_no_thread(recording, monkeypatch, doing):
    reading, over, ended = (threading.Event() for _ in range(3))
    [*entries] = recording

    def endless(first, last):
        try:
            while not over.is_set():
                reading.set()
                yield entries[1]
        finally:
            ended.set()

    monkeypatch.setattr(recording, "_entries", endless)
    if doing == "a step back":
        player = Player(recording, "server", print, paused=True)
        player._at = entries[-1].log_time
        player.step_back()
    else:
        player = Player(recording, "server", print, start=5, scene=True)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(player.run)
            assert await trio.to_thread.run_sync(reading.wait, 30)
            nursery.cancel_scope.cancel()
        assert await trio.to_thread.run_sync(ended.wait, 30)
    finally:
        over.set()
