"""Log lines that a peer causes at will: some at once, then one a second, and the others counted."""

from __future__ import annotations

import logging

from vuer_trio._connection.log_limit import LogLimit

log = logging.getLogger("vuer_trio.test")


def test_the_first_are_logged_then_one_a_second_and_none_is_forgotten(caplog):
    now = [0.0]
    limit = LogLimit(log, "failures of that handler", lambda: now[0])
    assert [limit.admits() for _ in range(100)] == [True] * 20 + [False] * 80
    assert caplog.messages == []
    now[0] = 0.9
    assert not limit.admits()
    now[0] = 1.1
    assert limit.admits()
    assert caplog.messages == ["81 more failures of that handler were not logged"]
    assert not limit.admits()
    now[0] = 1000.0
    assert [limit.admits() for _ in range(30)] == [True] * 20 + [False] * 10
    assert caplog.messages[1:] == ["1 more failures of that handler were not logged"]
