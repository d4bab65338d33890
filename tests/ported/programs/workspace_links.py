# ported: get=/workspace/live/status,/workspace/live/frame.bin,/workspace/live/gone
"""What functions return is served like files."""

from vuer import Blob, Vuer
from vuer.schemas import Scene

app = Vuer()
app.workspace.link(lambda: {"ready": True, "battery": 0.5}, "/live/status")
app.workspace.link(lambda: Blob(b"\x00\x01\x02", "application/x-frame"), "/live/frame.bin")
app.workspace.link(lambda: b"never", "/live/gone")
app.workspace.unlink("/live/gone")


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    await session.forever()
