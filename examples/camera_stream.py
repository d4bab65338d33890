"""A camera in the headset: a thread pushes frames, browsers see the newest one as video.

    python examples/camera_stream.py             # then open the page that it prints the address of

Port 8012, or the one in VUER_PORT. Once a second it prints what became of the frames while somebody
watches. For a real camera, `read` is that of cv2.VideoCapture(0). Needs vuer-trio[webrtc].
"""

import threading
import time

import numpy as np
import trio

from vuer_trio import Vuer, open_vuer_server
from vuer_trio.schemas import DefaultScene, WebRTCVideoPlane

WIDTH, HEIGHT, RATE = 640, 480, 30

app = Vuer()
stream = app.create_webrtc_stream("camera", fps=RATE)


class Camera:
    """A white bar that goes from left to right in two seconds."""

    def read(self):
        time.sleep(1 / RATE)
        frame = np.full((HEIGHT, WIDTH, 3), (80, 40, 20), np.uint8)  # blue, green, red
        left = int(time.monotonic() % 2 / 2 * (WIDTH - 40))
        frame[:, left : left + 40] = 255
        return True, frame


def capture():
    camera = Camera()
    while True:
        _, frame = camera.read()  # None, if it could not
        stream.push_frame(frame)


@app.spawn
async def main(session):
    plane = WebRTCVideoPlane(src=stream.url, key="camera", aspect=WIDTH / HEIGHT, height=3)
    session.set(DefaultScene(plane, frameloop="always"))
    await session.forever()


async def serve():
    async with open_vuer_server(app) as server:
        print(f"the camera is at http://localhost:{server.port}", flush=True)
        while True:
            await trio.sleep(1)
            if (found := stream.statistics()).viewers:
                print(f"{found.encoded} frames encoded, {found.dropped} dropped", flush=True)


threading.Thread(target=capture, daemon=True).start()
trio.run(serve)
