"""What tests compare before and after: counts of objects, and ports."""

from __future__ import annotations

import random
import socket
from collections import Counter

import pytest
import trio

from tests.free_ports import free_port
from tests.resource_counts import count_only_new_objects, growing, object_counts

LOOKS = (5, 10, 15, 20, 25)


def test_an_object_that_leaks_at_each_repetition_is_found():
    kept, looks = [], []
    for n in range(26):
        kept.append(trio.Event())
        if n in LOOKS:
            looks.append((n, object_counts()))
    assert set(growing(looks)) == {"trio.Event"}
    kept.clear()


def test_what_was_there_before_is_not_counted():
    old = trio.Event()
    assert object_counts()["trio.Event"] >= 1
    count_only_new_objects()
    assert object_counts()["trio.Event"] == 0
    both = [old, trio.Event()]
    assert object_counts()["trio.Event"] == len(both) - 1


@pytest.mark.parametrize("seed", range(20))
def test_what_comes_and_goes_is_no_leak(seed):
    chance = random.Random(seed)

    def counts(n: int) -> Counter[str]:
        in_flight = {f"{k}": 100 + chance.randint(-20, 20) for k in range(5)}
        return Counter({"each": n, "every other": n // 2 + n % 2, "once": n > 5, **in_flight})

    assert {"each"} <= set(growing([(n, counts(n)) for n in LOOKS])) <= {"each", "every other"}


def test_a_free_port_is_refused_and_kept_for_who_is_given_it():
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    for _ in range(2):
        with socket.create_server(("127.0.0.1", port)) as server:
            with socket.create_connection(("127.0.0.1", port)):
                server.accept()[0].close()
    assert free_port() != port
