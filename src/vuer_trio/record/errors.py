"""What can be wrong with a recording.

VuerError
└── NotARecording      not a file of a Recorder         ValueError
UserWarning
└── DamagedRecording   a part of it cannot be read; says which
"""

from __future__ import annotations

from .._errors import VuerError

__all__ = ["DamagedRecording", "NotARecording", "needed"]


class NotARecording(VuerError, ValueError):
    """The file is not an MCAP file, or was not written by a `Recorder`."""


class DamagedRecording(UserWarning):
    """A part of a recording cannot be read: its recorder was killed, or the file is corrupt."""


def needed() -> None:
    """Raises ImportError, which says what to install, if MCAP cannot be had."""
    try:
        import mcap  # noqa: F401
    except ImportError as error:
        raise ImportError("recordings need mcap: pip install 'vuer-trio[mcap]'") from error
