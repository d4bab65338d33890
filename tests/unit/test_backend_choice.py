"""Which library a program is written for."""

from __future__ import annotations

import sys
from functools import partial, wraps
from types import ModuleType

import pytest

from vuer_trio.port.backend import backend_of
from vuer_trio.server.backend_choice import choose_backend


@pytest.fixture
def module(monkeypatch, tmp_path):
    """Makes a module of the program's from its text."""

    def make(text, name="program_of_a_test"):
        made = ModuleType(name)
        made.__file__ = str(tmp_path / f"{name}.py")
        monkeypatch.setitem(sys.modules, name, made)
        exec(compile(text, made.__file__, "exec"), vars(made))
        return made

    return make


MAIN = "\nasync def main(session): await session.forever()\n"


@pytest.mark.parametrize(
    ("imports", "backend"),
    [
        ("", "trio"),
        ("import time, math", "trio"),
        ("import asyncio", "asyncio"),
        ("import asyncio as aio", "asyncio"),
        ("from asyncio import sleep", "asyncio"),
        ("from asyncio import Event, TimeoutError", "asyncio"),
        ("from asyncio import get_running_loop", "asyncio"),
        ("import asyncio.subprocess as s", "asyncio"),
        ("import trio", "trio"),
        ("import asyncio, trio", "trio"),
        ("import asyncio\nfrom trio import sleep", "trio"),
        ("import anyio", "trio"),
        ("import anyio, asyncio", "asyncio"),
        ("asyncio = 5", "trio"),
    ],
)
def test_what_the_module_has(module, imports, backend):
    assert choose_backend([module(imports + MAIN).main]) == backend


#: stands for each of these packages, of which no more is asked than its name
PACKAGES = {
    "aiohttp": "class ClientSession: ...",
    "uvloop": "",
    "asyncpg": "",
    "aiortc": "class RTCPeerConnection: ...",
    "redis": "",
    "redis.asyncio": "class Redis: ...",
    "websockets": "",
    "websockets.asyncio": "",
    "websockets.asyncio.client": "class connect: ...",
    "websockets.sync": "",
    "websockets.sync.client": "class connect: ...",
    "serial_asyncio": "",
    "trio_asyncio": "",
    "httpx": "class AsyncClient: ...",
    "grpc": "",
    "grpc.aio": "",
}


@pytest.mark.parametrize(
    ("imports", "backend"),
    [
        ("import aiohttp", "asyncio"),
        ("from aiohttp import ClientSession", "asyncio"),
        ("import uvloop", "asyncio"),
        ("import asyncpg as db", "asyncio"),
        ("from aiortc import RTCPeerConnection", "asyncio"),
        ("from websockets.asyncio.client import connect", "asyncio"),
        ("import websockets", "asyncio"),
        ("from websockets.sync.client import connect", "trio"),
        ("import redis", "trio"),
        ("import redis.asyncio as redis", "asyncio"),
        ("from redis import asyncio as aioredis", "asyncio"),
        ("from redis.asyncio import Redis", "asyncio"),
        ("from grpc import aio", "asyncio"),
        ("import serial_asyncio", "asyncio"),
        ("import trio_asyncio, aiohttp", "trio"),
        ("import aiohttp, trio", "trio"),
        ("from httpx import AsyncClient", "trio"),
    ],
)
@pytest.mark.parametrize("where", ["module", "function"])
def test_libraries_that_need_asyncio(module, imports, backend, where):
    for name, text in PACKAGES.items():
        made = module(text, name)
        made.__path__, made.__file__ = [], None
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, made)
    program = f"{imports}{MAIN}"
    if where == "function":
        program = f"async def main(session):\n    {imports}\n    await session.forever()\n"
    assert choose_backend([module(program).main]) == backend
    assert backend_of(program)[0] == backend


def test_nothing_registered_is_trio():
    assert choose_backend([]) == "trio"


def test_all_ways_to_give_a_function(module):
    text = """
import asyncio
class Robot:
    async def main(self, session): pass
    @classmethod
    async def of_class(cls, session): pass
    @staticmethod
    async def static(session): pass
class Callable:
    async def __call__(self, event, session): pass
async def plain(x, session): pass
"""
    made = module(text)
    robot = made.Robot()
    for fn in (robot.main, made.Robot.of_class, made.Robot.static, made.Callable(), made.plain):
        assert choose_backend([fn]) == "asyncio"
    assert choose_backend([partial(partial(made.plain, 1), 2)]) == "asyncio"

    @wraps(made.plain)
    async def wrapper(session):
        return await made.plain(1, session)

    assert choose_backend([wrapper]) == "asyncio"


def test_a_method_that_a_class_has_from_elsewhere(module):
    module("class Base:\n    async def main(self, session): pass\n", "base_of_a_test")
    text = "import asyncio\nfrom base_of_a_test import Base\nclass Robot(Base): pass\n"
    assert choose_backend([module(text).Robot().main]) == "asyncio"


def test_what_a_function_imports_or_closes_over(module):
    text = "async def main(session):\n    import asyncio\n    await asyncio.sleep(1)\n"
    assert choose_backend([module(text).main]) == "asyncio"
    text = """
def build():
    import asyncio
    async def main(session): await asyncio.sleep(1)
    return main
"""
    assert choose_backend([module(text).build()]) == "asyncio"
    text = """
def build():
    async def main(session):
        async def inner():
            from trio import sleep
            await sleep(1)
        await inner()
    return main
import asyncio
"""
    assert choose_backend([module(text).build()]) == "trio"


def test_a_function_from_another_module_of_the_program(module):
    module("import asyncio\nasync def move(): await asyncio.sleep(1)\n", "arm_of_a_test")
    for text in (
        "from arm_of_a_test import move\nasync def main(session): await move()\n",
        "import arm_of_a_test\nasync def main(session): await arm_of_a_test.move()\n",
    ):
        assert choose_backend([module(text).main]) == "asyncio"
    text = "import trio\nfrom arm_of_a_test import move\nasync def main(session): await move()\n"
    assert choose_backend([module(text).main]) == "trio"


def test_what_is_installed_does_not_count(module):
    # both use asyncio, and say nothing of who imports them
    text = "import concurrent.futures, unittest, vuer_trio\nfrom vuer_trio import Vuer" + MAIN
    assert choose_backend([module(text).main]) == "trio"


def test_the_first_of_several_that_says_something(module):
    silent = module(MAIN, "silent_of_a_test").main
    says = module("import asyncio" + MAIN, "asyncio_of_a_test").main
    assert choose_backend([silent, says]) == "asyncio"
    other = module("import trio" + MAIN, "trio_of_a_test").main
    assert choose_backend([silent, says, other]) == "trio"


def test_odd_things_do_not_fail(module):
    class Odd:
        __wrapped__ = None

        def __call__(self):
            pass

    round_ = module(MAIN).main
    round_.__wrapped__ = round_
    assert choose_backend([Odd(), print, len, round_, int]) == "trio"
