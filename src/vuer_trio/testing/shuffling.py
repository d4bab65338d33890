"""Running a scenario under many orders of its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

import anyio
import sniffio
import trio
import trio.testing

from .._formatting import must_be
from .asyncio_orders import ShuffledLoop
from .trio_orders import seeded

__all__ = ["shuffled"]

#: virtual seconds after which a scenario is taken for one that never ends
_LIMIT = 100_000.0


def shuffled(
    scenario: Callable[[], Awaitable[object]],
    *,
    seeds: int | Iterable[int] = 100,
    backend: Literal["trio", "asyncio"] = "trio",
    limit: float = _LIMIT,
) -> int:
    """Run ``scenario`` once for each seed, each time with another order of the runnable tasks.

    Whenever several tasks may run, the seed determines which goes first: a seed stands for one
    order. ``seeds`` are as many, from 0, or those to run. Each run has a new event loop of
    ``backend`` with virtual time that starts at 0: a sleep takes no time, once all tasks wait::

        def test_no_order_loses_an_event():
            shuffled(scenario, seeds=200, backend="asyncio")

    A sync function: call it where no event loop runs. Returns the number of runs.

    The exception of a run is raised, with a note that tells its seed and how to run it again.
    Raises AssertionError, with the same note, if a run has not ended after ``limit`` virtual
    seconds, which is how tasks show that wait for each other; RuntimeError inside an event loop;
    TypeError and ValueError for invalid arguments.

    What is random by itself (threads, sockets, `random`, the order of a set) is so here: keep
    the scenario in memory to get the same run from the same seed.
    """
    if backend not in ("trio", "asyncio"):
        raise ValueError(must_be("backend", '"trio" or "asyncio"', backend))
    if isinstance(seeds, bool) or not isinstance(seeds, int | Iterable) or isinstance(seeds, str):
        raise TypeError(must_be("seeds", "a number of them, or the seeds", seeds, "use seeds=100"))
    chosen = list(range(seeds) if isinstance(seeds, int) else seeds)
    if not chosen:
        raise ValueError(must_be("seeds", "at least one", seeds))
    if wrong := [seed for seed in chosen if isinstance(seed, bool) or not isinstance(seed, int)]:
        raise TypeError(must_be("each seed", "an int", wrong[0]))
    try:
        running = sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        pass
    else:
        raise RuntimeError(
            f"shuffled starts event loops of its own, but {running} is running: call it from a "
            "function that is not async"
        )
    run = _run_trio if backend == "trio" else _run_asyncio
    for seed in chosen:
        try:
            run(scenario, seed, limit)
        except BaseException as exc:
            exc.add_note(
                f'shuffled: seed {seed} on {backend}; seeds=[{seed}], backend="{backend}" runs it '
                "again"
            )
            raise
    return len(chosen)


def _run_trio(scenario: Callable[[], Awaitable[object]], seed: int, limit: float) -> None:
    async def main() -> None:
        with trio.move_on_after(limit) as scope:
            await scenario()
        if scope.cancelled_caught:
            raise _endless(limit)

    with seeded(seed):
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def _run_asyncio(scenario: Callable[[], Awaitable[object]], seed: int, limit: float) -> None:
    async def main() -> None:
        with anyio.move_on_after(limit) as scope:
            await scenario()
        if scope.cancelled_caught:
            raise _endless(limit)

    def new_loop() -> ShuffledLoop:
        return ShuffledLoop(seed, virtual_time=True)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


def _endless(limit: float) -> AssertionError:
    return AssertionError(
        f"the scenario has not ended after {limit:,g} virtual seconds: a task waits for what never "
        "comes"
    )
