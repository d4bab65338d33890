"""Programs written for `vuer` run with the import root changed, and nothing else."""

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.ported.compare import Comparison, compare
from tests.repetitions import part

pytestmark = [
    pytest.mark.interop,
    pytest.mark.no_cover,
    pytest.mark.skipif(importlib.util.find_spec("vuer") is None, reason="vuer is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="they fork, and are ended by signals"),
]

HERE = Path(__file__).parent
PROGRAMS = sorted(path.stem for path in (HERE / "programs").glob("*.py"))
#: the public families, and how each is started
FAMILIES = {
    "robot_teleoperation": [
        f"{device}-{eyes}"
        for device in ("hands", "controllers")
        for eyes in ("binocular", "monocular")
    ],
    "television": [f"{stream}-{way}" for stream in ("image", "webrtc") for way in ("tls", "ngrok")],
}
MODES = [(family, mode) for family, modes in FAMILIES.items() for mode in modes]
#: seconds that each of them runs for, when all of it is run
MINUTE = float(os.environ.get("PORTED_SECONDS", "60"))


def test_there_are_enough():
    assert len(PROGRAMS) >= 40
    assert sum(map(len, FAMILIES.values())) == 8


@pytest.mark.parametrize("name", part(PROGRAMS, 12))
def test_runs_as_it_does_there(name):
    found = asyncio.run(compare(HERE / "programs" / f"{name}.py"))
    check(found)


#: since 3.14 `multiprocessing` forks only if it is told to, and vuer's app needs that;
#: tests/behaviour/test_pickled_apps.py shows that ours does not
forks = pytest.mark.skipif(sys.version_info >= (3, 14), reason="vuer needs processes that fork")


@forks
@pytest.mark.parametrize(("family", "mode"), part(MODES, 2))
def test_a_teleoperation_server_runs_as_it_does_there(family, mode):
    path = HERE / "families" / f"{family}.py"
    found = asyncio.run(compare(path, MODE=mode))
    check(found)
    assert found.lines >= 2


@forks
@pytest.mark.thorough
@pytest.mark.parametrize(("family", "mode"), MODES)
def test_a_teleoperation_server_runs_for_a_minute_and_leaves_no_process(family, mode):
    """``kill -TERM`` of the one process that was started; those that it has started end, too."""
    path = HERE / "families" / f"{family}.py"
    found = asyncio.run(compare(path, seconds=MINUTE, to_main_alone=True, MODE=mode))
    check(found)
    assert found.seconds >= MINUTE
    assert found.processes > 1
    assert found.frames >= 1


def check(found: Comparison) -> None:
    assert not found.differences, str(found)
    assert found.frames or found.lines
    # both may fail alike, and that would show nothing
    assert "raised, so the session" not in found.complaints


def test_the_command_sees_a_difference(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from vuer import Vuer\n"
        "from vuer.schemas import Box, Scene\n"
        "import helper\n"
        "app = Vuer(host='127.0.0.1')\n"
        "@app.spawn(start=True)\n"
        "async def main(session):\n"
        "    session.set @ Scene(Box(key=helper.name))\n"
        "    print('helper', helper.name)\n"
        "    await session.forever()\n"
    )
    helper = tmp_path / "helper.py"
    command = [sys.executable, "-m", "tests.ported.compare", str(program)]
    for text, status in (
        ("name = 'box'\n", 0),
        ("import vuer\nname = vuer.__name__\n", 1),
    ):
        helper.write_text(text)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == status, done.stdout + done.stderr
        if status:
            assert "frames differ" in done.stdout
            assert '"vuer_trio"' in done.stdout.replace("\\", "")
        else:
            assert "equal: 1 frames, 1 lines" in done.stdout
