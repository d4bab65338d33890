"""Point clouds of several types."""

import numpy as np
from vuer import Vuer
from vuer.schemas import DefaultScene, Pcd, Ply, PointCloud

app = Vuer()
points = np.arange(30, dtype=np.float64).reshape(10, 3) / 8
colors = (np.arange(30).reshape(10, 3) / 30).astype(np.float32)


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(
        PointCloud(key="plain", vertices=points),
        PointCloud(
            key="coloured", vertices=points.astype(np.float32), colors=colors.copy(), size=0.02
        ),
        PointCloud(key="bytes", vertices=points, colors=(colors * 255).astype(np.uint8)),
        Ply(src="/workspace/a.ply", key="ply", size=0.01),
        Pcd(src="/workspace/a.pcd", key="pcd"),
    )
    await session.forever()
