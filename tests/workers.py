"""Which of the workers of ``-n`` runs which tests."""

from __future__ import annotations

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
