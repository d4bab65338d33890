"""What can be wrong with a recording.

VuerError
└── NotARecording      the file is none of ours         ValueError
UserWarning
└── DamagedRecording   a part of it cannot be read; says which
"""

from __future__ import annotations

from .._errors import VuerError

__all__ = ["DamagedRecording", "NotARecording", "needed"]


class NotARecording(VuerError, ValueError):
    """The file is no MCAP file, or none that a `Recorder` has written."""


class DamagedRecording(UserWarning):
    """A part of a recording cannot be read: its recorder was killed, or the file is corrupt."""


def needed() -> None:
    """Raises ImportError, which says what to install, if MCAP cannot be had."""
    try:
        import mcap  # noqa: F401
    except ImportError as error:
        raise ImportError("recordings need mcap: pip install 'vuer-trio[mcap]'") from error
