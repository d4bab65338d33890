"""The verbs: what each sends, and what it does not take."""

from __future__ import annotations

import pytest

from vuer_trio.events import ServerEvent, Upsert
from vuer_trio.schemas import BlockElement, DefaultScene, Element, Scene
from vuer_trio.server.verbs import Verbs


class Sent(Verbs):
    """Keeps the maps that would go out."""

    def __init__(self):
        self.events = []

    def _send(self, event):
        assert isinstance(event, ServerEvent)
        self.events.append(event)

    def pop(self):
        (event,) = self.events
        self.events.clear()
        wire = event._serialize()
        del wire["ts"]
        return wire


class Foreign:
    """An element of another package."""

    tag, key = "Box", "f"

    def _serialize(self):
        return {"tag": self.tag, "key": self.key}


A, B = Element(tag="Box", key="a"), Element(tag="Box", key="b")
NODE_A, NODE_B, NODE_F = ({"tag": "Box", "key": key} for key in "abf")
things = Sent()

FORMS = [
    ("SET", lambda: things.set @ Scene(key="s"), {"tag": "Scene", "key": "s", "up": [0, 1, 0]}),
    ("SET", lambda: things.set @ [Scene(key="s")], {"tag": "Scene", "key": "s", "up": [0, 1, 0]}),
    ("SET", lambda: things.set(Scene(key="s")), {"tag": "Scene", "key": "s", "up": [0, 1, 0]}),
    ("SET", lambda: things.set @ {"tag": "Scene"}, {"tag": "Scene"}),
    ("SET", lambda: things.set @ {"children": []}, {"children": []}),
    ("UPDATE", lambda: things.update @ A, {"nodes": [NODE_A]}),
    ("UPDATE", lambda: things.update @ [A, B], {"nodes": [NODE_A, NODE_B]}),
    ("UPDATE", lambda: things.update(A, B), {"nodes": [NODE_A, NODE_B]}),
    ("UPDATE", lambda: things.update @ {"up": [0, 0, 1]}, {"nodes": [{"up": [0, 0, 1]}]}),
    (
        "UPDATE",
        lambda: things.update @ {"key": "root", "x": 1},
        {"nodes": [{"key": "root", "x": 1}]},
    ),
    ("ADD", lambda: things.add @ A, {"nodes": [NODE_A], "to": None}),
    ("ADD", lambda: things.add @ (A, B), {"nodes": [NODE_A, NODE_B], "to": None}),
    ("ADD", lambda: things.add(A, to="p"), {"nodes": [NODE_A], "to": "p"}),
    ("ADD", lambda: things.add([A], B, to="p"), {"nodes": [NODE_A, NODE_B], "to": "p"}),
    ("ADD", lambda: things.add(to="p") @ A, {"nodes": [NODE_A], "to": "p"}),
    ("UPSERT", lambda: things.upsert @ Foreign(), {"nodes": [NODE_F], "to": None}),
    ("UPSERT", lambda: things.upsert @ NODE_A, {"nodes": [NODE_A], "to": None}),
    ("UPSERT", lambda: things.upsert @ [A, NODE_B], {"nodes": [NODE_A, NODE_B], "to": None}),
    ("UPSERT", lambda: things.upsert @ [], {"nodes": [], "to": None}),
    ("UPSERT", lambda: things.upsert(A), {"nodes": [NODE_A], "to": None}),
    ("UPSERT", lambda: things.upsert([A, B]), {"nodes": [NODE_A, NODE_B], "to": None}),
    ("UPSERT", lambda: things.upsert(A, to="p"), {"nodes": [NODE_A], "to": "p"}),
    ("UPSERT", lambda: things.upsert(A, to="p", strict=True), {"nodes": [NODE_A], "to": "p"}),
    ("UPSERT", lambda: things.upsert(to="p") @ [A, B], {"nodes": [NODE_A, NODE_B], "to": "p"}),
    ("UPSERT", lambda: things.upsert(to="p")(A), {"nodes": [NODE_A], "to": "p"}),
    ("UPSERT", lambda: things.upsert(strict=True)(to="p") @ A, {"nodes": [NODE_A], "to": "p"}),
    ("REMOVE", lambda: things.remove @ "a", {"keys": ["a"]}),
    ("REMOVE", lambda: things.remove @ ["a", "b"], {"keys": ["a", "b"]}),
    ("REMOVE", lambda: things.remove("a", ["b"]), {"keys": ["a", "b"]}),
    ("REMOVE", lambda: things.remove @ 1, {"keys": [1]}),
]


@pytest.mark.parametrize(("etype", "call", "data"), FORMS)
def test_each_form_sends_one_event_and_returns_nothing(etype, call, data):
    assert call() is None
    wire = things.pop()
    assert (wire["etype"], wire["data"]) == (etype, data)


@pytest.mark.parametrize("form", ["call", "at"])
@pytest.mark.parametrize("strict", [False, True])
def test_strict_is_a_key_of_an_update(form, strict):
    if form == "call":
        things.update(A, strict=strict)
    else:
        things.update(strict=strict) @ A
    assert things.pop()["strict"] is strict


def test_strict_of_an_upsert_stays_on_the_event():
    things.upsert(strict=True) @ A
    assert things.events[0].data["strict"] is True
    assert "strict" not in things.pop()


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: things.set @ A, TypeError, "set takes a Scene, got a Box.*upsert @ element"),
        (lambda: things.set @ {"tag": "Box"}, TypeError, "got a Box"),
        (lambda: things.set @ [Scene(), Scene()], TypeError, "got a list; use set @ Scene"),
        (lambda: things.set @ Scene, TypeError, "got the class Scene itself"),
        (lambda: things.set @ DefaultScene, TypeError, "got the class DefaultScene itself"),
        (lambda: things.set @ Upsert(A), TypeError, "got an Upsert"),
        (lambda: things.set(), TypeError, "missing"),
        (
            lambda: things.upsert @ "a",
            TypeError,
            "upsert takes an element.*got a str; use upsert @",
        ),
        (lambda: things.upsert @ None, TypeError, "got a NoneType"),
        (lambda: things.upsert @ [A, 1], TypeError, "got an int"),
        (lambda: things.upsert @ [[A]], TypeError, "got a list"),
        (lambda: things.upsert @ BlockElement, TypeError, "got the class BlockElement itself"),
        (lambda: things.add @ Upsert(A), TypeError, "got an event; use `session @ event`"),
        (
            lambda: things.update @ {"key": ["a"]},
            TypeError,
            r"the key for update must be a str, got \['a'\]",
        ),
        (
            lambda: things.add @ {"key": 7},
            ValueError,
            "key for add must be a str, got 7; a number freezes .*, use '7'",
        ),
        (lambda: things.upsert @ {"key": True}, ValueError, "got True; a number freezes"),
        (lambda: things.upsert(), TypeError, "upsert takes an element"),
        (lambda: things.add(), TypeError, "add takes an element"),
        (lambda: things.update(), TypeError, "update takes an element"),
        (
            lambda: things.add(A, to=B),
            TypeError,
            "to= of add must be the key of a node, or the name of a slot, got",
        ),
        (lambda: things.upsert(A, to=True), TypeError, "to= of upsert must be .*, got True"),
        (lambda: things.upsert(A, parent="p"), TypeError, "unexpected keyword argument 'parent'"),
        (lambda: things.update(A, to="p"), TypeError, "unexpected keyword argument 'to'"),
        (lambda: things.remove @ A, TypeError, "remove takes a key.*got an Element.*in its .key"),
        (lambda: things.remove @ None, TypeError, "got a NoneType; use remove @ 'box'"),
        (lambda: things.remove @ [["a", None]], TypeError, "remove takes a key"),
        (lambda: things.upsert @ Element(key="root"), ValueError, "'root' freezes"),
        (lambda: things.add @ [A, {"key": "root"}], ValueError, "'root' freezes"),
    ],
)
def test_what_is_not_taken_sends_nothing_and_says_what_is(call, error, says):
    with pytest.raises(error, match=says):
        call()
    assert things.events == []
