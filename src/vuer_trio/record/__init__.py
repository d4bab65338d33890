"""Recordings of a connection, as MCAP files: write them, read them, replay them.

This needs the package ``mcap`` (the extra ``mcap``), which is imported on first use.
"""

from __future__ import annotations

from .converting import to_foxglove
from .entry import Entry
from .errors import DamagedRecording, NotARecording
from .folder import to_folder
from .outline import Gap
from .recorder import Recorder
from .recording import Recording, open_recording
from .replaying import replay, replay_server
from .script import Script
from .summary import RecordingSummary, TopicSummary, summarize

__all__ = [
    "DamagedRecording",
    "Entry",
    "Gap",
    "NotARecording",
    "Recorder",
    "Recording",
    "RecordingSummary",
    "Script",
    "TopicSummary",
    "open_recording",
    "replay",
    "replay_server",
    "summarize",
    "to_folder",
    "to_foxglove",
]
