"""Whether a yield's value is looked at, on each Python: where a generator is suspended differs."""

from __future__ import annotations

from typing import Any

from vuer_trio.server.answered_yields import asks, looks_at_answer


def inner() -> Any:
    yield False
    event = yield True
    return event


def generator() -> Any:
    event = yield True  # noqa: F841 - it is looked at
    yield False
    if (yield True):
        yield False
    print((yield True))
    yield from inner()
    try:
        [(yield True)]
    finally:
        yield False


async def asynchronous() -> Any:
    event = yield True
    yield False
    if (yield True):
        yield False
    for event in ((yield True), (yield True)):
        print(event)
    try:
        [(yield True)]
    finally:
        yield False


async def never() -> Any:
    yield False
    while True:
        yield False


def test_at_each_yield_of_a_generator() -> None:
    suspended = generator()
    expected = list(suspended)
    suspended = generator()
    assert [(looks_at_answer(suspended)) for _ in suspended] == expected
    assert expected == [True, False, True, True, False, True, True, False]


def test_at_each_yield_of_one_that_is_async() -> None:
    suspended = asynchronous()
    seen = []
    while True:
        try:
            suspended.asend(None).send(None)
        except StopIteration as step:
            seen.append((step.value, looks_at_answer(suspended)))
        except StopAsyncIteration:
            break
    assert [expected for expected, _ in seen] == [found for _, found in seen]
    assert len(seen) == 7


def test_whether_it_may_look_at_any() -> None:
    assert asks(asynchronous())
    assert asks(inner())  # which may leave it to another
    assert not asks(never())
