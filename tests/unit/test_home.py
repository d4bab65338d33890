"""A loop's things, asked for from elsewhere: another thread, another loop, a forked child."""

from __future__ import annotations

import threading

import anyio
import anyio.to_thread
import pytest

from vuer_trio import ClientClosed
from vuer_trio import _home as module
from vuer_trio._home import Home
from vuer_trio._runtime import runtime

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request):
    return request.param


def new_home(**options) -> Home:
    return Home(runtime(), "the thing", **options)


def fails() -> None:
    raise TimeoutError("of its own")


async def test_in_its_own_loop_it_is_called_at_once():
    home = new_home()
    home.check()
    home.check_loop()
    assert home.call(lambda: 7) == 7


async def test_from_another_thread_it_is_called_in_the_loop():
    home = new_home()
    assert await anyio.to_thread.run_sync(home.call, threading.get_ident) == home.thread
    with pytest.raises(TimeoutError, match="of its own"):
        await anyio.to_thread.run_sync(home.call, fails)


@pytest.mark.parametrize("check", [Home.check, Home.check_loop])
async def test_from_another_thread_it_is_told_what_to_call(check, anyio_backend):
    home = new_home()
    there = "trio.from_thread.run" if anyio_backend == "trio" else "run_coroutine_threadsafe"
    with pytest.raises(RuntimeError, match=rf"the thing belongs to .* thread: .*{there}"):
        await anyio.to_thread.run_sync(check, home)


def test_another_loop_of_the_thread_is_refused(anyio_backend):
    async def make() -> Home:
        return new_home()

    home = anyio.run(make, backend=anyio_backend)

    async def use() -> None:
        home.check_loop()

    with pytest.raises(RuntimeError, match="another event loop than the one that runs here"):
        anyio.run(use, backend=anyio_backend)


def test_who_calls_into_a_loop_that_ends_is_told(anyio_backend):
    homes, outcome = [], []

    def ask() -> None:
        try:
            homes[0].call(list)
        except ClientClosed as exc:
            outcome.append(str(exc))

    async def make() -> None:
        homes.append(new_home())

    anyio.run(make, backend=anyio_backend)
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(60)
    assert outcome == ["the event loop of the thing has ended"]


async def test_in_a_forked_child_it_is_of_no_use(monkeypatch):
    told = []
    home, other = new_home(on_fork=lambda: told.append("child")), new_home()
    monkeypatch.setattr(module, "_living", {home, other})
    module._leave_all_behind()  # as the child does, of which coverage sees nothing
    assert told == ["child"]
    for it in (home, other):
        for use in (it.check, it.check_loop, lambda it=it: it.call(list)):
            with pytest.raises(RuntimeError, match=r"the thing .*process"):
                use()
