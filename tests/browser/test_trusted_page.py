"""A machine that is set up for nothing, and a headset: what ``tls="auto"`` prints is opened.

The authority is installed in the browser's own store, as a user does it; nothing is told to ignore
a certificate.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests import ROOT
from tests.browser.browser_harness import until
from tests.browser.chromium import chromium, executable
from tests.browser.conftest import _missing
from tests.pseudo_terminal import Terminal

PROGRAM = str(ROOT / "tests" / "programs" / "headset.py")
_BOX = (
    """() => window.VUER?.useSceneStore?.getState().children.find(n => n.key === "box")?.position"""
)


@pytest.fixture(scope="module", autouse=True)
def can_be_run():
    missing = _missing() or (None if shutil.which("certutil") else "certutil, of libnss3-tools")
    if missing:
        if os.environ.get("CI_BROWSER") == "required":
            pytest.fail(f"CI_BROWSER=required, and these tests need {missing}")
        pytest.skip(f"needs {missing}")


class Started:
    """The program at a terminal of its user, and what it has printed."""

    def __init__(self, terminal: Terminal) -> None:
        terminal.expect("Authority: ")
        terminal.expect("▀" * 20)  # the last line of the code
        terminal.expect("\n")
        self.lines = terminal.text.splitlines()

    def labelled(self, label: str) -> str:
        (found,) = (line for line in self.lines if line.startswith(f"{label}:"))
        return found.partition(":")[2].strip()

    def decoded(self) -> str:
        """What a camera reads in the code."""
        import numpy as np
        import zxingcpp

        code = [line for line in self.lines if line and set(line) <= set(" █▀▄")]
        light = [
            [character in shown for character in line] for line in code for shown in ("█▀", "█▄")
        ]
        picture = np.kron(np.array(light, np.uint8) * 255, np.ones((6, 6), np.uint8))
        (found,) = zxingcpp.read_barcodes(picture)
        return found.text


@contextmanager
def started(data: Path):
    command = [sys.executable, "-W", "error", PROGRAM]
    with Terminal(*command, VUER_TRIO_DATA=str(data)) as terminal:
        yield Started(terminal)


@contextmanager
def headset(home: Path, url: str, authority: str | None):
    """A browser with a fresh profile, in which the authority has been installed, if one is given.
    It reaches the machine of the URL, and nothing else."""
    path = executable()
    assert path is not None
    if authority is not None:
        store = home / ".pki" / "nssdb"
        store.mkdir(parents=True)
        for command in (
            ["-N", "--empty-password"],
            ["-A", "-t", "C,,", "-n", "vuer", "-i", authority],
        ):
            subprocess.run(["certutil", "-d", f"sql:{store}", *command], check=True)
    host = urlsplit(url).hostname or ""
    with chromium(path, 160, 100, reaches=[host], home=str(home)) as browser:
        yield browser


def test_the_printed_page_is_opened_and_the_scene_moves(tmp_path, artefacts):
    data = tmp_path / "data"
    with started(data) as server:
        url = server.labelled("Network")
        assert url.startswith("https://")
        assert "localhost" not in url
        assert server.decoded() == url
        (ws,) = parse_qs(urlsplit(url).query)["ws"]
        assert ws == f"wss://{urlsplit(url).netloc}?token=open-sesame"
        authority = server.labelled("Authority")
        assert authority == str(data / "ca.pem")
        first = Path(authority).read_bytes()
        with headset(tmp_path / "home", url, authority) as browser:
            page = browser.new_page()
            assert page.goto(url, wait_until="domcontentloaded").status == 200
            where = until(lambda: page.evaluate(_BOX), "the box")
            until(lambda: page.evaluate(_BOX) != where, "that it moves")
            assert page.evaluate("isSecureContext")
            page.screenshot(path=artefacts / "headset.png")
            # by hand, without what is behind the question mark: it is led to the same
            page.goto(f"https://{urlsplit(url).netloc}/?token=open-sesame")
            assert parse_qs(urlsplit(page.url).query)["ws"] == [ws]
            until(lambda: page.evaluate(_BOX), "the box, by hand")

    with started(data) as server:  # a day later
        assert Path(server.labelled("Authority")).read_bytes() == first
        url = server.labelled("Network")
        with headset(tmp_path / "stranger", url, None) as browser:
            page = browser.new_page()
            with pytest.raises(Exception, match="ERR_CERT_AUTHORITY_INVALID"):
                page.goto(url, wait_until="domcontentloaded")
