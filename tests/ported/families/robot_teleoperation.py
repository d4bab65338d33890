# ported: main
"""A teleoperation server of the kind that humanoid robots' packages have.

A class sets up the app, registers its methods, and has the server run in a process of its own. That
shares poses with the control loop by arrays, and the camera's picture by shared memory. ``MODE`` is
hands or controllers, and whether the camera has two eyes: ``hands-binocular``.
"""

import asyncio
import os
import signal
import sys
import time
from multiprocessing import Array, Process, Value, shared_memory

import numpy as np
from vuer import Vuer
from vuer.schemas import Hands, ImageBackground, MotionControllers

HEIGHT, WIDTH = 24, 32  # of one eye


class HeadsetServer:
    def __init__(self, binocular, use_hands, shape, memory, cert_file=None, key_file=None):
        self.binocular = binocular
        self.use_hands = use_hands
        self.eye = shape[1] // 2 if binocular else shape[1]
        self.memory = shared_memory.SharedMemory(name=memory)
        self.picture = np.ndarray(shape, dtype=np.uint8, buffer=self.memory.buf)

        self.vuer = Vuer(
            host="0.0.0.0", cert=cert_file, key=key_file, queries=dict(grid=False), queue_len=3
        )
        self.vuer.add_handler("CAMERA_MOVE")(self.on_camera)
        if use_hands:
            self.vuer.add_handler("HAND_MOVE")(self.on_hands)
        else:
            self.vuer.add_handler("CONTROLLER_MOVE")(self.on_controllers)
        show = self.show_two_eyes if binocular else self.show_one_eye
        self.vuer.spawn(start=False)(show)

        self.head = Array("d", 16, lock=True)
        self.left = Array("d", 16, lock=True)
        self.right = Array("d", 16, lock=True)
        self.joints = Array("d", 75, lock=True)
        self.grip = Value("d", 0.0, lock=True)
        self.process = Process(target=self.run, daemon=True)
        self.process.start()

    def run(self):
        self.vuer.run()

    async def on_camera(self, event, session, fps=60):
        try:
            with self.head.get_lock():
                self.head[:] = event.value["camera"]["matrix"]
        except Exception:
            pass

    async def on_hands(self, event, session, fps=60):
        try:
            with self.left.get_lock():
                self.left[:] = event.value["left"][:16]
            right = np.array(event.value["right"]).reshape(25, 4, 4, order="F")
            with self.right.get_lock():
                self.right[:] = right[0].flatten(order="F")
            with self.joints.get_lock():
                self.joints[:] = right[:, :3, 3].flatten()
            with self.grip.get_lock():
                self.grip.value = event.value["rightState"]["pinchValue"]
        except Exception:
            pass

    async def on_controllers(self, event, session, fps=60):
        try:
            with self.left.get_lock():
                self.left[:] = event.value["left"]
            with self.right.get_lock():
                self.right[:] = event.value["right"]
            with self.grip.get_lock():
                self.grip.value = event.value["rightState"]["triggerValue"]
        except Exception:
            pass

    def track(self, session):
        if self.use_hands:
            what = Hands(stream=True, key="hands", hideLeft=True, hideRight=True)
        else:
            what = MotionControllers(stream=True, key="motionControllers", left=True, right=True)
        session.upsert(what, to="bgChildren")

    def plane(self, key, columns, **more):
        return ImageBackground(
            self.picture[:, columns],
            aspect=self.eye / HEIGHT,
            height=1,
            distanceToCamera=1,
            format="jpeg",
            quality=50,
            key=key,
            interpolate=True,
            **more,
        )

    async def show_two_eyes(self, session, fps=60):
        self.track(session)
        while True:
            planes = [
                self.plane("background-left", slice(None, self.eye), layers=1),
                self.plane("background-right", slice(self.eye, None), layers=2),
            ]
            session.upsert(planes, to="bgChildren")
            await asyncio.sleep(0.016 * 2)

    async def show_one_eye(self, session, fps=60):
        self.track(session)
        while True:
            session.upsert([self.plane("background-mono", slice(None))], to="bgChildren")
            await asyncio.sleep(0.016)


def main():
    device, eyes = os.environ["MODE"].split("-")
    shape = (HEIGHT, WIDTH * (2 if eyes == "binocular" else 1), 3)
    memory = shared_memory.SharedMemory(create=True, size=int(np.prod(shape)))
    camera = np.ndarray(shape, dtype=np.uint8, buffer=memory.buf)
    camera[:] = np.linspace(0, 250, camera.size).reshape(shape)
    server = HeadsetServer(
        eyes == "binocular", device == "hands", shape, memory.name, "cert.pem", "key.pem"
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    told = False
    try:
        while True:
            wrist = np.array(server.right[:]).reshape(4, 4, order="F")
            head = np.array(server.head[:]).reshape(4, 4, order="F")
            if not told and wrist[0, 3] == 0.25 and server.grip.value == 0.25:
                told = True
                print("head", head[:3, 3], "wrist", wrist[:3, 3], "grip", server.grip.value)
                print("joints", np.array(server.joints[:]).sum())
            time.sleep(1 / 60)
    finally:
        memory.close()
        memory.unlink()


if __name__ == "__main__":
    main()
