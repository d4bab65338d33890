"""What every byte stream promises, on both libraries: it raises OSError, and nothing else."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest
import sniffio
import trio

from vuer_trio._net.backend import net_backend
from vuer_trio._runtime import runtime

pytestmark = pytest.mark.anyio


async def of_the_library(port):
    return await net_backend(runtime()).open_tcp("127.0.0.1", port)


async def of_a_user(port):
    if sniffio.current_async_library() == "trio":
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    else:
        stream = await anyio.connect_tcp("127.0.0.1", port)
    return net_backend(runtime()).wrap(stream)


@pytest.mark.parametrize("opens", [of_the_library, of_a_user])
async def test_nothing_can_be_sent_behind_its_end(backend, opens):
    async def hold(stream):
        async with stream:
            await stream.send(b"hello")
            await ended.wait()

    ended = anyio.Event()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, hold)
        stream = await opens(port)
        await stream.send_all(b"x")
        await stream.send_eof()
        with pytest.raises(OSError):  # noqa: PT011  # of any kind
            await stream.send_all(b"y")
        with suppress(OSError):
            assert stream.try_send(b"y") == 0
        assert bytes(await stream.receive()) == b"hello", "the other direction goes on"
        ended.set()
        assert bytes(await stream.receive()) == b""
        await stream.aclose()
        tasks.cancel_scope.cancel()
