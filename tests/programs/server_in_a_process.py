"""A teleoperation server, of which the app runs in a process that is not forked."""

import multiprocessing
import sys

from vuer_trio import Vuer
from vuer_trio.schemas import DefaultScene, Hands

CONTEXT = multiprocessing.get_context("spawn")


class Robot:
    def __init__(self, port):
        self.app = Vuer(host="127.0.0.1", port=port, queue_len=3)
        self.app.add_handler("HAND_MOVE")(self.on_hands)
        self.app.spawn(start=False)(self.main)
        self.hand = CONTEXT.Array("d", 2, lock=True)
        self.moved = CONTEXT.Event()
        self.process = CONTEXT.Process(target=self.run, daemon=True)

    def run(self):
        self.app.run()

    async def on_hands(self, event, session):
        self.hand[:] = event.value["left"]
        self.moved.set()

    async def main(self, session):
        session.set @ DefaultScene(Hands(stream=True, key="hands"))
        await session.forever()


if __name__ == "__main__":
    robot = Robot(int(sys.argv[1]))
    robot.process.start()
    robot.moved.wait(60)
    print("hand", list(robot.hand), flush=True)
    robot.process.terminate()
    robot.process.join()
