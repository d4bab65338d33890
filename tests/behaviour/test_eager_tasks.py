"""``--eager-tasks`` does what it says: without this, a run with it would prove nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.backends import Backend

pytestmark = pytest.mark.anyio


async def test_a_task_begins_in_the_call_that_creates_it(
    backend: Backend, open_client: Any, request: pytest.FixtureRequest
) -> None:
    if backend.runtime == "trio":
        return  # which has none
    begun = []

    async def child() -> None:
        begun.append(True)

    task = asyncio.create_task(child())
    assert begun == [True] * request.config.getoption("eager_tasks")
    await task
    assert begun == [True]
