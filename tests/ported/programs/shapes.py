"""Every shape, with materials."""

import numpy as np
from vuer import Vuer
from vuer.schemas import (
    Box,
    Capsule,
    Circle,
    Cone,
    Cylinder,
    Dodecahedron,
    Extrude,
    Icosahedron,
    Lathe,
    MeshPhongMaterial,
    MeshStandardMaterial,
    Octahedron,
    Plane,
    Polyhedron,
    Ring,
    Scene,
    Shape,
    Sphere,
    Tetrahedron,
    Torus,
    TorusKnot,
    TriMesh,
    Tube,
    group,
)

app = Vuer()
SHAPES = [Box, Capsule, Circle, Cone, Cylinder, Dodecahedron, Extrude, Icosahedron, Lathe]
SHAPES += [Octahedron, Plane, Polyhedron, Ring, Shape, Sphere, Tetrahedron, Torus, TorusKnot, Tube]


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(
        *(
            shape(key=f"s{n}", args=[1, 2, 3], position=np.array([n, 0, 0.5]), outlines=True)
            for n, shape in enumerate(SHAPES)
        ),
        group(
            TriMesh(
                vertices=np.eye(3, dtype=np.float32),
                faces=np.array([[0, 1, 2]]),
                key="mesh",
                color="red",
            ),
            key="group",
            rotation=(0.1, 0.2, 0.3),
        ),
        Box(
            key="wood",
            material=dict(color="#ff8000", transparent=True),
            children=[MeshStandardMaterial(roughness=0.5, key="m"), MeshPhongMaterial(key="n")],
            materialType="standard",
        ),
        key="scene",
    )
    await session.forever()
