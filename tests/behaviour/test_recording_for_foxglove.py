"""What a session of a headset leaves for other tools: read by mcap's own reader, with the schemas
of Foxglove that are in the file."""

from __future__ import annotations

import random
from collections import Counter

import jsonschema
import numpy as np
import pytest

from tests.foxglove_reader import World, derived_in, matrix_in, transforms_in
from vuer_trio.events import ClientEvent
from vuer_trio.frame import to_mat
from vuer_trio.record import Recorder, open_recording
from vuer_trio.record.foxglove import EVENT_SCHEMA
from vuer_trio.schemas import Box, DefaultScene, Group, ImageBackground
from vuer_trio.testing import FakeHeadset, small_jpeg
from vuer_trio.xr import HAND_JOINTS

pytestmark = pytest.mark.anyio

#: seconds
PATIENCE = 60


def random_pose(chance):
    return to_mat([chance.uniform(-2, 2) for _ in range(3)], [chance.gauss(0, 1) for _ in range(4)])


def flat(*matrices):
    """As on the wire: 16 numbers each, in column-major order."""
    return [float(x) for matrix in matrices for x in matrix.T.ravel()]


def move(etype, key, **value):
    return ClientEvent(etype=etype, key=key, value=value)


class Session:
    """What a headset sends, and where it says that everything is."""

    def __init__(self, seed):
        chance = random.Random(seed)
        self.poses = {}  # frame: matrices
        self.events = []
        for _ in range(20):
            head, camera, left, right = (random_pose(chance) for _ in range(4))
            joints = [random_pose(chance) for _ in HAND_JOINTS]
            single = [random_pose(chance).astype(np.float32) for _ in HAND_JOINTS]
            self._see(head, "head")
            self._see(camera, "camera/defaultCamera")
            self._see(left, "left-controller")
            self._see(right, "right-controller")
            for name, one, other in zip(HAND_JOINTS, joints, single, strict=True):
                self._see(one, f"left-hand/{name}")
                self._see(other, f"right-hand/{name}")
            self.events += [
                move("HEAD_MOVE", "head", matrix=flat(head)),
                move("CAMERA_MOVE", "defaultCamera", camera={"matrix": flat(camera), "fov": 50}),
                move("CONTROLLER_MOVE", "c", left=flat(left), right=flat(right), leftState={}),
                # as a Float32Array comes, and with a state
                move(
                    "HAND_MOVE",
                    "hands",
                    left=flat(*joints),
                    right=np.array(flat(*single), "<f4").tobytes(),
                    leftState={"pinch": True, "pinchValue": 0.01},
                ),
            ]

    def _see(self, matrix, frame):
        self.poses.setdefault(frame, []).append(matrix)


async def recorded_session(new_server, vuer_server, backend, path, session_of_headset, **options):
    """A recorded session: the scene and the pictures that were sent, and the pictures that came."""
    app = new_server()
    pictures = [small_jpeg(grey=grey) for grey in range(0, 200, 20)]
    came = []

    @app.spawn
    async def main(session):
        async with Recorder(path, session, foxglove=True, **options) as recorder:
            arm = Group(Box(key="tool", position=[0, 0.5, 0], rotation=[0.3, 0.2, 0.1]), key="arm")
            session.set @ DefaultScene(arm, Box(key="table", position=[0, 0.7, -1]))
            for n, picture in enumerate(pictures):
                session.upsert @ ImageBackground(src=picture, key="camera view")
                session.update @ Group(key="arm", position=[0, n / 10, 0])
            reply = await session.grab_render(key="DEFAULT", ttl=PATIENCE)
            came.append(reply.value["frame"])
            async for event in session:
                if event == "LAST":
                    break
        app.recorder = recorder

    async with vuer_server(app) as server:
        script = [(0, event) for event in session_of_headset.events]
        script.append((0, ClientEvent(etype="LAST")))
        async with FakeHeadset(server, script, transport=backend.transport) as headset:
            await headset.client.wait_closed()
    return pictures, came, app.recorder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "session.mcap"


@pytest.mark.slow
async def test_a_session_of_a_headset(new_server, vuer_server, backend, path):
    sent = Session(seed=backend.name)
    pictures, came, recorder = await recorded_session(new_server, vuer_server, backend, path, sent)

    # Transforms are what was sent, all of them and in order.
    found = transforms_in(path)
    for frame, matrices in sent.poses.items():
        assert len(found[frame]) == len(matrices) == 20
        for transform, matrix in zip(found[frame], matrices, strict=True):
            assert transform.parent_frame_id == "vuer"
            assert np.abs(matrix_in(transform) - matrix).max() < 1e-6
    world = World(path)
    # The frame of Foxglove: x ahead, y to the left, z up; WebXR: x right, y up, z backwards.
    axes = world.matrix("vuer", "world") @ np.array([[1, 0, 0], [0, 1, 0], [0, 0, -1], [0, 0, 0]])
    right, up, ahead = axes.T[:, :3]
    assert right == pytest.approx([0, -1, 0])
    assert up == pytest.approx([0, 0, 1])
    assert ahead == pytest.approx([1, 0, 0])
    # Nodes: each in its parent, and moved with it.
    assert world.last["scene/tool"].parent_frame_id == "scene/arm"
    assert world.matrix("scene/arm")[:3, 3] == pytest.approx([0, 0.9, 0])
    assert world.matrix("scene/tool")[:3, 3] == pytest.approx([0, 1.4, 0])
    assert len(found["scene/arm"]) == 10
    assert len(found["scene/tool"]) == 1
    assert len(found["scene/table"]) == 1

    # Pictures are those bytes.
    derived = derived_in(path)
    shown = [image for _, image in derived["/images/camera view/src"]]
    assert [image.data for image in shown] == pictures
    assert {image.format for image in shown} == {"jpeg"}
    (_, render), *none = derived["/images/GRAB_RENDER_RESPONSE/DEFAULT/frame"]
    assert not none
    assert [render.data] == came == [small_jpeg()]

    # Every event is there as JSON, which fits its schema, beside the message itself.
    recording = open_recording(path)
    entries = list(recording)
    told = [line for topic, lines in derived.items() if topic[:6] == "/json/" for line in lines]
    told.sort(key=lambda line: line[0])
    assert Counter(line["etype"] for _, line in told) == Counter(e.etype for e in entries)
    assert [log_time for log_time, _ in told] == [e.log_time for e in entries]
    jsonschema.Draft202012Validator.check_schema(EVENT_SCHEMA)
    for _, line in told:
        jsonschema.validate(line, EVENT_SCHEMA)
    (_, hand), *_ = derived["/json/received/HAND_MOVE"]
    assert hand["event"]["value"] == {
        "left": {"$transforms": 25},
        "right": {"$transforms": 25},
        "leftState": {"pinch": True, "pinchValue": 0.01},
    }
    (_, camera), *_ = derived["/json/received/CAMERA_MOVE"]
    assert camera["event"]["value"]["camera"] == {"matrix": {"$transforms": 1}, "fov": 50}
    (_, upsert), *_ = derived["/json/sent/UPSERT"]
    assert upsert["event"]["data"]["nodes"][0]["src"] == {"$image": "/images/camera view/src"}

    # The recording itself is what it would be without them.
    assert recording.complete
    assert recorder.written == len(entries)
    assert recorder.counts["/received/HAND_MOVE"] == 20
    moves = [e.event for e in entries if e.etype == "HAND_MOVE"]
    assert [event["value"]["left"] for event in moves] == [
        event.value["left"] for event in sent.events if event.etype == "HAND_MOVE"
    ]


async def test_what_transforms_do_not_say_is_logged(open_client, new_server, path, caplog):
    from vuer_trio import open_vuer_server

    app = new_server()
    mirrored, zeros = np.diag([1.0, 1, -1, 1]), np.zeros((4, 4))

    @app.spawn
    async def main(session):
        async with Recorder(path, session, foxglove=True):
            async for event in session:
                if event == "LAST":
                    break

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        joints = [np.eye(4)] * 24
        client.send @ move("HAND_MOVE", "hands", left=flat(mirrored, *joints), right=[])
        client.send @ move("HAND_MOVE", "hands", left=flat(zeros, *joints))
        client.send @ move("HAND_MOVE", "hands", left=[1, 2, 3])
        client.send @ ClientEvent(etype="LAST")
        await client.wait_closed()
    told = [record.getMessage() for record in caplog.records]
    assert f"{path}: 1 pose mirrored; their transforms have the x axis turned around" in told
    assert f"{path}: 1 pose not finite, or without an axis; they have no transforms" in told
    assert f"{path}: 1 malformed value could not be translated" in told
    found = transforms_in(path)
    (wrist,) = found["left-hand/wrist"]
    assert matrix_in(wrist) == pytest.approx(mirrored @ np.diag([-1, 1, 1, 1]))
    assert len(found["left-hand/index-finger-tip"]) == 2
    assert len([e for e in open_recording(path) if e.etype == "HAND_MOVE"]) == 3
