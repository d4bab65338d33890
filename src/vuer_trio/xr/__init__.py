"""What a headset sends, as numpy arrays: hands, controllers, head and body.

``xr.hands(event)`` is a view of one ``HAND_MOVE`` event: it is checked once, and then read as
matrices, joints by name, and gestures. `controllers`, `head` and `body` do the same for
``CONTROLLER_MOVE``, ``HEAD_MOVE`` (or ``CAMERA_MOVE``) and ``BODY_MOVE``.

**The frame.** Positions are in metres, in the reference space of the WebXR session, which is
``local-floor`` in the web client: right-handed, x to the right, y up, z towards the person, who
looked along -z when the session began; the origin is on the floor. `change_axes` with ``Y2Z``
takes poses to a robot whose z axis points up.

**The matrices.** A pose is a (4, 4) matrix that takes points of the joint to the frame: its columns
are the axes of the joint and its position. On the wire it is 16 numbers in column-major order, as
in an ``XRRigidTransform``. A joint's -z axis points along the bone, to the tip of the finger; its
y axis points out of the back of the hand. The arrays are read-only, and views of the numbers.

**What is missing.** A hand, controller, head or body that the headset does not track is None. Each
view says how: JavaScript's ``undefined`` arrives as None.

Needs numpy (the extra ``numpy``). All functions raise ProtocolError, which is a ValueError, for an
event whose value is malformed: the message says where. They raise ValueError for an event of
another type, and TypeError for what is no event.

Sources: the code of the web client in `vuer` 0.1.6 for what is on the wire; WebXR Device API,
WebXR Hand Input and WebXR Body Tracking for frames, joints and their order. Where the docstrings
of `vuer` differ from its client, the client counts: joints of hands are not relative to the wrist.
"""

from __future__ import annotations

from ..frame import X2Y, X2Z, Y2X, Y2Z, Z2X, Z2Y, to_mat
from ._axes import change_axes
from ._body import BODY_JOINTS, Body, BodyMove, body
from ._controllers import Controller, ControllerMove, controllers
from ._hands import HAND_JOINTS, Hand, HandMove, hands
from ._head import HeadMove, head
from ._joints import Joints

__all__ = [
    "BODY_JOINTS",
    "HAND_JOINTS",
    "X2Y",
    "X2Z",
    "Y2X",
    "Y2Z",
    "Z2X",
    "Z2Y",
    "Body",
    "BodyMove",
    "Controller",
    "ControllerMove",
    "Hand",
    "HandMove",
    "HeadMove",
    "Joints",
    "body",
    "change_axes",
    "controllers",
    "hands",
    "head",
    "to_mat",
]
