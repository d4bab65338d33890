# ported: get=/workspace/tetra.obj,/workspace/missing.obj
"""A mesh beside the program is served and shown."""

from pathlib import Path

from vuer import Vuer
from vuer.schemas import DefaultScene, Obj

MESH = """\
v 0 0 0
v 1 0 0
v 0 1 0
v 0 0 1
f 1 2 3
f 1 2 4
f 1 3 4
f 2 3 4
"""
Path("tetra.obj").write_text(MESH)
app = Vuer(static_root=".")


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(
        Obj(src="http://localhost:8012/workspace/tetra.obj", key="tetra", scale=0.5)
    )
    await session.forever()
