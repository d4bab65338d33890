"""The tests of vuer-trio; CONTRIBUTING.md says how to run them.

Each folder holds the tests of one kind and the helpers that only they need; what several folders
share is here. `programs` has what runs in a process of its own, and ``sample_project`` is not a
part of this package: it is a project of a user, with tests of its own.
"""

from pathlib import Path

__all__ = ["DATA", "PROGRAMS", "ROOT"]

#: of the repository
ROOT = Path(__file__).parent.parent
#: recorded frames
DATA = Path(__file__).parent / "data"
#: programs that tests start
PROGRAMS = Path(__file__).parent / "programs"
