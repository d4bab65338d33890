"""``vuer-trio port``: what a program written for `vuer` finds here.

    imports.py      its import statements, and the same with our root
    unoffered.py    names of the reference that are not here, with the reasons
    findings.py     what can be said about a line
    reading.py      a program → findings
    backend.py      the library that it runs on
    redirect.py     an import hook: `vuer` is this library
    command.py      the command: says it, changes the file, runs it

``python -m vuer_trio.port PROGRAM.py`` is the same. It needs nothing but the standard library.
"""

from __future__ import annotations

from .findings import Finding, Kind
from .imports import changed
from .reading import read

__all__ = ["Finding", "Kind", "changed", "read"]
