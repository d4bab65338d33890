"""Names from the modules in which they are defined."""

import vuer.events as events
from vuer.base import Server
from vuer.client import VuerClient
from vuer.schemas.drei_components import Line, OrbitControls
from vuer.schemas.html_components import Img, Page
from vuer.schemas.material_components import MeshBasicMaterial
from vuer.schemas.physics_components import MuJoCo
from vuer.schemas.scene_components import Box, Movable, PointCloud, Scene
from vuer.schemas.vuer_components import ContribLoader
from vuer.serdes import IMAGE_FORMATS, serializer
from vuer.server import Vuer, VuerSession
from vuer.types import EventHandler, Url

app = Vuer()
print(isinstance(app, Server), Url("http://a") / "b.urdf", sorted(IMAGE_FORMATS))
print(serializer(["text", (1, 2)]), sorted(serializer(Box(key="b")).items()))
print([k.__name__ for k in (VuerClient, OrbitControls, Page, MuJoCo, ContribLoader, PointCloud)])


async def main(session: VuerSession):
    session @ events.Set(
        Scene(
            Movable(Box(MeshBasicMaterial(key="m"), key="b"), key="mv"),
            Line(points=[[0, 0, 0], [1, 1, 1]], key="l"),
            htmlChildren=[Img(src="a.png", key="i")],
        )
    )
    await session.forever()


handler: EventHandler
app.spawn(main, start=True)
