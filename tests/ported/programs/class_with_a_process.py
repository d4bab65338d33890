# ported: newest
"""A class registers its methods and has the server run in a process of its own."""

import time
from multiprocessing import Array, Process

from vuer import Vuer
from vuer.schemas import DefaultScene, Hands, Sphere


class Tracker:
    def __init__(self):
        self.app = Vuer(host="0.0.0.0", queries=dict(grid=False), queue_len=3)
        self.app.add_handler("HAND_MOVE")(self.on_hand)
        self.app.spawn(start=False)(self.main)
        self.wrist = Array("d", 3, lock=True)
        self.process = Process(target=self.app.run, daemon=True)
        self.process.start()

    async def on_hand(self, event, session):
        self.wrist[:] = event.value["right"][12:15]
        session.upsert @ Sphere(key="wrist", args=[0.02], position=list(self.wrist))

    async def main(self, session):
        session.set @ DefaultScene(Hands(stream=True, key="hands"))
        await session.forever()


if __name__ == "__main__":
    tracker = Tracker()
    while True:
        with tracker.wrist.get_lock():
            at = list(tracker.wrist)
        if at[0] == 0.25:
            print("the wrist is at", at)
        time.sleep(0.02)
