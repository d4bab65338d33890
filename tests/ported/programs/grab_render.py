"""Pictures of what the browser shows."""

import io

from PIL import Image
from vuer import Vuer
from vuer.schemas import DefaultScene, GrabRender

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(rawChildren=[GrabRender(key="DEFAULT")])
    for quality in (0.5, 0.9):
        result = await session.grab_render(quality=quality, downsample=2)
        picture = Image.open(io.BytesIO(result.value["frame"]))
        print(result.etype[:12], picture.format, picture.size, result.value["width"])
    result = await session.grab_render(key="wrist", ttl=5.0)
    print(sorted(result.value))
    await session.forever()
