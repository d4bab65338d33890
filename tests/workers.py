"""Which of the workers of ``-n`` runs which tests."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

__all__ = ["TestsScheduling"]

#: workers share the tests of these folders one by one
_ONE_BY_ONE = tuple(f"tests/{name}/" for name in ("behaviour", "ported", "soak", "unit"))
#: and those of all others file by file, for what a module there sets up once (an environment, a
#: browser, a peer) is slow; these files build the packages, and share them
_PACKAGES = tuple(
    f"tests/interop/test_{name}.py" for name in ("bare_install", "packages", "sample_project")
)


class TestsScheduling(LoadScopeScheduling):
    """Gives each worker the next test or file when it has done the one before.

    ``--dist=loadgroup`` and the mark ``xdist_group`` would do, but for pytest 9.2, which takes no
    notice of the name of the group that pytest-xdist 3.8 adds to a test's.
    """

    __test__ = False

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(_ONE_BY_ONE):
            return nodeid
        return "packages" if file in _PACKAGES else file

    def remove_node(self, node: Any) -> str | None:
        """One has ended. If a test has ended it, others run what it had left, but not that test."""
        left = {
            scope: unit
            for scope, unit in self.assigned_work[node].items()
            if not all(unit.values())
        }
        self.assigned_work[node] = left
        for unit in left.values():
            ended_by = next(test for test, done in unit.items() if not done)
            unit[ended_by] = True
            break
        else:
            ended_by = None
        super().remove_node(node)
        return ended_by

    def _reschedule(self, node: Any) -> None:
        """A worker begins with a test when it knows the one after it, or that there is none."""
        super()._reschedule(node)
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)
