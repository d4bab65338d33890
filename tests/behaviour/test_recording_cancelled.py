"""Cancels a recording once at each place; whatever is left can be read."""

from __future__ import annotations

import warnings

import pytest
import trio

from tests.behaviour.numbered_events import Number
from tests.foxglove_reader import derived_in
from tests.recording_files import need_mcap
from tests.repetitions import cancel_everywhere, times
from tests.scripted_server import memory_peer
from vuer_trio import open_vuer_client
from vuer_trio.record import Recorder, open_recording

need_mcap()
pytestmark = [pytest.mark.trio, pytest.mark.no_cover]


async def answers(conn):
    await conn.accept()
    while (event := await conn.recv_event()) is not None:
        if event["etype"] == "NUMBER":
            await conn.send_event({"etype": "SET", "data": event["value"]})


@pytest.mark.parametrize("foxglove", [False, True])
@pytest.mark.parametrize("transport", ["trio-websocket", "websockets"])
async def test_a_cancellation_anywhere_leaves_a_whole_file(transport, foxglove, tmp_path):
    """In real time: a virtual clock would jump while a thread writes."""
    files = []

    async def scenario(here):
        path, received = tmp_path / f"{here.place}.mcap", []
        async with memory_peer(answers) as peer, here:
            client = open_vuer_client(stream=peer.stream, transport=transport)
            recorder = Recorder(path, client, interval=0.0001, foxglove=foxglove)
            async with recorder, client:
                for n in range(3):
                    await client.send(Number(value=n))
                    received.append((await client.recv()).data)
        assert here.fired or received == [0, 1, 2]
        if not path.exists():
            return
        files.append(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a DamagedRecording
            recording = open_recording(path)
            entries = list(recording)
        assert recording.complete
        assert recording.dropped == 0
        etypes = [e.etype for e in entries]
        assert etypes == ["INIT", *["NUMBER", "SET"] * 3][: len(etypes)]
        assert etypes.count("SET") in (len(received), len(received) + 1)
        if foxglove:  # each message has its JSON, in the same chunk
            told = derived_in(path)
            assert sum(map(len, told.values())) == len(entries)

    await cancel_everywhere(scenario)
    assert len(files) > times(2, 20)


@pytest.mark.on_time
@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_virtual_clock_is_no_slow_disk(cancelled, tmp_path, autojump_clock):
    """It jumps to the next deadline while a thread works."""
    path = tmp_path / "run.mcap"
    async with memory_peer(answers) as peer:
        client = open_vuer_client(stream=peer.stream, transport="websockets")
        with trio.CancelScope() as scope:
            async with Recorder(path, client), client:
                for n in range(3):
                    await client.send(Number(value=n))
                    await client.recv()
                    await trio.sleep(100)
                if cancelled:
                    scope.cancel()
                    await trio.sleep_forever()
    recording = open_recording(path)
    assert recording.complete
    assert [e.etype for e in recording] == ["INIT", *["NUMBER", "SET"] * 3]
    assert recording.duration == pytest.approx(200)  # the times are those of the clock
