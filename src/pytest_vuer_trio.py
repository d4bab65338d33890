"""The pytest plugin of vuer-trio: three fixtures, and nothing until one of them is used.

Each fixture is a plain function that makes async context managers, so that a test may run under
pytest-trio, under anyio's plugin or under pytest-asyncio; this plugin knows none of them.

It is a module of its own, and imports the package only when a fixture is used: pytest loads its
plugins before coverage is measured.
"""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["vuer_client", "vuer_pair", "vuer_server"]


@pytest.fixture
def vuer_server() -> Any:
    """``async with vuer_server(app) as server:`` serves an app in memory."""
    from vuer_trio import testing

    return testing.vuer_server


@pytest.fixture
def vuer_client() -> Any:
    """``async with vuer_client(server) as client:`` connects to a server in memory."""
    from vuer_trio import testing

    return testing.vuer_client


@pytest.fixture
def vuer_pair() -> Any:
    """``async with vuer_pair(app) as (server, client):`` is both."""
    from vuer_trio import testing

    return testing.vuer_pair
