"""A user's program with every form of the interface: `mypy --strict` must have nothing to say.

It is checked, not run. Names are annotated where the test is what type something has.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, assert_type

import anyio.abc
import trio

import vuer_trio
from vuer_trio import (
    CallTimeout,
    CancelScope,
    ClientClosed,
    Connected,
    ConnectionClosed,
    ConnectionFailed,
    Disconnected,
    EncodeError,
    Fifo,
    InboxEmpty,
    InboxFull,
    Nursery,
    OutboxFull,
    Permit,
    Policy,
    ProtocolError,
    ReceiveEnd,
    RecvTimeout,
    SceneStore,
    SendEnd,
    Sender,
    Stale,
    Statistics,
    TransportName,
    Vuer,
    VuerClient,
    VuerError,
    get_client_info,
    open_vuer_client,
    open_vuer_server,
)
from vuer_trio.arc import ARCClient, ARCMessage
from vuer_trio.events import ClientEvent, ServerEvent, Set
from vuer_trio.scene import Scene
from vuer_trio.schemas import DefaultScene, Element
from vuer_trio.server import SessionTask, Subscriber, VuerServer, VuerSession


class SetPosition(ClientEvent):
    etype = "SET_POSITION"
    value = [0, 0, 0]  # noqa: RUF012 - the documents' form


class Hello(ClientEvent):
    etype = "HELLO"


async def scenes(client: VuerClient, session: Subscriber) -> bool:
    scene = client.scene
    assert_type(scene, Scene)
    changed: bool = scene.apply(Set(DefaultScene())) or scene.apply({"etype": "SET", "data": {}})
    assert_type(scene.get("box"), dict[str, Any] | None)
    keys = [node["key"] for node in scene]
    store = SceneStore()
    box = Element(tag="Box", key="box")
    async with store.subscribe(session):
        store.set @ DefaultScene(box)
        store.upsert @ box
        store.upsert @ [box, {"key": "plain"}]
        store.upsert(box, to="parent", strict=True)
        store.upsert(to="parent") @ (box, box)
        store.add(box, box, to="bgChildren")
        store.add(to="parent")(box)
        store.update(box, strict=True)
        store.update @ {"key": "box"}
        store.remove @ "box"
        store.remove @ ["box", *keys]
        store @ Set(DefaultScene())
        print(store.scene.to_dict()["children"])
        return changed  # leaving the block swallows nothing, so this is the end


async def send(client: VuerClient) -> None:
    client.send @ SetPosition(value=[1, 2, 3])
    await client.send(SetPosition())
    await client.send @ SetPosition()
    client.send @ ClientEvent(etype="ANY", value={"a": (1, 2.5, None)}, key="box")
    client.send_nowait(Hello(1795212933.5, value="Hi!"))
    await client.send_many(SetPosition(value=[n, 0, 0]) for n in range(3))
    await client.send_many([Hello(), SetPosition()])
    permit = await client.send
    permit @ Hello()
    permit.release()
    await client.flush()
    await client.flush(timeout=2.5)


async def receive(client: VuerClient) -> None:
    event = await client.recv()
    assert_type(event, ServerEvent)
    assert_type(await client.recv(timeout=5.0), ServerEvent)
    assert_type(client.recv_nowait(), ServerEvent)
    assert_type(await client.recv_many(), list[ServerEvent])
    assert_type(await client.recv_many(limit=3), list[ServerEvent])
    async for event in client:
        assert_type(event.etype, str)
        assert_type(event.ts, float)
        nodes: list[dict[str, Any]] = event.data["nodes"]
        print(event.value, event.strict, event.dropped_before, event == "SET", nodes)
        if event == "SET":
            break
    raw: Mapping[str, Any] = event.raw
    print(raw, {event}, repr(event), event.image().size)


async def channels(client: VuerClient) -> None:
    sending: trio.abc.SendChannel[ClientEvent] = client.send_channel
    receiving: trio.abc.ReceiveChannel[ServerEvent] = client.receive_channel
    async with client.send_channel.clone() as end, receiving:
        await sending.send(Hello())
        end.send_nowait(Hello())
        assert_type(await client.receive_channel.receive(), ServerEvent)
        assert_type(client.receive_channel.receive_nowait(), ServerEvent)
        async for event in receiving:
            assert_type(event, ServerEvent)


def handlers(client: VuerClient) -> None:
    @client.on("TICK")
    async def on_tick(event: ServerEvent) -> None:
        print(event.data)

    @client.on("TICK", once=True, concurrent=True)
    def once(event: ServerEvent) -> int:
        return len(event.etype)

    @client.answer("GRAB_RENDER")
    async def render(event: ServerEvent) -> dict[str, Any]:
        return {"frame": b"", "key": event.key}

    # a decorator returns what it was given
    assert_type(once(ServerEvent(1, etype="TICK")), int)

    take_back = client.on("TICK", on_tick, concurrent=True)
    assert_type(take_back(), None)
    take_back = client.answer("GRAB_RENDER", lambda event: event.data)
    take_back()


def state(client: VuerClient) -> None:
    assert_type(client.connected, bool)
    assert_type(client.uri, str)
    assert_type(client.transport, str | None)
    assert_type(client.subprotocol, str | None)
    assert_type(client.close_code, int | None)
    assert_type(client.close_reason, str | None)
    assert_type(client.generation, int)
    numbers = client.statistics()
    assert_type(numbers, Statistics)
    counts: list[int] = [
        *(numbers.sent, numbers.bytes_sent, numbers.received, numbers.bytes_received),
        *(numbers.outbox, numbers.outbox_bytes, numbers.inbox, numbers.inbox_bytes),
        *(numbers.dropped, numbers.reconnects),
    ]
    times: list[float | None] = [numbers.rtt, numbers.rtt_min, numbers.rtt_max, numbers.silence]
    info: dict[str, Any] = get_client_info()
    print(counts, times, info)


def credentials() -> dict[str, str]:
    return {"Authorization": "Bearer ..."}


def pairs() -> Iterator[tuple[str, str]]:
    yield "X-Robot", "1"


async def options() -> None:
    async with open_vuer_client(
        "wss://localhost:8012",
        max_size=2**30,
        ssl_verify=False,
        ssl_context=ssl.create_default_context(),
        headers=credentials,
        proxy="http://localhost:3128",
        connect_timeout=5,
        close_timeout=math.inf,
        heartbeat=10.0,
        inbox=Fifo(10_000, max_bytes=2**20),
        outbox=Fifo(capacity=50),
        compression="deflate",
        floats="single",
        checkpoints="every",
        transport="websockets",
        stream=None,
    ) as client:
        assert_type(client, VuerClient)
    VuerClient()
    VuerClient("ws://localhost:8012", headers={"X-Robot": "1"}, proxy=True)
    VuerClient(uri="ws://localhost:8012", headers=[("X-Robot", "1")], transport="trio-websocket")
    VuerClient(URI="ws://localhost:8012", additional_headers=pairs, ping_interval=None)
    VuerClient(
        ssl=ssl.create_default_context(),
        extra_headers={"X-Robot": "1"},
        open_timeout=3.0,
        server_hostname="robot.local",
        subprotocols=["vuer"],
        origin="https://vuer.ai",
    )


async def lifetimes() -> None:
    async with trio.open_nursery() as nursery:
        client: VuerClient = await nursery.start(VuerClient().run)
        await client.close()
        client = await VuerClient().connect(nursery)
        await client.aclose(1001, reason="enough")
        await client.wait_closed()
    client = VuerClient()
    await client.connect()
    await client.close()
    async with client as same:
        assert_type(same, VuerClient)


async def errors(client: VuerClient) -> None:
    try:
        await receive(client)
    except ConnectionFailed as exc:
        assert_type(exc.uri, str)
        assert_type(exc.status, int | None)
    except ConnectionClosed as exc:
        assert_type(exc.code, int)
        assert_type(exc.reason, str)
        assert_type(exc.normal, bool)
    except ProtocolError as exc:
        assert_type(exc.frame, bytes)
    except EncodeError as exc:
        assert_type(exc.path, str)
    except (ClientClosed, RecvTimeout, CallTimeout, Stale) as exc:
        assert_type(str(exc), str)
    except (OutboxFull, InboxFull, InboxEmpty):
        raise
    except VuerError:
        raise
    base: type[trio.TooSlowError] = RecvTimeout
    timeouts: list[type[TimeoutError]] = [RecvTimeout, CallTimeout, Stale]
    lost: list[type[ConnectionError]] = [ConnectionFailed, ConnectionClosed, ClientClosed]
    broken: type[trio.BrokenResourceError] = ConnectionClosed
    closed: type[trio.ClosedResourceError] = ClientClosed
    full: list[type[trio.WouldBlock]] = [OutboxFull, InboxFull, InboxEmpty]
    print(base, timeouts, lost, broken, closed, full, vuer_trio.__all__)


async def agent(client: ARCClient) -> None:
    assert_type(await client.recv(timeout=1), ARCMessage)
    assert_type(client.recv_nowait(), ARCMessage)
    assert_type(await client.recv_many(limit=2), list[ARCMessage])
    async for message in client:
        assert_type(message, ARCMessage)
    client.send_nowait(["*"], "Hello", "thought", ref="1", priority=2)
    await client.send_many([{"to": ["*"], "payload": 1}])
    assert_type(client.send_channel, SendEnd[Mapping[str, Any]])
    assert_type(client.receive_channel, ReceiveEnd[ARCMessage])
    assert_type(client.statistics(), Statistics)
    await client.flush(timeout=1)


async def types(client: VuerClient, session: VuerSession, group: anyio.abc.TaskGroup) -> None:
    """What is held has a name, and what either library gives will do."""
    assert_type(client.send, Sender[ClientEvent])
    assert_type(await client.send, Permit[ClientEvent])
    assert_type(client.send_channel, SendEnd[ClientEvent])
    assert_type(client.receive_channel, ReceiveEnd[ServerEvent])
    async for change in client.link_changes():
        assert_type(change, Connected | Disconnected)
    with client.lease("POSE", max_age=0.1) as lease:
        assert_type(lease.scope, CancelScope)
        lease.scope.deadline += 1
    session.cancel_scope.cancel()
    assert_type(session.spawn_task(trio.sleep, 1), SessionTask[None])
    task = session.spawn_task(session.recv)
    assert_type(task, SessionTask[ClientEvent])
    assert_type(await task, ClientEvent)
    assert_type(task.result(), ClientEvent)
    assert_type(task.done(), bool)
    task.add_done_callback(lambda ended: assert_type(ended.cancelled(), bool))
    assert_type(session.send, Sender[ServerEvent])
    assert_type(session.send_channel, SendEnd[ServerEvent])
    assert_type(session.receive_channel, ReceiveEnd[ClientEvent])
    assert_type(await session.recv_many(), list[ClientEvent])
    assert_type(await session.recv(timeout=1), ClientEvent)
    assert_type(session.statistics(), Statistics)
    assert_type((session.transport, session.close_code), tuple[str | None, int | None])
    await session.send_many([ServerEvent(None, etype="HELLO")])
    await session.wait_closed()
    async with open_vuer_server(Vuer(), port=0) as server:
        assert_type(server, VuerServer)
        ports: list[int] = [server.port, *(port for _, port in server.addresses)]
        sessions: set[VuerSession] = {*server.sessions}
    policy: Policy = Fifo(10)
    transport: TransportName = "auto"
    other = VuerClient(inbox=policy, transport=transport)
    await other.connect(group)
    async with trio.open_nursery() as nursery:
        held: list[Nursery] = [nursery, group]
        scopes: list[CancelScope] = [nursery.cancel_scope, group.cancel_scope]
        server = await nursery.start(Vuer().serve)
        await other.run(task_status=trio.TASK_STATUS_IGNORED)
    print(ports, sessions, held, scopes)


def elements() -> Set:
    return Set(DefaultScene(Element(key="box", position=[0, 0.5, 0])))


async def main() -> None:
    async with open_vuer_client("ws://localhost:8012") as client:
        handlers(client)
        state(client)
        await send(client)
        await channels(client)
        await errors(client)


if __name__ == "__main__":
    trio.run(main)
