"""A relay, and an agent to talk to. The other ARC examples start them if necessary.

pip install "vuer-trio[arc]"
python examples/arc_relay.py      # a relay at http://localhost:8080, until Ctrl-C
"""

import os
import sys
from contextlib import asynccontextmanager, suppress

import trio

from vuer_trio import RecvTimeout
from vuer_trio.arc import open_arc_client, open_arc_relay, serve_arc_relay


@asynccontextmanager
async def network(runs=1):
    """The URL of a relay: ARC_RELAY_URL, or a temporary one in this program."""
    if url := os.environ.get("ARC_RELAY_URL"):
        yield url
        return
    async with trio.open_nursery() as nursery:
        yield await nursery.start(run_relay, runs)
        nursery.cancel_scope.cancel()


async def run_relay(runs, task_status):
    port = 0
    for _ in range(runs):
        async with open_arc_relay(port=port) as relay:
            port = relay.port
            await be_somebody(relay, task_status)
        task_status = trio.TASK_STATUS_IGNORED


async def be_somebody(relay, task_status):
    """Wait until no message has come for three seconds: a busy machine takes its time."""
    async with open_arc_client(relay.url, agent_id="agent-123") as agent:
        task_status.started(relay.url)
        while relay.stats()["relay"]["connected"] < 2:  # noqa: ASYNC110
            await trio.sleep(0.01)
        await agent.discovery({"can": ["weather"]})
        await agent.question("Is anybody there?")
        with suppress(RecvTimeout):
            while True:
                message = await agent.recv(timeout=3)
                if message.type == "question":
                    await agent.reply(message, "Sunny")
                elif message.to == ["agent-123"]:
                    await agent.direct(message.sender, "Hello back")


if __name__ == "__main__":
    try:
        trio.run(serve_arc_relay, "localhost", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    except* KeyboardInterrupt:
        pass
