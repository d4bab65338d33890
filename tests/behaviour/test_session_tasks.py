"""What `session.spawn_task` gives: the methods of an `asyncio.Task`, under Trio as well."""

from __future__ import annotations

import asyncio
import contextvars
import gc

import anyio
import anyio.lowlevel
import pytest

from tests.behaviour.raw_client import eventually
from vuer_trio import TaskCancelled, open_vuer_server
from vuer_trio.events import ClientEvent

pytestmark = pytest.mark.anyio


class Odd(Exception):
    pass


async def seven():
    await anyio.lowlevel.checkpoint()
    return 7


async def fails():
    await anyio.lowlevel.checkpoint()
    raise Odd("XYZZY")


@pytest.fixture
def in_a_session(new_server, open_client):
    """Calls a function with a session, in that session's function."""

    async def run(fn):
        app, ended = new_server(), []

        @app.spawn
        async def main(session):
            await fn(session)
            ended.append(True)

        async with open_vuer_server(app) as server, open_client(server.uri) as client:
            with anyio.fail_after(60):
                await client.wait_closed()
        assert ended, "the function has raised, see the log"

    return run


@pytest.fixture
def cancelled_error(backend):
    """What awaiting a cancelled task raises."""
    return TaskCancelled if backend.runtime == "trio" else asyncio.CancelledError


async def test_the_result_of_one_that_returns(in_a_session):
    async def main(session):
        for args in ((seven,), (seven(), "lucky")):
            task = session.spawn_task(args[0], name=args[1] if args[1:] else None)
            assert not task.done()
            assert not task.cancelled()
            with pytest.raises((RuntimeError, asyncio.InvalidStateError)):
                task.result()
            assert await task == 7
            assert task.done()
            assert await task == 7
            assert (task.result(), task.exception(), task.cancelled()) == (7, None, False)
            assert task.cancel() is False
        assert task.get_name() == task.name == "lucky"
        task.set_name(5)
        assert (task.get_name(), repr(task)) == ("5", "<SessionTask '5' has ended>")

    await in_a_session(main)


async def test_one_that_raises_while_it_is_awaited(in_a_session, caplog):
    async def main(session):
        task = session.spawn_task(fails)
        with pytest.raises(Odd, match="XYZZY"):
            await task
        assert task.done()
        assert not task.cancelled()
        assert isinstance(task.exception(), Odd)
        with pytest.raises(Odd):
            task.result()
        with pytest.raises(Odd):
            await task

    await in_a_session(main)
    await anyio.sleep(0.01)
    assert "XYZZY" not in caplog.text


@pytest.mark.parametrize("later", [False, True])
async def test_one_that_raises_and_nobody_awaits_is_logged_once(in_a_session, caplog, later):
    async def main(session):
        task = session.spawn_task(fails)
        await task.wait()
        await eventually(lambda: "fails raised" in caplog.text)
        if later:
            with pytest.raises(Odd):
                await task

    await in_a_session(main)
    gc.collect()
    assert caplog.text.count("Odd: XYZZY") == 1


async def test_one_that_is_cancelled(in_a_session, cancelled_error, caplog):
    async def main(session):
        task = session.spawn_task(anyio.sleep_forever)
        assert task.cancel() is True
        for _ in range(2):
            with pytest.raises(cancelled_error):
                await task
        assert task.done()
        assert task.cancelled()
        for method in (task.result, task.exception):
            with pytest.raises(cancelled_error):
                method()
        assert "was cancelled" in repr(task)

    await in_a_session(main)
    assert not caplog.records


async def test_one_that_catches_its_cancellation_has_a_result(in_a_session):
    async def stubborn():
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            return "anyway"

    async def main(session):
        task = session.spawn_task(stubborn)
        await anyio.sleep(0.01)
        task.cancel()
        assert await task == "anyway"
        assert not task.cancelled()

    await in_a_session(main)


async def test_what_is_called_at_its_end(in_a_session, caplog):
    seen, variable = [], contextvars.ContextVar("variable", default=0)

    def note(task):
        seen.append((task, variable.get()))

    def broken(task):
        raise ZeroDivisionError

    async def main(session):
        context = contextvars.copy_context()
        context.run(variable.set, 3)
        task = session.spawn_task(seven)
        task.add_done_callback(print)
        task.add_done_callback(print)
        assert task.remove_done_callback(print) == 2
        assert task.remove_done_callback(print) == 0
        task.add_done_callback(note)
        task.add_done_callback(note, context=context)
        await task
        await eventually(lambda: len(seen) == 2)
        task.add_done_callback(note)
        await eventually(lambda: len(seen) == 3)
        assert seen == [(task, 0), (task, 3), (task, 0)]

    await in_a_session(main)


@pytest.mark.parametrize("how", ["callback", "result"])
async def test_an_error_that_a_callback_takes_is_not_logged(in_a_session, caplog, how):
    taken = []

    def take(task):
        if how == "result":
            with pytest.raises(Odd):
                task.result()
        taken.append(task.exception())

    async def main(session):
        task = session.spawn_task(fails)
        task.add_done_callback(take)
        await task.wait()
        await eventually(lambda: taken)

    await in_a_session(main)
    await anyio.sleep(0.01)
    assert "XYZZY" not in caplog.text


async def test_the_end_of_a_session_cancels_its_tasks(new_server, open_client, cancelled_error):
    """For those outside of it who wait; those in it are cancelled themselves."""
    app, tasks, ends = new_server(), [], []

    async def waits(task):
        with pytest.raises(cancelled_error):
            await task
        ends.append(task.cancelled())

    @app.spawn
    async def main(session):
        tasks.append(session.spawn_task(anyio.sleep_forever))
        await tasks[0]

    async with open_vuer_server(app) as server, anyio.create_task_group() as group:
        async with open_client(server.uri):
            await eventually(lambda: tasks)
            group.start_soon(waits, tasks[0])
            group.start_soon(waits, tasks[0])
            await anyio.sleep(0.01)
        await eventually(lambda: len(ends) == 2)
    assert ends == [True, True]


async def test_the_end_of_a_session_that_awaits_its_task_logs_nothing(
    new_server, open_client, caplog
):
    app, tasks = new_server(), []

    async def cleans_up():
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)

    @app.spawn
    async def main(session):
        tasks.append(session.spawn_task(cleans_up))
        await tasks[0]

    async with open_vuer_server(app) as server:
        async with open_client(server.uri):
            await eventually(lambda: tasks)
            await anyio.sleep(0.01)
        await eventually(lambda: not app.sessions and tasks[0].done())
    assert [r for r in caplog.records if r.levelname in ("WARNING", "ERROR")] == []


async def test_a_cancelled_wait(in_a_session, backend):
    """On Trio it only stops waiting; on asyncio it cancels the task, as that of a Task's does."""

    async def main(session):
        task = session.spawn_task(anyio.sleep_forever)
        with anyio.move_on_after(0.02) as scope:
            await task
        assert scope.cancelled_caught
        assert task.cancelled() is (backend.runtime != "trio")
        task = session.spawn_task(anyio.sleep_forever)
        with anyio.move_on_after(0.02) as scope:
            await task.wait()
        assert scope.cancelled_caught
        assert not task.done()
        task.cancel()

    await in_a_session(main)


async def test_asyncio_takes_it_for_a_future(in_a_session, backend):
    if backend.runtime == "trio":
        return

    async def main(session):
        def spawn():
            return session.spawn_task(seven)

        assert await asyncio.gather(spawn(), seven(), spawn()) == [7, 7, 7]
        assert await asyncio.wait_for(spawn(), 5) == 7
        assert await asyncio.shield(spawn()) == 7
        tasks = {spawn(), session.spawn_task(fails)}
        done, pending = await asyncio.wait(tasks)
        assert (done, pending) == (tasks, set())
        done, pending = await asyncio.wait(
            {spawn(), forever := session.spawn_task(anyio.sleep_forever)},
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert [task.result() for task in done] == [7]
        assert pending == {forever}
        for first in asyncio.as_completed([spawn(), spawn()]):
            assert await first == 7
        [error] = await asyncio.gather(session.spawn_task(fails), return_exceptions=True)
        assert isinstance(error, Odd)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(forever), 0.01)
        assert not forever.done()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(forever, 0.01)
        assert forever.cancelled()
        assert asyncio.isfuture(forever)
        assert asyncio.ensure_future(forever) is forever
        outer = asyncio.create_task(asyncio.wait({waited := session.spawn_task(seven)}))
        await outer
        assert waited.result() == 7
        handed = session.spawn_task(anyio.sleep_forever)

        async def awaits():
            await handed

        outer = asyncio.create_task(awaits())
        await asyncio.sleep(0.01)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert handed.cancelled()

    await in_a_session(main)


async def test_what_a_callback_raises_is_logged(new_server, open_client, backend, caplog):
    """On asyncio by the loop, as for each future."""
    app, told = new_server(), []

    def broken(task):
        told.append(task)
        raise ZeroDivisionError("XYZZY")

    @app.spawn
    async def main(session):
        if backend.runtime != "trio":
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: told.append(context["exception"]))
        task = session.spawn_task(seven)
        task.add_done_callback(broken)
        assert await task == 7
        await session.forever()

    async with open_vuer_server(app) as server, open_client(server.uri):
        await eventually(lambda: "XYZZY" in caplog.text or len(told) == 2)
        assert len(app.sessions) == 1


async def test_a_handler_that_returns_one_does_not_wait_for_it(new_server, open_client):
    app, seen = new_server(), []

    @app.add_handler("GO")
    def on_go(event, session):
        seen.append(event.value)
        return session.spawn_task(anyio.sleep_forever)

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        for n in range(3):
            await client.send(ClientEvent(etype="GO", value=n))
        await eventually(lambda: seen == [0, 1, 2])


async def test_a_function_of_spawn_that_returns_one_is_over_with_it(new_server, open_client):
    app = new_server()
    app.spawn(lambda session: session.spawn_task(seven))
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        with anyio.fail_after(60):
            await client.wait_closed()
        assert client.close_code == 1000


async def test_a_wait_that_is_cancelled_anywhere_loses_nothing(new_server, open_client, backend):
    """Neither the result, nor the task under Trio, nor the session."""
    app, seen = new_server(), []

    async def main(session):
        for n in range(12):
            task = session.spawn_task(after, n % 4)
            given_up = 0
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(cancel_after, scope, n // 4)
                    given_up = await task
                    group.cancel_scope.cancel()
            await task.wait()
            assert given_up in (0, 7)
            if backend.runtime == "trio":
                assert await task == 7
            else:
                assert task.cancelled() or task.result() == 7
            seen.append(n)

    async def after(steps):
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        return 7

    async def cancel_after(scope, steps):
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    app.spawn(main)
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        with anyio.fail_after(60):
            await client.wait_closed()
        assert client.close_code == 1000
    assert seen == list(range(12))
