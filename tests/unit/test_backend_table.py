"""The table that each run of the tests ends with."""

from __future__ import annotations

import platform
from types import SimpleNamespace
from typing import Any

from tests.backend_table import NO_BACKEND, joined, lines_of, rows_of, save

STATS: dict[str, list[Any]] = {
    "passed": [
        SimpleNamespace(nodeid="tests/behaviour/test_a.py::test_one[trio/websockets]"),
        SimpleNamespace(nodeid="tests/behaviour/test_a.py::test_two[trio/websockets-7-client]"),
        SimpleNamespace(nodeid="tests/behaviour/test_a.py::test_two[8-asyncio/wsproto]"),
        SimpleNamespace(nodeid="tests/unit/test_b.py::test_trio[websockets]"),
        SimpleNamespace(nodeid="tests/unit/test_b.py::test_plain"),
    ],
    "failed": [SimpleNamespace(nodeid="tests/a.py::test_one[uvloop/websockets]")],
    "error": [SimpleNamespace(nodeid="tests/a.py::test_two[uvloop/websockets]")],
    "skipped": [SimpleNamespace(nodeid="tests/a.py::test_one[trio/trio-websocket]")],
    "": [SimpleNamespace(nodeid="tests/a.py::setup")],
}


def test_each_backend_has_its_counts() -> None:
    rows = rows_of(STATS)
    assert rows["trio/websockets"] == {"passed": 2, "failed": 0, "skipped": 0}
    assert rows["asyncio/wsproto"] == {"passed": 1, "failed": 0, "skipped": 0}
    assert rows["uvloop/websockets"] == {"passed": 0, "failed": 2, "skipped": 0}
    assert rows["trio/trio-websocket"] == {"passed": 0, "failed": 0, "skipped": 1}
    assert rows[NO_BACKEND] == {"passed": 2, "failed": 0, "skipped": 0}


def test_lines_for_what_has_run() -> None:
    head, *lines = lines_of(rows_of(STATS))
    assert head.split() == ["Python", platform.python_version(), "passed", "failed", "skipped"]
    assert "uvloop/websockets             0        2        0" in lines
    assert not any("asyncio/websockets" in line for line in lines)


def test_several_runs_become_one_table(tmp_path: Any) -> None:
    file = tmp_path / "new" / "table.jsonl"
    save(rows_of({}), file)
    save(rows_of(STATS), file)  # once more: the latest counts
    save(rows_of(STATS), file, "eager tasks")
    title, rule, plain, eager = joined(file).splitlines()
    assert title.startswith("| Python | trio/trio-websocket | trio/websockets |")
    assert set(rule) == {"|", "-"}
    assert plain.startswith(f"| {platform.python_version()} | 0, 1 skipped | 2 |")
    assert plain.endswith("| 0, 2 failed | 2 |")
    assert eager.startswith(f"| {platform.python_version()}, eager tasks |")
