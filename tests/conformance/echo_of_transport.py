"""An echo of this library's transports, below all that is Vuer's, as a program:

python -m tests.conformance.echo_of_transport trio/websockets serve 9001
python -m tests.conformance.echo_of_transport trio/websockets visit ws://127.0.0.1:9001
"""

from __future__ import annotations

import sys

import anyio

from tests.backends import BACKENDS, Backend
from tests.behaviour.transport_harness import MAX_SIZE, RecordingSink
from tests.conformance.visiting import case_count, case_uri
from vuer_trio._net.address import parse_address
from vuer_trio._net.connect_options import ConnectOptions
from vuer_trio._runtime import runtime
from vuer_trio._websocket.accept import ListenOptions, listen
from vuer_trio._websocket.connect import dial
from vuer_trio._websocket.incoming_request import IncomingRequest
from vuer_trio._websocket.transport import Message, Text

__all__ = ["EchoSink"]


class EchoSink(RecordingSink):
    """Sends back what arrives, text as text; keeps the latest message alone."""

    def deliver(self, messages: list[Message]) -> None:
        for message in messages:
            kept = message if type(message) is Text else bytes(message)
            self.messages[:] = [kept]
            self.send(kept)


async def serve(backend: Backend, port: int) -> None:
    rt = runtime()
    options = ListenOptions("127.0.0.1", port, MAX_SIZE, transport=backend.transport)

    async def greet(incoming: IncomingRequest) -> None:
        sink = EchoSink()
        async with rt.open_nursery() as nursery:
            await sink.carry(await incoming.accept(sink, nursery))
            nursery.cancel_scope.cancel()

    await listen(rt, options, greet, lambda addresses: print("listening", flush=True))


async def visit(backend: Backend, uri: str, agent: str) -> None:
    for case in range(1, case_count(await exchange(backend, f"{uri}/getCaseCount")) + 1):
        await exchange(backend, case_uri(uri, case, agent))


async def exchange(backend: Backend, uri: str) -> bytes:
    """Echo until the server ends it; the latest message."""
    sink = EchoSink()
    compression = "deflate" if backend.transport == "websockets" else None
    options = ConnectOptions(
        parse_address(uri), MAX_SIZE, transport=backend.transport, compression=compression
    )
    async with sink.rt.open_nursery() as nursery:
        await sink.carry(await dial(sink.rt, options, sink, nursery))
        nursery.cancel_scope.cancel()
    return bytes(sink.messages[-1]) if sink.messages else b""


def main() -> None:
    name, verb, where = sys.argv[1:]
    [backend] = [each for each in BACKENDS if each.name == name]
    runtime_name, options = backend.anyio
    if verb == "serve":
        anyio.run(serve, backend, int(where), backend=runtime_name, backend_options=options)
    else:
        anyio.run(visit, backend, where, name, backend=runtime_name, backend_options=options)


if __name__ == "__main__":
    main()
