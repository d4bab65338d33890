"""Several loops in one process, each in a thread of its own: they share nothing."""

from __future__ import annotations

import sys
import threading

import anyio
import pytest

from vuer_trio import open_vuer_server
from vuer_trio.events import ClientEvent

COUNT = 2_000


@pytest.fixture
def often():
    """Threads take turns far more often than usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("often")
def test_each_session_gets_what_its_own_client_sent(backend, new_server, open_client):
    got: dict[str, list[object]] = {name: [] for name in "abc"}
    failed = []

    async def main(name):
        app = new_server()
        app.add_handler("N", lambda event, session: got[name].append(event.value))
        async with open_vuer_server(app) as server, open_client(server.uri) as client:
            for n in range(COUNT):
                await client.send(ClientEvent(etype="N", value=[name, n, name * 100]))
            with anyio.fail_after(60):
                while len(got[name]) < COUNT:
                    await anyio.sleep(0.001)

    def run(name):
        library, options = backend.anyio
        try:
            anyio.run(main, name, backend=library, backend_options=options)
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=run, args=(name,)) for name in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in failed:
        raise error
    for name, values in got.items():
        assert values == [[name, n, name * 100] for n in range(COUNT)]
