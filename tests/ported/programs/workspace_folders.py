# ported: get=/workspace/a.txt,/workspace/b.urdf,/workspace/c.txt
"""Several folders as one, the first that has a file wins."""

import os

from vuer import Vuer
from vuer.schemas import Scene, Urdf

for folder, files in {
    "one": {"a.txt": "one"},
    "two": {"a.txt": "two", "b.urdf": "<robot/>"},
}.items():
    os.makedirs(folder, exist_ok=True)
    for name, text in files.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)

app = Vuer(workspace=["one", "two"])


@app.spawn
async def main(session):
    session.set @ Scene(Urdf(src="/workspace/b.urdf", jointValues={"hip": 0.5}, key="robot"))
    await session.forever()


app.start()
