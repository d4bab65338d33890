"""A Ctrl-C in the thread that waits for a portal, at the steps that no test of a program hits."""

from __future__ import annotations

import threading
import time

import pytest

from vuer_trio.sync import portal
from vuer_trio.sync.portal import Portal


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


@pytest.mark.parametrize("taken", [False, True], ids=["before", "after"])
def test_a_loop_that_nobody_waits_for_any_more_ends(monkeypatch, taken):
    wait_for = portal._wait_for

    def interrupted(queue):
        if taken:  # the loop has come out of the queue, and is lost
            wait_for(queue)
        raise KeyboardInterrupt

    monkeypatch.setattr(portal, "_wait_for", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Portal("abandoned")
    deadline = time.monotonic() + 60
    while threads("abandoned"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_waits_for_long_gets_the_answer(monkeypatch):
    monkeypatch.setattr(portal, "_LOOK", 0.01)
    made = Portal("waiting")
    try:
        started = time.monotonic()
        assert made.call(_after, 0.2) == "an answer"
        assert time.monotonic() - started >= 0.2
    finally:
        made.stop()
    assert not threads("waiting")


async def _after(seconds):
    await portal.trio.sleep(seconds)
    return "an answer"
