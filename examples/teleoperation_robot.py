"""A robot that moves while poses arrive, and stops when none has arrived for 0.2 s.

    python examples/teleoperation_robot.py       # see teleoperation_server.py

It stops whatever the reason: the operator, the network or the server may be gone. The server is at
ws://localhost:8012 or VUER_CLIENT_URI.
"""

import trio

from vuer_trio import ConnectionClosed, Latest, Stale, open_vuer_client

MAX_AGE = 0.2  # seconds


async def move_to(position):
    """Command the motors. This may be slow: only the newest pose waits in the inbox."""
    await trio.sleep(0.02)


def stop():
    print("stopped", flush=True)


async def follow(client, pose):
    """Move for as long as poses keep arriving, and stop the robot in any case."""
    print("moving", flush=True)
    try:
        with client.lease("POSE", max_age=MAX_AGE):
            while True:
                await move_to(pose.value)
                pose = await client.recv()
    finally:
        stop()


async def main():
    async with open_vuer_client(inbox=Latest()) as client:
        try:
            while True:
                pose = await client.recv()  # may take long; the robot is stopped
                try:
                    await follow(client, pose)
                except Stale as error:
                    print(error, flush=True)
        except ConnectionClosed as error:
            print(error, flush=True)


trio.run(main)
