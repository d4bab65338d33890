"""Errors and warnings about recordings.

VuerError
└── NotARecording      not written by a Recorder        ValueError
UserWarning
└── DamagedRecording   a part of a recording cannot be read
"""

from __future__ import annotations

import sys

from .._errors import VuerError

__all__ = ["DamagedRecording", "NotARecording", "needed"]


class NotARecording(VuerError, ValueError):
    """The file is not an MCAP file, or was not written by a `Recorder`."""


class DamagedRecording(UserWarning):
    """A part of a recording cannot be read: its recorder was killed, or the file is corrupt."""


def needed() -> None:
    """Raise ImportError, with what to install, if ``mcap`` is not installed."""
    try:
        import mcap  # noqa: F401
    except ImportError as error:
        if sys.version_info >= (3, 15):  # as pyproject.toml has it
            raise ImportError(
                "recordings need mcap, which vuer-trio[mcap] leaves out on Python 3.15 and newer: "
                "its compressors, lz4 and zstandard, have no wheels there. Use Python 3.11 to "
                "3.14, or, with a C compiler, pip install mcap"
            ) from error
        raise ImportError("recordings need mcap: pip install 'vuer-trio[mcap]'") from error
