"""Pictures from arrays, from Pillow and by address."""

import numpy as np
from PIL import Image as Pillow
from vuer import Vuer
from vuer.schemas import DefaultScene, HUDPlane, Image, ImageBackground, Img, Page, SceneBackground

app = Vuer()
gradient = np.linspace(0, 255, 48 * 3, dtype=np.uint8).reshape(6, 8, 3)


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(
        Image(gradient, key="png", format="png"),
        Image(gradient / 255.0, key="floats", format="jpeg", quality=70, height=2),
        Image(src="https://example.com/a.png", key="far", aspect=1.5),
        HUDPlane(key="hud", distanceToCamera=2, height=1),
        htmlChildren=[Page(Img(gradient, format="b64png", key="img"), key="page")],
    )
    session.upsert(ImageBackground(Pillow.fromarray(gradient), key="bg"), to="bgChildren")
    session.upsert(SceneBackground(gradient[..., 0], format="b64jpeg", key="sky"), to="bgChildren")
    await session.forever()
