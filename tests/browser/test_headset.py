"""What the web client sends from a headset: the emulator that it brings along is one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.browser.browser_harness import element, new_app, until
from tests.browser.headset_emulator import BEFORE, ENTER, emulate
from vuer_trio import xr
from vuer_trio.events import Set
from vuer_trio.schemas import Body, Hands, Head, MotionControllers, Scene

#: x, y and z in metres, and a quarter turn about y
_MOVE = """() => {
    const { position, quaternion } = window.device.controllers.right;
    Object.assign(position, { x: 0.25, y: 1.5, z: -0.5 });
    Object.assign(quaternion, { x: 0, y: Math.SQRT1_2, z: 0, w: Math.SQRT1_2 });
    window.device.controllers.right.updateButtonValue("trigger", 1);
    Object.assign(window.device.position, { x: 0, y: 1.75, z: 0.125 });
}"""


@pytest.fixture
def headset(serve):
    """A page in an emulated session; and what has come, by its type."""
    app, got, keys = new_app(), {}, set()

    @app.add_handler("*")
    def keep(event, session) -> None:
        got[event.etype] = event
        keys.add(event.raw.get("key"))

    with serve(app) as harness:
        tab = harness.open(tiny=True, before=BEFORE)
        emulate(tab.page)
        tab.send(
            Set(
                Scene(
                    bgChildren=[
                        Hands(key="hands", stream=True),
                        MotionControllers(key="controllers", stream=True, left=True, right=True),
                        MotionControllers(key="neither side", stream=True),
                        Head(key="head", stream=True),
                        Body(key="body", stream=True, leftHand=True),
                        element("SceneCamera", "camera"),
                    ]
                )
            )
        )
        tab.page.evaluate(ENTER)
        yield tab, got
        assert {"hands", "controllers", "head", "body"} <= keys
        assert "neither side" not in keys  # the client sends what it is asked for


def wait_for(got, read, etype, ready=lambda view: True):
    """The first view of an event of that type that is as it should be, and the event."""

    def seen():
        event = got.get(etype)
        view = read(event) if event is not None else None
        return (view, event) if view is not None and ready(view) else None

    return until(seen, f"a {etype}")


def test_a_headset_sends_what_xr_reads(headset):
    tab, got = headset
    # Controllers first: then there are no hands.
    tab.page.evaluate(_MOVE)
    moved, _ = wait_for(
        got, xr.controllers, "CONTROLLER_MOVE", lambda c: c.right and c.right.trigger
    )
    right = moved.right
    assert right.trigger_value == 1.0
    assert right.squeeze is right.a_button is right.b_button is right.thumbstick is False
    assert right.touchpad is False
    assert right.thumbstick_value == (0.0, 0.0)
    np.testing.assert_allclose(
        right.position, [0.25, 1.5, -0.5], atol=0.1
    )  # the ray's, not the grip's
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        right.rotation, xr.to_mat([0, 0, 0], [0, half, 0, half])[:3, :3], atol=1e-3
    )
    assert moved.left is not None
    assert moved.key == "controllers"

    head, _ = wait_for(got, xr.head, "HEAD_MOVE", lambda h: h.matrix is not None)
    assert abs(moved.ts - head.ts) < 3600  # seconds, though one is sent in milliseconds
    head, _ = wait_for(got, xr.head, "HEAD_MOVE", lambda h: h.position[1] > 1.7)
    np.testing.assert_allclose(head.position, [0, 1.75, 0.125], atol=1e-6)

    body, event = wait_for(got, xr.body, "BODY_MOVE")
    assert len(event.value["body"]) == 33 * 16
    assert (body.body, body.left_hand, body.right_hand) == (None, None, None)  # it tracks none

    no_hands, _ = wait_for(got, xr.hands, "HAND_MOVE")
    assert (no_hands.left, no_hands.right) == (None, None)

    tab.page.evaluate("window.device.primaryInputMode = 'hand'")
    hands, event = wait_for(got, xr.hands, "HAND_MOVE", lambda h: h.left and h.right)
    assert len(event.value["left"]) == 400
    for hand in (hands.left, hands.right):
        assert hand.valid.all()
        tips = [hand.joint(name)[:3, 3] for name in ("thumb-tip", "index-finger-tip")]
        np.testing.assert_allclose(np.linalg.norm(tips[0] - tips[1]), hand.pinch_value, atol=1e-6)
        ends = [hand.joint(f"middle-finger-{end}")[:3, 3] for end in ("tip", "phalanx-proximal")]
        np.testing.assert_allclose(np.linalg.norm(ends[0] - ends[1]), hand.squeeze_value, atol=1e-6)
        assert (hand.tap, hand.tap_value) == (hand.pinch, hand.pinch_value)
        # -z of the wrist points along the hand, and so does the middle finger.
        along = hand.joint("middle-finger-tip")[:3, 3] - hand.wrist[:3, 3]
        assert along @ -hand.wrist[:3, 2] > 0.9 * np.linalg.norm(along)
    assert hands.left.positions[:, 0].mean() < hands.right.positions[:, 0].mean()
    gone, event = wait_for(got, xr.controllers, "CONTROLLER_MOVE", lambda c: c.right is None)
    assert gone.left is None
    assert event.value["leftState"] == {}
