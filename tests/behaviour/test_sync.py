"""The blocking Vuer client, against a server in another thread."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import anyio
import msgpack
import pytest
import trio

from tests.behaviour.numbered_events import Number, numbers
from tests.resource_counts import PATIENCE, Census
from tests.scripted_server import serve_peer
from vuer_trio import (
    CallTimeout,
    ClientClosed,
    Connected,
    ConnectionClosed,
    ConnectionFailed,
    Disconnected,
    Fifo,
    InboxEmpty,
    OutboxFull,
    RecvTimeout,
    Stale,
)
from vuer_trio.events import ClientEvent
from vuer_trio.sync import BlockingVuerClient, open_vuer_client


class Server:
    """A scripted peer in a thread; `peer` is on record when it has stopped."""

    def __init__(self, script) -> None:
        ready: Future = Future()
        self._script = script
        self._thread = threading.Thread(target=anyio.run, args=(self._main, ready))
        self._thread.start()
        self.peer, self._stop, self._token = ready.result(60)
        self.uri = self.peer.uri

    async def _main(self, ready: Future) -> None:
        stop = anyio.Event()
        async with serve_peer(self._script) as peer:
            ready.set_result((peer, stop, anyio.lowlevel.current_token()))
            await stop.wait()

    def stop(self) -> None:
        if self._thread.is_alive():
            anyio.from_thread.run_sync(self._stop.set, token=self._token)
            self._thread.join()


async def echoes(conn):
    await conn.accept()
    while (message := await conn.recv()) is not None:
        event = msgpack.unpackb(message)
        if event["etype"] == "CLOSE":
            await conn.close(event["value"])
        elif event["etype"] == "STALL":
            conn.stop_reading()
        elif event["etype"] == "SAY":
            await conn.send_event(event["value"])
        elif event["etype"] != "INIT":
            await conn.send_event({"etype": "ECHO", "data": event["value"]})


def wait_for(condition: Callable[[], bool]) -> None:
    """Before the deadline, which is for what never comes."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(echoes)
    yield server
    server.stop()
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("vuer-trio")])


def of(etype: str, value: object = None) -> ClientEvent:
    return ClientEvent(etype=etype, value=value)


def test_every_way_to_send_and_to_receive(server):
    before = Census.take()
    with open_vuer_client(server.uri) as client:
        assert client.connected
        assert isinstance(client, BlockingVuerClient)
        client.send @ Number(value=1)
        client.send(Number(value=2))
        client.send_nowait(Number(value=3))
        client.send_many([Number(value=4), Number(value=5)])
        client.send(Number(value=6), retain=True)
        client.flush(timeout=60)
        assert client.recv(timeout=60).data == 1
        assert client.recv_nowait().data == 2
        assert [event.data for event in client.recv_many(2)] == [3, 4]
        assert [next(client).data, next(client).data] == [5, 6]
        with pytest.raises(RecvTimeout):
            client.recv(timeout=0.01)
        assert client.statistics().received == 6
        assert client.uri in repr(client)
    assert not client.connected
    assert client.close_code == 1000
    assert client.statistics().received == 6
    with pytest.raises(ClientClosed, match=r"client\.connect"):
        client.send @ Number(value=1)
    # the server's end is a thread's of this process
    wait_for(lambda: not before.left_behind())
    server.stop()
    assert numbers(server.peer.connections[0].messages) == [1, 2, 3, 4, 5, 6]


def test_iteration_ends_on_a_normal_close_and_raises_on_any_other(server):
    with open_vuer_client(server.uri) as client:
        client.send @ Number(value=1)
        client.send @ of("CLOSE", 1000)
        assert [event.data for event in client] == [1]
    with open_vuer_client(server.uri) as client:
        client.send @ of("CLOSE", 1011)
        with pytest.raises(ConnectionClosed) as closed:
            next(client)
        assert closed.value.code == 1011


def test_the_form_for_notebooks(server):
    client = open_vuer_client(server.uri)
    for _ in range(2):
        assert client.connect() is client
        with pytest.raises(RuntimeError, match="already connected"):
            client.connect()
        client.send @ Number(value=1)
        assert client.recv(timeout=60).data == 1
        client.close()
        client.close()
    client.connect()
    client.send @ of("CLOSE", 1011)
    with pytest.raises(ConnectionClosed):
        client.recv(timeout=60)
    client.connect()  # after a loss
    client.close()


def test_a_failure_to_connect_leaves_no_thread():
    client = open_vuer_client("ws://127.0.0.1:1")
    with pytest.raises(ConnectionFailed):
        client.connect()
    assert not [t for t in threading.enumerate() if t.name.startswith("vuer-trio")]
    with pytest.raises(TypeError, match="nonsense"):
        open_vuer_client("ws://127.0.0.1:1", nonsense=1)


def test_many_threads_share_one_client(server):
    with open_vuer_client(server.uri) as client:

        def talk(number):
            for n in range(20):
                client.send(Number(value=number * 100 + n))

        threads = [threading.Thread(target=talk, args=(n,)) for n in range(5)]
        for thread in threads:
            thread.start()
        got = [client.recv(timeout=60).data for _ in range(100)]
        for thread in threads:
            thread.join()
    assert sorted(got) == sorted(n * 100 + m for n in range(5) for m in range(20))
    for number in range(5):
        assert [n for n in got if n // 100 == number] == [number * 100 + n for n in range(20)]


def test_closing_in_another_thread_ends_a_call(server):
    client = open_vuer_client(server.uri).connect()
    threading.Timer(0.1, client.close).start()
    with pytest.raises(ClientClosed):
        client.recv()


def test_full_boxes_and_deadlines(server):
    options = {"outbox": Fifo(2), "close_timeout": 0.05}
    with pytest.raises(ConnectionClosed, match="not sent"):
        with open_vuer_client(server.uri, **options) as client:
            client.send(of("STALL"))
            with pytest.raises(OutboxFull):
                while True:
                    client.send @ Number(value=b"x" * 1_000_000)
            with pytest.raises(CallTimeout):
                client.flush(timeout=0.05)


def test_the_blocks_own_exception_leaves_untouched(server):
    error = KeyError("of the body")
    with pytest.raises(KeyError) as raised:
        with open_vuer_client(server.uri):
            raise error
    assert raised.value is error


def test_an_interrupted_call_is_cancelled(server):
    main = threading.main_thread().ident
    with open_vuer_client(server.uri) as client:
        timer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            client.recv()
        timer.join()
        client.send @ Number(value=1)
        assert client.recv(timeout=60).data == 1  # nobody else waits for it


def test_who_never_closes_is_warned_and_leaves_no_thread(server):
    client = open_vuer_client(server.uri).connect()
    (thread,) = (t for t in threading.enumerate() if t.name.startswith("vuer-trio"))
    with pytest.warns(ResourceWarning, match="never closed"):
        del client
        gc.collect()
    thread.join(60)
    assert not thread.is_alive()


def test_it_works_in_a_running_loop_of_asyncio(server):
    """As in a notebook, whose cells run in one."""

    async def cell() -> None:
        with open_vuer_client(server.uri) as client:
            client.send @ Number(value=1)
            assert client.recv(timeout=60).data == 1

    asyncio.run(cell())


def test_in_a_task_of_trio_it_says_what_to_do_instead(server):
    async def cell() -> None:
        with pytest.raises(RuntimeError, match="use the async client"):
            open_vuer_client(server.uri).connect()
        with pytest.raises(RuntimeError, match="use the async client"):
            client.recv()

    with open_vuer_client(server.uri) as client:
        trio.run(cell)
        client.send @ Number(value=1)
        assert client.recv(timeout=60).data == 1


# ---- what is seen when it is read


def test_handlers_are_called_in_the_order_of_the_events(server):
    client, got = open_vuer_client(server.uri), []

    @client.on("ECHO")
    def first(event):
        got.append((event.data, threading.current_thread()))

    assert first.__name__ == "first"
    for _ in range(2):  # it holds for later connections, too
        with client:
            take_back = client.on("ECHO", lambda event: got.append((-event.data, None)))
            client.on("ECHO", lambda event: got.append((100, None)), once=True)
            client.send @ Number(value=1)
            client.send @ Number(value=2)
            assert [client.recv(timeout=60).data for _ in "ab"] == [1, 2]
            wait_for(lambda: len(got) >= 5)
            take_back()
            take_back()
            client.send @ Number(value=3)
            wait_for(lambda: len(got) >= 6)
        assert [value for value, _ in got] == [1, -1, 100, 2, -2, 3]
        threads = {thread.name for _, thread in got if thread}
        assert threads == {f"vuer-trio {server.uri}"}
        got.clear()
    take_back()  # there is no connection


def test_a_handler_may_call_what_does_not_wait(server):
    done: Future = Future()

    def handler(event):
        if event.data == 1:
            client.send @ Number(value=client.latest("ECHO").data + 1)
            client.send_nowait(Number(value=3))
            assert client.recv_nowait() is event
            assert client.statistics().received >= 1
            for waits in (client.recv, client.flush, client.wait_closed, client.close):
                with pytest.raises(RuntimeError, match="hand the event to another thread"):
                    waits()
            with pytest.raises(RuntimeError, match="hand the event to another thread"):
                client.send(Number(value=4))
        return event.data

    def told(event):
        try:
            done.set_result(handler(event))
        except BaseException as exc:
            done.set_exception(exc)

    with open_vuer_client(server.uri) as client:
        client.on("ECHO", told, once=True)
        with pytest.raises(Stale):
            client.latest("ECHO")
        client.send @ Number(value=1)
        assert done.result(60) == 1
        assert [client.recv(timeout=60).data for _ in range(2)] == [2, 3]
        assert client.connected


def test_what_a_handler_raises_is_logged_and_ends_nothing(server, caplog):
    with open_vuer_client(server.uri) as client:
        client.on("ECHO", lambda event: 1 // 0)
        client.send @ Number(value=1)
        assert client.recv(timeout=60).data == 1
        wait_for(lambda: "ZeroDivisionError" in caplog.text)
        client.send @ Number(value=2)
        assert client.recv(timeout=60).data == 2
    assert "the handler of ECHO" in caplog.text


def test_a_handler_that_is_async_is_refused(server):
    async def handler(event):
        """Never called."""

    client = open_vuer_client(server.uri)
    for register in (client.on, client.answer):
        with pytest.raises(TypeError, match="handler of TICK is async"):
            register("TICK", handler)
        with pytest.raises(TypeError, match="handler of TICK is async"):
            register("TICK")(handler)


def test_it_answers_requests(server):
    with open_vuer_client(server.uri) as client:

        @client.answer("GRAB_RENDER")
        def render(event):
            return {"frame": b"jpeg", "quality": event.data["quality"]}

        with pytest.raises(ValueError, match="answered already"):
            client.answer("GRAB_RENDER", render)
        request = {"etype": "GRAB_RENDER", "rtype": "R@1", "data": {"quality": 0.5}}
        client.send @ of("SAY", request)
        assert client.recv(timeout=60).data == {"frame": b"jpeg", "quality": 0.5}
        with pytest.raises(InboxEmpty):  # nor has the request been delivered
            client.recv_nowait()
    server.stop()
    etypes = [msgpack.unpackb(message)["etype"] for message in server.peer.connections[0].messages]
    assert etypes == ["INIT", "SAY", "R@1"]


def test_the_newest_event_of_a_type(server):
    with open_vuer_client(server.uri) as client:
        with pytest.raises(Stale, match="no ECHO"):
            client.latest("ECHO")
        client.send_many([Number(value=1), Number(value=2)])
        assert [client.recv(timeout=60).data for _ in range(2)] == [1, 2]
        assert client.latest("ECHO").data == 2
        assert client.latest("ECHO", max_age=60).data == 2
        time.sleep(0.02)
        with pytest.raises(Stale, match="old"):
            client.latest("ECHO", max_age=0.01)
        with pytest.raises(TypeError, match="max_age"):
            client.latest("ECHO", max_age="1")
    with pytest.raises(ClientClosed):
        client.latest("ECHO")


def test_a_lease_holds_while_events_come(server):
    with open_vuer_client(server.uri) as client:
        lease = client.lease("ECHO", max_age=5)
        assert (lease.etype, lease.max_age) == ("ECHO", 5)
        for _ in range(2):
            with lease as entered:
                assert entered is lease
                with pytest.raises(RuntimeError, match="in use already"):
                    lease.__enter__()
                for n in range(3):
                    client.send(Number(value=n))
                    assert client.recv(timeout=60).data == n
                lease.check()
                assert not lease.expired
        with pytest.raises(TypeError, match="max_age"):
            client.lease("ECHO", max_age=None)
        with pytest.raises(KeyError), client.lease("ECHO", max_age=0.01) as lease:
            wait_for(lambda: lease.expired)
            raise KeyError("of the body")


def test_a_lease_that_has_run_out_ends_the_call_that_waits(server):
    with open_vuer_client(server.uri) as client:
        with pytest.raises(Stale, match=r"no ECHO came within 0\.1 s"):
            with client.lease("ECHO", max_age=0.1) as lease:
                client.send(Number(value=1))
                assert client.recv(timeout=60).data == 1
                client.recv()
        assert lease.expired
        client.send(Number(value=2))
        assert client.recv(timeout=60).data == 2


def test_a_lease_that_has_run_out_stays_so(server):
    with open_vuer_client(server.uri) as client:
        with pytest.raises(Stale):
            with client.lease("ECHO", max_age=0.05) as lease:
                wait_for(lambda: lease.expired)
                client.send @ Number(value=1)  # does not wait
                wait_for(lambda: client.statistics().received == 1)
                assert client.recv_nowait().data == 1
                for check in (lease.check, client.recv, lambda: client.send(Number(value=2))):
                    with pytest.raises(Stale):
                        check()
        client.flush(timeout=60)


def test_a_lease_is_of_the_thread_that_has_entered_it(server):
    got: Future = Future()
    with open_vuer_client(server.uri) as client:
        with pytest.raises(Stale), client.lease("ECHO", max_age=0.05) as lease:
            other = threading.Thread(target=lambda: got.set_result(client.recv(timeout=60).data))
            other.start()
            wait_for(lambda: lease.expired)
            time.sleep(0.05)
            assert not got.done()
            client.send @ Number(value=1)
            assert got.result(60) == 1
            other.join()


def test_closing_in_the_block_of_a_lease(server):
    with open_vuer_client(server.uri) as client:
        with client.lease("ECHO", max_age=5):
            client.close()
            with pytest.raises(ClientClosed):
                client.recv()


def test_the_scene_is_a_copy_of_the_servers(server):
    box = {"key": "box", "tag": "Box", "children": []}
    client = open_vuer_client(server.uri, mirror_scene=True)
    assert list(client.scene) == []
    with client:
        scene = {"etype": "SET", "data": {"tag": "Scene", "children": [box]}}
        client.send @ of("SAY", scene)
        assert client.recv(timeout=60) == "SET"
        before = client.scene
        assert before.get("box")["tag"] == "Box"
        client.send @ of("SAY", {"etype": "REMOVE", "data": {"keys": ["box"]}})
        assert client.recv(timeout=60) == "REMOVE"
        assert "box" not in client.scene
        assert "box" in before
    assert "box" not in client.scene  # the last one
    with pytest.raises(RuntimeError, match="mirror_scene=True"):
        _ = open_vuer_client(server.uri).scene


def test_link_changes_and_the_end(server):
    client = open_vuer_client(server.uri)
    with pytest.raises(ClientClosed):
        client.link_changes()
    client.wait_closed()  # nothing has been opened
    seen: list[object] = []
    with client:
        changes = client.link_changes()
        watching = threading.Thread(target=lambda: seen.extend(changes))
        watching.start()
        client.send @ of("CLOSE", 1000)
        client.wait_closed()
        assert client.close_code == 1000
        watching.join(60)
        later = client.link_changes()
    [change] = seen
    assert isinstance(change, Disconnected)
    assert change.code == 1000
    assert list(later) == []


def test_link_changes_of_a_client_that_reconnects(server):
    with open_vuer_client(server.uri, reconnect=True) as client:
        changes = client.link_changes()
        client.send @ of("CLOSE", 1001)
        assert next(changes).code == 1001
        assert next(changes) == Connected(2)
    assert isinstance(next(changes), Disconnected)  # what has happened since is there
    assert list(changes) == []


def test_waiting_for_the_end_in_another_thread(server):
    client = open_vuer_client(server.uri).connect()
    threading.Timer(0.1, client.close).start()
    client.wait_closed()
    assert not client.connected
