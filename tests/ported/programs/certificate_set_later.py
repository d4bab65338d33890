"""The certificate is set on the app once it is made, and so are host and port."""

import os

from vuer import Vuer
from vuer.schemas import Box, Scene

app = Vuer()
app.host = "127.0.0.1"
app.port = int(os.environ["VUER_PORT"])
app.cert = "cert.pem"
app.key = "key.pem"


@app.spawn
async def main(session):
    session.set @ Scene(Box(key="box"))
    await session.forever()


if __name__ == "__main__":
    app.run()
