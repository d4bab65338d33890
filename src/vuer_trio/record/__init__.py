"""Recordings of a connection, as MCAP files: write them, read them, play them again.

It needs the package ``mcap`` (the extra ``mcap``), which is imported when it is used.
"""

from __future__ import annotations

from .entry import Entry
from .errors import DamagedRecording, NotARecording
from .recorder import Recorder
from .recording import Recording, open_recording
from .replaying import replay, replay_server
from .script import Script

__all__ = [
    "DamagedRecording",
    "Entry",
    "NotARecording",
    "Recorder",
    "Recording",
    "Script",
    "open_recording",
    "replay",
    "replay_server",
]
