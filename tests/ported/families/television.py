# ported: main
"""A teleoperation server with active vision, of the kind that television-like projects have.

``MODE`` is how the picture gets there, ``image`` or ``webrtc``, and how the headset does, through a
tunnel, ``ngrok``, or with TLS: ``image-tls``.
"""

import asyncio
import os
import signal
import sys
import time
from multiprocessing import Array, Event, Process, Queue, shared_memory

import numpy as np
from vuer import Vuer
from vuer.schemas import DefaultScene, Hands, ImageBackground, WebRTCStereoVideoPlane

SHAPE = (32, 80, 3)  # both eyes, side by side


class Television:
    def __init__(self, shape, memory, queue, toggle, stream="image", tunnel=False):
        self.height, self.width = shape[0], shape[1] // 2
        if tunnel:
            self.app = Vuer(host="0.0.0.0", queries=dict(grid=False), queue_len=3)
        else:
            self.app = Vuer(
                host="0.0.0.0",
                cert="./cert.pem",
                key="./key.pem",
                queries=dict(grid=False),
                queue_len=3,
            )
        self.app.add_handler("HAND_MOVE")(self.on_hand_move)
        self.app.add_handler("CAMERA_MOVE")(self.on_cam_move)
        self.queue, self.toggle = queue, toggle
        if stream == "image":
            self.memory = shared_memory.SharedMemory(name=memory)
            self.picture = np.ndarray(shape, dtype=np.uint8, buffer=self.memory.buf)
            self.app.spawn(start=False)(self.main_image)
        else:
            self.app.spawn(start=False)(self.main_webrtc)
        self.left_hand = Array("d", 16, lock=True)
        self.right_hand = Array("d", 16, lock=True)
        self.landmarks = Array("d", 75, lock=True)
        self.head = Array("d", 16, lock=True)
        self.process = Process(target=self.run)
        self.process.daemon = True
        self.process.start()

    def run(self):
        self.app.run()

    async def on_cam_move(self, event, session, fps=60):
        try:
            self.head[:] = event.value["camera"]["matrix"]
        except Exception as error:
            print("camera", error)

    async def on_hand_move(self, event, session, fps=60):
        try:
            self.left_hand[:] = event.value["left"][0:16]
            right = np.array(event.value["right"])
            self.landmarks[:] = right.reshape(25, 16)[:, 12:15].flatten()
            self.right_hand[:] = right[0:16]
            self.queue.put(float(right[12]))
        except Exception as error:
            print("hand", error)

    async def main_webrtc(self, session, fps=60):
        session.set @ DefaultScene(frameloop="always")
        session.upsert @ Hands(fps=fps, stream=True, key="hands", showLeft=False, showRight=False)
        session.upsert @ WebRTCStereoVideoPlane(
            src="https://192.168.8.102:8080/offer",
            key="zed",
            aspect=1.33334,
            height=8,
            position=[0, -2, -0.2],
        )
        while True:
            await asyncio.sleep(1)

    async def main_image(self, session, fps=60):
        session.upsert @ Hands(fps=fps, stream=True, key="hands", showLeft=False, showRight=False)
        while True:
            start = time.time()
            picture = self.picture
            session.upsert(
                [
                    ImageBackground(
                        half,
                        format="jpeg",
                        quality=80,
                        key=f"{side}-image",
                        interpolate=True,
                        aspect=1.66667,
                        height=8,
                        position=[0, -1, 3],
                        layers=layers,
                        alphaSrc="./vinette.jpg",
                    )
                    for side, half, layers in (
                        ("left", picture[::2, : self.width], 1),
                        ("right", picture[::2, self.width :], 2),
                    )
                ],
                to="bgChildren",
            )
            await asyncio.sleep(max(0.0, 0.03 - (time.time() - start)))


def main():
    stream, way = os.environ["MODE"].split("-")
    memory = shared_memory.SharedMemory(create=True, size=int(np.prod(SHAPE)))
    zed = np.ndarray(SHAPE, dtype=np.uint8, buffer=memory.buf)
    zed[:] = np.linspace(0, 250, zed.size).reshape(SHAPE)
    queue, toggle = Queue(), Event()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        tv = Television(SHAPE, memory.name, queue, toggle, stream, way == "ngrok")
        while tv.process.is_alive():
            if queue.get() == 0.25:
                matrix = np.array(tv.right_hand[:]).reshape(4, 4, order="F")
                head = np.array(tv.head[:]).reshape(4, 4, order="F")
                print("wrist", matrix[:3, 3], "tips", np.array(tv.landmarks[:]).sum())
                print("head", head[:3, 3])
    finally:
        memory.close()
        memory.unlink()


if __name__ == "__main__":
    main()
