"""Which loop a program is run in."""

import asyncio
import warnings

import pytest
import sniffio

from vuer_trio._runtime import run


@pytest.fixture
def current_loop():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    loop.close()
    asyncio.set_event_loop(None)


def test_nothing_in_a_task():
    async def program():
        with pytest.raises(RuntimeError, match="is already running"):
            run("asyncio", program)

    run("asyncio", program)


def test_the_loop_that_the_program_has_set(current_loop):
    done = []

    async def before():
        done.append("before")
        try:
            await asyncio.sleep(100)
        finally:
            done.append("cancelled")

    async def program():
        assert asyncio.get_running_loop() is current_loop
        await asyncio.sleep(0)
        done.append("program")

    task = current_loop.create_task(before())
    run("asyncio", program)
    assert done == ["before", "program", "cancelled"]
    assert task.cancelled()
    assert current_loop.is_closed()
    with pytest.raises(RuntimeError):
        asyncio.get_event_loop()


@pytest.mark.parametrize("which", ["none", "closed", "running"])
def test_a_loop_of_its_own(current_loop, monkeypatch, which):
    if which == "none":
        asyncio.set_event_loop(None)
    elif which == "closed":
        current_loop.close()
    else:
        monkeypatch.setattr(current_loop, "is_running", lambda: True)
    found = []

    async def program():
        found.append(asyncio.get_running_loop())

    run("asyncio", program)
    assert found != [current_loop]
    assert found[0].is_closed()


def test_how_the_loop_was_looked_for_shows_in_no_warning_and_no_error_of_the_program():
    asyncio.set_event_loop(None)

    async def program():
        warnings.warn("of the program", DeprecationWarning, stacklevel=1)
        raise ValueError("of the program")

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="of the program") as error:
            run("asyncio", program)
    assert [str(warning.message) for warning in warned] == ["of the program"]
    assert error.value.__context__ is None


def test_trio():
    found = []

    async def program():
        found.append(sniffio.current_async_library())

    run("trio", program)
    assert found == ["trio"]
