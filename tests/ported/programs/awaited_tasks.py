"""The tasks of a session, used as the asyncio.Task that each of them is there."""

import asyncio

from vuer import Vuer
from vuer.schemas import Box, Scene

app = Vuer()


async def measure(value):
    await asyncio.sleep(0.01)
    return value


async def fail():
    await asyncio.sleep(0.01)
    raise ValueError("a broken sensor")


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    task = session.spawn_task(measure(7), name="seven")
    task.add_done_callback(lambda task: print("ended with", task.result()))
    task.add_done_callback(print)
    print("removed", task.remove_done_callback(print))
    print(task.get_name(), task.done(), task.cancelled())
    try:
        task.result()
    except asyncio.InvalidStateError:
        print("no result yet")
    print("await", await task, task.done(), task.result(), task.exception(), task.cancel())
    print("gather", await asyncio.gather(*[session.spawn_task(measure(n)) for n in range(3)]))
    print("wait_for", await asyncio.wait_for(session.spawn_task(measure("in time")), 5))
    print("shield", await asyncio.shield(session.spawn_task(measure("shielded"))))

    tasks = {session.spawn_task(measure("one")), session.spawn_task(fail())}
    done, pending = await asyncio.wait(tasks)
    print("wait", sorted(str(task.exception()) for task in done), len(pending))
    for one in asyncio.as_completed([session.spawn_task(measure("completed"))]):
        print(await one)

    try:
        await session.spawn_task(fail())
    except ValueError as error:
        print("raised", error)
    print(await asyncio.gather(session.spawn_task(fail()), return_exceptions=True))

    slow = session.spawn_task(asyncio.sleep(60))
    try:
        await asyncio.wait_for(slow, 0.05)
    except asyncio.TimeoutError:
        print("too slow", slow.done(), slow.cancelled())
    stopped = session.spawn_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    print("cancel", stopped.cancel())
    try:
        await stopped
    except asyncio.CancelledError:
        print("stopped", stopped.cancelled())
    session.upsert @ Box(key="end")
    await session.forever()
