# ported: get=/workspace/note.txt
"""Everything is set by variables before the import."""

import os

os.environ["VUER_HOST"] = "127.0.0.1"
os.environ["VUER_WORKSPACE"] = "files"
os.environ["VUER_CORS"] = "https://vuer.ai"
os.environ["WEBSOCKET_MAX_SIZE"] = "1000000"
os.makedirs("files", exist_ok=True)
with open("files/note.txt", "w") as note:
    note.write("a note")

from vuer import Vuer  # noqa: E402
from vuer.schemas import Scene  # noqa: E402

app = Vuer()
print("host", app.host)


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    await session.forever()
