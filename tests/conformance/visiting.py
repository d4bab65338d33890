"""The addresses that a client of the suite's server visits, one after the other."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

from websockets.sync.client import connect

__all__ = ["case_count", "case_uri", "have_reported"]


def case_count(answer: bytes | str) -> int:
    count: int = json.loads(answer)
    return count


def case_uri(uri: str, case: int, agent: str) -> str:
    return f"{uri}/runCase?case={case}&agent={quote_plus(agent)}"


def have_reported(uri: str) -> None:
    """Have the server write the reports of all clients, however long it takes."""
    reports = connect(f"{uri}/updateReports?agent=all", open_timeout=None, ping_interval=None)
    with reports as connection:
        list(connection)  # none: the server closes it then
