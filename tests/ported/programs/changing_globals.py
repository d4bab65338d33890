"""Handlers change what a loop reads."""

import asyncio

from vuer import Vuer
from vuer.schemas import Box, Scene, Slider

app = Vuer()
height = 0.0
running = True


@app.add_handler("SET")
async def on_slider(event, session):
    global height
    height = float(event.value)
    print("slider", event.key, event.value)


@app.add_handler("INPUT")
async def on_input(event, session):
    print("typed", repr(event.value))


@app.add_handler("UPLOAD")
async def on_upload(event, session):
    print("uploaded", event.value)


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(htmlChildren=[Slider(min=0, max=10, step=1, value=0, key="slider")])
    while running:
        session.upsert @ Box(key="box", position=[0, height, 0])
        await asyncio.sleep(0.01)
