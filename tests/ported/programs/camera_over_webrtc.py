"""A camera in a thread, whose frames are shown as video; another one is pushed by the session."""

import threading
import time

import numpy as np
from vuer import Vuer, WebRTCStream
from vuer.schemas import DefaultScene, WebRTCStereoVideoPlane, WebRTCVideoPlane

app = Vuer()
camera = app.create_webrtc_stream(
    "camera", codec="VP8", max_bitrate=2_000_000, max_framerate=15, resolution=(320, 240)
)
eyes = app.create_webrtc_stream("eyes")
try:
    app.create_webrtc_stream("eyes")
except ValueError as error:
    print("already exists" in str(error))


def capture():
    camera.wait_ready_sync(timeout=10)
    while True:
        camera.push_frame(np.zeros((240, 320, 3), np.uint8))
        camera.push_frame(None)
        time.sleep(1 / 30)


@app.spawn
async def main(session):
    session.set @ DefaultScene()
    session.upsert @ WebRTCVideoPlane(src=camera.url, key="camera", height=3, aspect=4 / 3)
    session.upsert @ WebRTCStereoVideoPlane(
        src=eyes.url, key="eyes", layout="stereo-left-right", height=3, aspect=4 / 3
    )
    eyes.push_frame(np.zeros((240, 640, 3), dtype=np.uint8))
    print(camera.ready, camera.stream_id, camera.url, isinstance(eyes, WebRTCStream))
    print(eyes.endpoint.startswith("http://localhost:"), eyes.endpoint.endswith(eyes.url))
    await session.forever()


if __name__ == "__main__":
    print(camera.ready)
    threading.Thread(target=capture, daemon=True).start()
    app.start()
