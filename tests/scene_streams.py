"""Random streams of events that change a scene, made to collide."""

from __future__ import annotations

import random
from typing import Any

import msgpack

__all__ = ["FIRM", "random_event"]

KEYS = ["a", "b", "c", "d"]
SLOTS = ["children", "rawChildren", "bgChildren", "htmlChildren"]
#: what no queue may lose or move
FIRM = ("SET", "ADD", "REMOVE", "GRAB_RENDER", "HAPTIC", "REPLY")


def node(rng: random.Random, depth: int = 0, plain: float = 0.8) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if rng.random() < 0.6:
        made["tag"] = rng.choice(["Box", "Box", "group"])
    if rng.random() < 0.96:
        made["key"] = rng.choice([*KEYS, 1, 1.0]) if rng.random() < 0.1 else rng.choice(KEYS)
    for name in ("x", "y", "z"):
        if rng.random() < 0.5:
            made[name] = rng.choice([None, rng.randrange(1000), {"q": rng.randrange(9)}, b"image"])
    if depth < 3 and rng.random() > plain:
        for slot in rng.sample(SLOTS, rng.choice([1, 1, 2])):
            made[slot] = [node(rng, depth + 1, 0.6) for _ in range(rng.randrange(3))]
            if slot == "children" and rng.random() < 0.05 and made.get("key"):
                made[slot] = rng.choice([None, "text"])
    return made


def random_event(rng: random.Random, *, plain: float = 0.8) -> dict[str, Any]:
    """A decoded event. ``plain``: how likely a node is to have no children."""
    etype = rng.choices(
        ["UPSERT", "UPDATE", "ADD", "REMOVE", "SET", "GRAB_RENDER", "HAPTIC", "REPLY"],
        [60, 25, 4, 3, 2, 1, 3, 2],
    )[0]
    event: dict[str, Any] = {"ts": rng.randrange(10**6), "data": None, "etype": etype}
    if etype == "SET":
        data: dict[str, Any] = {"tag": "Scene"}
        for slot in rng.sample(SLOTS, rng.randrange(3)):
            data[slot] = [node(rng, 1, 0.5) for _ in range(rng.randrange(4))]
    elif etype == "REMOVE":
        data = {"keys": rng.sample(KEYS, rng.choice([1, 1, 2]))}
    elif etype in ("UPSERT", "UPDATE", "ADD"):
        count = rng.choices([1, 2, 3], [8, 3, 1])[0]
        data = {"nodes": [node(rng, 0, plain) for _ in range(count)]}
        if rng.random() < 0.05:
            event["note"] = "something else"
        if etype == "UPDATE":
            event["strict"] = False
        else:
            data["to"] = rng.choices([None, *SLOTS, *KEYS, "missing", "", 7], [12, *[2] * 11])[0]
    elif etype == "GRAB_RENDER":
        data = {}
        event |= {"uuid": "u", "rtype": "GRAB_RENDER_RESPONSE@u", "key": "DEFAULT"}
    else:
        data = {"n": rng.randrange(1000)}
    event["data"] = data
    return event


def packed(event: dict[str, Any]) -> bytes:
    payload: bytes = msgpack.packb(event)
    return payload
