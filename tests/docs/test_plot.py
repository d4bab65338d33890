"""The plot of the benchmarks is drawn from their table as it is now."""

from __future__ import annotations

import importlib.util
import sys
from statistics import median
from types import ModuleType
from xml.etree import ElementTree

import pytest

from tests.docs.doc_blocks import ROOT

PICTURES = ROOT / "docs" / "pictures"


@pytest.fixture(scope="module")
def plot() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plot", PICTURES / "plot.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["plot"] = module
    spec.loader.exec_module(module)
    return module


def test_the_plot_is_current(plot: ModuleType) -> None:
    drawn = plot.plot(plot.read(plot.RESULTS.read_text("utf-8")))
    assert plot.FILE.read_text("utf-8") == drawn, "run `python docs/pictures/plot.py`"


def test_it_shows_what_the_table_says(plot: ModuleType) -> None:
    table = (
        "|  | fire | CPU |\n| --- | --- | --- |\n| floor, Trio | 5 | 1.2 |\n"
        "| Trio, websockets | **2.00 (1.00-4.00)** | 0.50 (0.50-0.60) |\n"
        "| asyncio, websockets | 3.21 (3.00-3.50) |  |\n\n"
    )
    ratios = plot.read(table)
    assert ratios == {
        "Trio, websockets": {"fire": plot.Ratio(2, 1, 4), "CPU": plot.Ratio(0.5, 0.5, 0.6)},
        "asyncio, websockets": {"fire": plot.Ratio(3.21, 3, 3.5)},
    }
    svg = plot.plot({name: ratios.get(name, {}) for name in plot.CLIENTS})
    bars = [
        element.attrib
        for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect")
        if element.get("fill") and float(element.attrib["y"]) >= plot.TOP
    ]
    assert [float(bar["x"]) for bar in bars] == pytest.approx(
        [plot.x(1), plot.x(1), plot.x(0.5)], abs=0.1
    )
    assert [float(bar["width"]) for bar in bars] == pytest.approx(
        [plot.x(2) - plot.x(1), plot.x(3.21) - plot.x(1), plot.x(1) - plot.x(0.5)], abs=0.1
    )
    assert ">3.21</text>" in svg


@pytest.mark.parametrize("name", ["benchmarks.svg", "way.svg"])
def test_a_drawing_is_small_and_has_colours_for_a_dark_page(name: str) -> None:
    text = (PICTURES / name).read_text("utf-8")
    assert len(text) < 20_000
    assert ElementTree.fromstring(text).find("{http://www.w3.org/2000/svg}title") is not None
    assert "prefers-color-scheme: dark" in text


def test_the_plot_of_the_slow_line_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PICTURES))
    spec = importlib.util.spec_from_file_location("slow_line", PICTURES / "slow_line.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ages = module.read(module.DATA.read_text("utf-8"))
    drawn = module.plot(ages)
    assert module.FILE.read_text("utf-8") == drawn, "run `python docs/pictures/slow_line.py`"
    assert set(ages) == set(module.SERVERS)
    # What the page beside it says: the newest of each camera, and not what waits behind it.
    newest = {name: median(age for at, age in points if at > 2) for name, points in ages.items()}
    assert newest["Latest"] < 0.2 < 1 < newest["vuer"]
    ElementTree.fromstring(drawn)
