"""Scenes of the reference's server, and its own events and elements."""

from __future__ import annotations

import pytest

from tests.interop.reference_calls import event
from vuer_trio import SceneStore
from vuer_trio.scene import Scene

pytestmark = [pytest.mark.anyio, pytest.mark.interop]


async def test_the_mirror_of_a_real_servers_scene(open_client, reference_server):
    async with open_client(reference_server.uri, mirror_scene=True) as client:
        client.send @ event("SCENE")
        for _ in range(5):  # SET, UPSERT, ADD of a ball to the box, UPDATE and REMOVE of it
            await client.recv(timeout=60)
        scene = client.scene
        assert scene.to_dict()["tag"] == "Scene"
        assert scene.get("box")["args"] == [2, 2, 2]
        assert scene.get("box")["children"] == []
        assert "ball" not in scene


def test_events_and_elements_of_the_reference_are_taken():
    events = pytest.importorskip("vuer.events")
    schemas = pytest.importorskip("vuer.schemas")
    scene = Scene()
    scene.apply(events.Set(schemas.DefaultScene(schemas.Box(key="box", args=[1, 1, 1]))))
    scene.apply(events.Upsert(schemas.Sphere(key="ball"), to="box"))
    scene.apply(events.Update({"key": "ball", "color": "red"}))
    scene.apply(events.Remove("grid"))
    store = SceneStore()
    store.set @ schemas.DefaultScene(schemas.Box(key="box", args=[1, 1, 1]))
    store.upsert(schemas.Sphere(key="ball"), to="box")
    store.update @ {"key": "ball", "color": "red"}
    store.remove @ "grid"
    assert scene.get("ball")["color"] == "red"
    assert "grid" not in scene
    assert "hands" in scene
    assert scene.get("box") == store.scene.get("box")
    with pytest.raises(TypeError, match="set takes a Scene"):
        store.set @ schemas.Box(key="box")
