"""What the behavioural tests share."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import msgpack

from vuer_trio.events import ClientEvent

__all__ = ["Number", "numbers", "open_sockets", "task_count"]


class Number(ClientEvent):
    """An event that carries a number, and may be padded with ``pad`` bytes."""

    etype = "NUMBER"


def numbers(messages: list[Any]) -> list[Any]:
    """The values of the NUMBER events among a peer's messages; padding left out."""
    events = [msgpack.unpackb(message) for message in messages]
    return [event["value"] for event in events if event["etype"] == "NUMBER"]


def open_sockets() -> int:
    """File descriptors of this process that are sockets."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return count


def task_count() -> int:
    """Tasks of the running Trio loop."""
    import trio

    pending = [trio.lowlevel.current_root_task()]
    count = 0
    while pending:
        task = pending.pop()
        if task is None:
            continue
        count += 1
        for nursery in task.child_nurseries:
            pending.extend(nursery.child_tasks)
    return count
