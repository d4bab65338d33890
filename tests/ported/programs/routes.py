# ported: get=/status,/page,/nowhere
"""Pages of the program's own."""

from vuer import Vuer
from vuer.schemas import Scene

app = Vuer()
app.add_route("/status", lambda: '{"ok": true}', content_type="application/json")


def page():
    return "<h1>robot</h1>"


app.add_route("/page", page, method="GET")


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    await session.forever()
