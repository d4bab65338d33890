"""``vuer-trio port``: reads a program, changes its imports, runs it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from vuer_trio.port import Finding, Kind, changed, read
from vuer_trio.port.backend import backend_of

HERE = Path(__file__).parent
OWN = sorted([*(HERE / "programs").glob("*.py"), *(HERE / "families").glob("*.py")])
#: with and without rich, and by its other name
COMMANDS = {
    "module": ["-m", "vuer_trio.port"],
    "command": ["-m", "vuer_trio", "port"],
    "without rich": [
        "-c",
        "import sys; sys.modules['rich'] = None; from vuer_trio.cli import main;"
        " sys.exit(main(['port', *sys.argv[1:]]))",
    ],
}

SERVER = """\
import asyncio
from vuer import (
    Vuer,
    VuerSession,
)
from vuer.schemas import Box

app = Vuer(queue_len=3)

@app.spawn
async def main(session: VuerSession):
    session.upsert @ Box(key="b")
    await asyncio.sleep(1)
"""


@pytest.fixture
def port(tmp_path):
    def run(source, *arguments, options=(), command="module"):
        program = tmp_path / "program.py"
        if source is not None:
            program.write_text(source, "utf-8")
        return subprocess.run(
            [sys.executable, *COMMANDS[command], *options, program.name, *arguments],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_a_program_that_runs(port, command):
    done = port(SERVER, command=command)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "program.py:2: import:     from vuer_trio import ("
    assert lines[1] == "program.py:6: import:     from vuer_trio.schemas import Box"
    assert lines[2].startswith("program.py:8: better:     the newest of each node waits")
    assert lines[3].startswith("program.py:11: better:     main: what it raises is logged")
    assert lines[4:] == [
        "program.py: runs on asyncio: line 1 imports it",
        "program.py: 2 imports to change, nothing that cannot run",
    ]


def test_a_program_that_cannot(port):
    done = port("from vuer.rtc import create_graph\n")
    assert done.returncode == 1
    assert "program.py:1: cannot run: vuer.rtc.create_graph: the operations" in done.stdout
    assert done.stdout.endswith("program.py: 1 import to change, 1 that cannot run\n")


def test_what_is_no_program(port):
    for source, complaint in ((None, "No such file"), ("def\n", "invalid syntax")):
        done = port(source)
        assert done.returncode == 2
        assert "vuer-trio: program.py cannot be read" in done.stderr
        assert complaint in done.stderr
    done = port("import os\n")
    assert (done.returncode, done.stdout) == (0, "program.py: imports nothing of vuer\n")
    done = port("import os\n", "argument")
    assert done.returncode == 2
    assert "need --run" in done.stderr


def test_writing(port, tmp_path):
    assert port(SERVER, options=["--write"]).returncode == 0
    written = (tmp_path / "program.py").read_text("utf-8")
    assert written == SERVER.replace("from vuer", "from vuer_trio")
    assert port(written).stdout.splitlines()[-1] == "program.py: imports nothing of vuer"


@pytest.mark.parametrize("command", ["module", "without rich"])
def test_running(port, command):
    done = port(
        "import multiprocessing, sys\n"
        "import vuer.schemas\n"
        "from vuer import Vuer\n"
        "from vuer.events import ClientEvent\n"
        "import vuer.server as server\n"
        "def tell(who):\n"
        "    print(who, Vuer.__module__, vuer.__name__, server.Vuer is vuer.Vuer, flush=True)\n"
        "if __name__ == '__main__':\n"
        "    tell('main')\n"
        "    print(sys.argv, ClientEvent(etype='A') == 'A', vuer.schemas.Box.tag)\n"
        "    child = multiprocessing.get_context('spawn').Process(target=tell, args=('child',))\n"
        "    child.start()\n"
        "    child.join()\n"
        "    import vuer_trio.schemas, vuer_trio\n"
        "    print(vuer.schemas is vuer_trio.schemas, vuer_trio.schemas.__spec__.name)\n"
        "    sys.exit(7)\n",
        "--port=1",
        options=["--run"],
        command=command,
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.splitlines() == [
        "main vuer_trio.server.app vuer_trio True",
        "['program.py', '--port=1'] True Box",
        "child vuer_trio.server.app vuer_trio True",
        "True vuer_trio.schemas",
    ]


@pytest.mark.skipif(find_spec("vuer") is None, reason="vuer is not installed")
def test_the_page_of_one_that_is_run(port):
    source = (
        "import vuer\n"
        "from vuer_trio._web_client.installed import web_client\n"
        "print(vuer.__name__, (web_client() / 'index.html').is_file())\n"
    )
    assert port(source, options=["--run"]).stdout == "vuer_trio True\n"


def test_running_what_is_not_here(port):
    done = port("import vuer.rtc.store\n", options=["--run"])
    assert done.returncode == 1
    assert "ModuleNotFoundError: vuer.rtc.store: the operations of vuer-rtc" in done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import vuer", "import vuer_trio as vuer"),
        ("import vuer as v", "import vuer_trio as v"),
        ("import os, vuer, sys", "import os, vuer_trio as vuer, sys"),
        ("import vuer.events", "import vuer_trio.events, vuer_trio as vuer"),
        ("import vuer.events as e, vuer.a", None),
        ("from vuer import Vuer", "from vuer_trio import Vuer"),
        ("from vuer.schemas import (\n    Box,\n)", "from vuer_trio.schemas import (\n    Box,\n)"),
        ("from \\\n    vuer import Vuer", "from \\\n    vuer_trio import Vuer"),
        ("é = 1; from vuer import Vuer  # vuer", "é = 1; from vuer_trio import Vuer  # vuer"),
        ("if 1:\n\timport vuer\n", "if 1:\n\timport vuer_trio as vuer\n"),
        ("from vuer import Vuer\r\nvuer = 1\r\n", "from vuer_trio import Vuer\r\nvuer = 1\r\n"),
        ("from .vuer import a; from vuerx import b; import vuerx", None),
        ("'from vuer import Vuer'", "'from vuer import Vuer'"),
    ],
)
def test_changed_imports(old, new):
    if new is None:
        new = old.replace("vuer.events as e, vuer.a", "vuer_trio.events as e, vuer_trio.a")
        new = new.replace("vuer_trio.a", "vuer_trio.a, vuer_trio as vuer")
    assert changed(old) == new
    assert changed(new) == new
    compile(new, "<changed>", "exec")


def said(source):
    return {(f.line, f.kind): f.text for f in read(source) if f.kind is not Kind.IMPORT}


def test_what_is_said_of_an_app():
    found = said(
        "import vuer\n"
        "class A:\n"
        "    def __init__(self):\n"
        "        self.app = vuer.Vuer(free_port=True, nonsense=1)\n"
        "        self.app.add_handler('A', self.on_a)\n"
        "    def on_a(self, event, session): ...\n"
        "    async def inside(self):\n"
        "        self.app.start()\n"
        "    def outside(self):\n"
        "        self.app.start()\n"
        "        self.app.create_webrtc_stream('a')\n"
        "        print(self.app.spawn_handlers)\n"
    )
    assert set(found) == {
        (4, Kind.DIFFERS),
        (4, Kind.STOPS),
        (5, Kind.BETTER),
        (8, Kind.STOPS),
        (12, Kind.STOPS),
    }
    assert found[4, Kind.STOPS] == "Vuer has no option nonsense="
    assert "await app.serve()" in found[8, Kind.STOPS]


def test_what_is_said_of_a_session():
    found = said(
        "from vuer import Vuer, VuerSession, VuerClient\n"
        "app = Vuer()\n"
        "@app.add_handler('A')\n"
        "def handler(event, session): ...\n"
        "@app.spawn(start=True)\n"
        "async def main(proxy: VuerSession):\n"
        "    await proxy.till('INIT')\n"
        "    await proxy.till('OTHER')\n"
        "    proxy.upsert(to='a') @ box\n"
        "    proxy.upsert(box, to='a')\n"
        "    proxy.update(box, strict=True)\n"
        "    proxy.uplink_queue.clear(); task = proxy.spawn_task(work)\n"
        "    async with VuerClient() as client:\n"
        "        await client.recv()\n"
        "patch('vuer.server.Vuer')\n"
        "task.done()\n"
    )
    assert set(found) == {
        (4, Kind.BETTER),
        (6, Kind.BETTER),
        (7, Kind.BETTER),
        (9, Kind.BETTER),
        (11, Kind.BETTER),
        (12, Kind.STOPS),
        (14, Kind.DIFFERS),
        (15, Kind.DIFFERS),
    }


def test_what_is_said_of_a_generator():
    found = said(
        "from vuer import Vuer\n"
        "async def show(session):\n"
        "    event = yield Set(scene)\n"
        "    event = yield NOOP\n"
        "    yield Set(scene)\n"
    )
    assert set(found) == {(5, Kind.BETTER)}


def test_what_a_star_brings_along_there():
    source = "from vuer.schemas import *\nfrom pathlib import Path\nnp.zeros(3); Path('a')\nBox()\n"
    assert said(source) == {(3, Kind.STOPS): "np comes from line 1, and must be imported by itself"}
    assert Finding(1, "from vuer_trio.schemas import *", Kind.IMPORT) in read(source)


@pytest.mark.parametrize(
    ("source", "backend"),
    [
        ("from asyncio import sleep", "asyncio"),
        ("import asyncio.subprocess as a, trio", "trio"),
        ("def f():\n    import asyncio", "asyncio"),
        ("import anyio", "trio"),
        ("from . import asyncio", "trio"),
    ],
)
def test_the_library_that_is_chosen(source, backend):
    assert backend_of(source)[0] == backend


HELPERS = {
    "neither": ({"helper.py": "import time\n"}, "trio", "the program imports neither"),
    "asyncio": ({"helper.py": "import asyncio\n"}, "asyncio", "helper.py, line 1 imports it"),
    "a library": (
        {"helper.py": "import time\nimport aiohttp\n"},
        "asyncio",
        "helper.py, line 2 imports aiohttp, which needs it",
    ),
    "its own helper": (
        {
            "helper.py": "from parts import deep\n",
            "parts/__init__.py": "",
            **{"parts/deep.py": "from . import deeper", "parts/deeper.py": "import asyncio"},
        },
        "asyncio",
        "deeper.py, line 1 imports it",
    ),
    "both": (
        {"helper.py": "import asyncio\nimport trio\n"},
        "trio",
        "helper.py, line 2 imports it",
    ),
    "in a circle": ({"helper.py": "import program, asyncio\n"}, "asyncio", "helper.py, line 1"),
    "not when imported": (
        {"helper.py": "def other():\n    import asyncio\n"},
        "trio",
        "the program imports neither",
    ),
}


@pytest.mark.parametrize("case", HELPERS)
def test_helpers_of_a_program_count_as_when_it_runs(port, tmp_path, case):
    files, backend, reason = HELPERS[case]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    program = (
        "import helper\n"
        "from vuer import Vuer\n"
        "app = Vuer(host='127.0.0.1', port=0)\n"
        "@app.spawn\n"
        "async def main(session):\n"
        "    await session.forever()\n"
        "if __name__ == '__main__':\n"
        "    from vuer_trio.server.backend_choice import choose_backend\n"
        "    print('chosen:', choose_backend([main]))\n"
    )
    assert f"runs on {backend}: {reason}" in port(program).stdout
    assert port(None, options=["--run"]).stdout == f"chosen: {backend}\n"


def test_helpers_that_import_it_are_named(port, tmp_path):
    (tmp_path / "helper.py").write_text("from vuer.schemas import Box\n")
    said = port("import helper\nimport vuer\n").stdout
    assert "program.py: helper.py, which it imports, imports vuer as well" in said


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_nothing_is_held_against_programs_that_run(path):
    assert [f for f in read(path.read_text("utf-8")) if f.kind is Kind.STOPS] == []
