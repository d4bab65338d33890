"""The page's scene and ours, by the same events: what was recorded of the page, and random ones."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from tests import DATA
from tests.browser.browser_harness import SLOTS, Tab, new_app, serving
from vuer_trio.events import ServerEvent
from vuer_trio.scene import Scene

FILES = sorted(DATA.glob("scene*.json"))
#: Recorded of the store alone: the page's list of all nodes goes by keys as strings, and hangs.
FREEZES = {"keys are equal only with their type"}
EMPTY = {"tag": "Scene", "up": [0, 1, 0], **{slot: [] for slot in SLOTS}}


def recorded() -> list[tuple[str, list[Any], Any]]:
    """Name, operations and what the page then held, of each case."""
    cases = []
    for file in FILES:
        content = json.loads(file.read_text("utf-8"))
        base = content.get("base_scene")
        begin = [] if base is None else [{"etype": "SET", "data": base}]
        cases += [
            (case["name"], [*begin, *case["ops"]], case["browser"])
            for case in content["cases"]
            if case["name"] not in FREEZES
        ]
    return cases


@pytest.fixture(scope="module")
def tab(browser):
    """One page for all: a SET of all slots empties it."""
    with serving(new_app(), browser) as harness:
        yield harness.open(tiny=True)


class Both:
    """A page and a scene of ours, that get the same events."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._scene = Scene()
        self.apply([{"etype": "SET", "data": EMPTY}])

    def apply(self, ops: list[Any]) -> dict[str, Any]:
        """What they agree on afterwards."""
        self._tab.send(*(ServerEvent(op["data"], etype=op["etype"]) for op in ops))
        for op in ops:
            self._scene.apply(op)
        ours = self._scene.to_dict()
        assert self._tab.state() == ours, ops
        return ours


def test_the_page_does_what_was_recorded_and_so_do_we(tab):
    cases = recorded()
    assert len(cases) == 31 + 25
    for name, ops, expected in cases:
        assert Both(tab).apply(ops) == expected, name


#: A node hangs only under one whose key is before its own here. The page hangs over a key that is
#: below itself: its list of all nodes goes by keys.
KEYS = [*"abc", "children", *"defgh"]
PLACES = [None, None, *SLOTS, *KEYS[:-1], "nowhere"]


def a_node(rng: random.Random, keys: Sequence[str] = KEYS, depth: int = 0) -> dict[str, Any]:
    node: dict[str, Any] = {"tag": rng.choice(["group", "group", "Box"]), "key": rng.choice(keys)}
    if rng.random() < 0.5:
        node["n"] = rng.choice([1, -1.5, None, "$delete", [1, 2], {"deep": True}])
    below = KEYS[KEYS.index(node["key"]) + 1 :]
    while below and depth < 2 and rng.random() < 0.4:
        slot = rng.choice(["children", "children", *SLOTS])
        node.setdefault(slot, []).append(a_node(rng, below, depth + 1))
    return node


def an_operation(rng: random.Random) -> dict[str, Any]:
    etype = rng.choices(["SET", "ADD", "UPDATE", "UPSERT", "REMOVE"], [2, 20, 20, 30, 28])[0]
    to = rng.choice(PLACES) if etype in ("ADD", "UPSERT") else None
    keys = KEYS[KEYS.index(to) + 1 :] if to in KEYS else KEYS
    nodes = [a_node(rng, keys) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    if etype == "SET":
        filled = {slot: nodes for slot in SLOTS if rng.random() < 0.5}
        return {"etype": etype, "data": {"tag": "Scene", "key": "s", **filled}}
    if etype == "REMOVE":
        return {"etype": etype, "data": {"keys": rng.sample(KEYS, rng.choice([1, 1, 2]))}}
    if etype == "UPDATE":
        for node in nodes:
            if rng.random() < 0.5:
                del node["tag"]
        if rng.random() < 0.1:
            nodes.append({"up": [0, rng.random(), 1]})  # without a key it is the root's
        return {"etype": etype, "data": {"nodes": nodes}}
    return {"etype": etype, "data": {"nodes": nodes, "to": to}}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_operations_do_the_same_in_the_page_and_here(tab, seed):
    rng, both, seen = random.Random(seed), Both(tab), []
    for _ in range(30):
        seen.append(both.apply([an_operation(rng) for _ in range(5)]))
    assert sum(state["children"] != [] for state in seen) > 10  # it was about something
