"""A robot that is the server: it follows a headset's right hand, and stops when that is gone.

    python examples/headset_robot.py             # then open the page that it prints the address of

Port 8012, or the one in VUER_PORT. It does not matter why no hand comes for 0.2 s: the operator,
the headset or the network may be gone. Needs numpy.
"""

import trio

from vuer_trio import Latest, Stale, Vuer, open_vuer_server, xr
from vuer_trio.schemas import DefaultScene

RATE = 50  # commands a second
MAX_AGE = 0.2  # seconds

app = Vuer(outbox=Latest())


@app.spawn
async def main(session):
    session.set(DefaultScene())  # its Hands stream HAND_MOVE
    await session.forever()


def move_to(pose):
    """A (4, 4) matrix, in metres, y up. What the motors take of it."""


async def follow():
    """Move for as long as hands keep coming. However that ends, the robot has stopped then."""
    print("moving", flush=True)
    try:
        with app.lease("HAND_MOVE", max_age=MAX_AGE):
            while True:
                hand = xr.hands(app.latest("HAND_MOVE")).right
                if hand is not None:  # the headset sees it
                    move_to(hand.wrist)
                await trio.sleep(1 / RATE)
    except Stale as error:
        print(error, flush=True)
    finally:
        print("stopped", flush=True)


async def drive():
    async with open_vuer_server(app) as server:
        print(f"the robot is at {server.uri}", flush=True)
        while True:
            try:
                app.latest("HAND_MOVE", max_age=MAX_AGE)
            except Stale:
                await trio.sleep(0.05)  # nobody is there
            else:
                await follow()


trio.run(drive)
