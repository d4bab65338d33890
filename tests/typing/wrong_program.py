"""Mistakes. Each line that ends in a comment is refused by `mypy`, for that reason, and no other.

It is checked, not run.
"""

from __future__ import annotations

import trio

from vuer_trio import Fifo, SceneStore, VuerClient, open_vuer_client, schemas
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.schemas import BBox, Billboard, Box, Element, Hands, Image, PointCloud, Scene, span


async def mistakes(client: VuerClient, other: ServerEvent) -> None:
    await client.send(1)  # arg-type
    client.send @ "HELLO"  # operator
    client.send @ other  # operator
    client.send_nowait(other)  # arg-type
    await client.send_many([1])  # list-item
    permit = await client.send
    permit @ 1  # operator
    permit.send(ClientEvent())  # attr-defined
    client.recv(timeout=1.0).etype  # attr-defined
    await client.recv(timeout="soon")  # arg-type
    await client.recv(5.0, True)  # call-arg
    number: int = await client.recv()  # assignment
    for event in client:  # attr-defined
        print(event)
    await client.recv_many(limit=1.5)  # arg-type
    await client.flush(timeout="soon")  # arg-type
    await client.send_channel.send(other)  # arg-type
    client.on("TICK", 1)  # call-overload
    client.on(1)  # call-overload
    client.on("TICK", print, twice=True)  # call-overload
    client.answer("GRAB_RENDER", print, once=True)  # call-overload
    client.connected = True  # misc
    client.statistics().sent = 0  # misc
    client.statistics().sends  # attr-defined
    client.conected  # attr-defined
    print(number, client.close_code + 1)  # operator


async def wrong_verbs(store: SceneStore, client: VuerClient, box: Element) -> None:
    store.upsert @ "box"  # operator
    store.upsert @ [1]  # list-item
    store.upsert(box, parent="p")  # call-overload
    store.upsert(box, to=box)  # call-overload
    store.update(box, to="p")  # call-overload
    store.add()  # call-overload
    store.set @ 5  # operator
    store.set(box, box)  # call-arg
    store.remove @ box  # operator
    store.remove(1.5)  # arg-type
    store @ ClientEvent()  # operator
    store.subscribe(1)  # arg-type
    store.scene = client.scene  # misc
    client.scene.apply("SET")  # arg-type


async def wrong_options() -> None:
    open_vuer_client(max_sizee=1)  # call-arg
    open_vuer_client(8012)  # arg-type
    open_vuer_client("ws://localhost", 2**20)  # call-arg
    open_vuer_client(max_size="1 MB")  # arg-type
    open_vuer_client(inbox=1024)  # arg-type
    open_vuer_client(floats="half")  # arg-type
    open_vuer_client(transport="aiohttp")  # arg-type
    open_vuer_client(compression=True)  # arg-type
    open_vuer_client(mirror_scene="yes")  # arg-type
    open_vuer_client(headers={"X-Robot": 1})  # arg-type
    open_vuer_client(proxy=False)  # arg-type
    open_vuer_client(max_queue=5)  # call-arg
    open_vuer_client(subprotocols=[1])  # list-item
    Fifo("many")  # arg-type
    with open_vuer_client():  # attr-defined
        pass


def wrong_elements() -> None:
    Box([0.3, 0.3, 0.3])  # arg-type
    Box(key=1)  # arg-type
    Box(position="0 0 0")  # arg-type
    Box(position=1)  # arg-type
    Box(scale="big")  # arg-type
    Box(args=0.3)  # arg-type
    Box(color=1.5)  # arg-type
    Box(Box)  # arg-type
    Hands(hide="left")  # arg-type
    PointCloud(size=0.1)  # call-arg
    PointCloud(vertices=[[0, 0, 0]])  # arg-type
    Image(b"...")  # arg-type
    Image(src=1)  # arg-type
    Image("a.png", "jpeg")  # call-arg
    Scene(frameloop="never")  # arg-type
    Scene(htmlChildren=Box())  # arg-type
    Billboard(lockX="yes")  # arg-type
    BBox([0, 0, 0])  # arg-type
    span(1)  # arg-type
    schemas.Spere(key="sphere")  # attr-defined


trio.run(wrong_options)
