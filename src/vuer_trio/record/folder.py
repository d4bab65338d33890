"""A recording as a folder of pictures and tables."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import ProtocolError
from ..events import canonical, received_client_event
from .converting import Progress
from .entry import Entry
from .images import Picture, pictures_in
from .nodes import ROOT_FRAME, ScenePoses
from .poses import Kind, poses_of
from .recording import Recording
from .sources import MOVES, seen_in
from .tables import Columns, CsvTable, ParquetTable, Table, pyarrow_needed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["IMAGE_COLUMNS", "POSE_COLUMNS", "to_folder"]

#: of a table of poses
POSE_COLUMNS: Columns = {
    "time": "float",
    "time_ns": "int",
    "published_ns": "int",
    "frame": "text",
    "parent": "text",
    **dict.fromkeys(("x", "y", "z", "qx", "qy", "qz", "qw"), "float"),
    "kind": "text",
}
#: of the table of pictures
IMAGE_COLUMNS: Columns = {
    "time": "float",
    "time_ns": "int",
    "published_ns": "int",
    "owner": "text",
    "name": "text",
    "format": "text",
    "bytes": "int",
    "file": "text",
}
_ENDINGS = {"jpeg": "jpg", "png": "png", "webp": "webp"}
#: characters of a name that is made of a peer's text
_LONGEST = 80
#: what Windows takes for a device, with whatever behind a dot
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)
#: tables: each is an open file, and a client may move a new camera with each event
_MOST_TABLES = 100
_OTHERS = "others"


def to_folder(
    recording: Recording,
    folder: str | PathLike[str],
    *,
    parquet: bool = False,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write the poses and pictures of a recording to a new folder.

    Each source has a table, such as ``left-hand.csv``, and all nodes of the scene share
    ``nodes.csv``; pictures are in ``images/``, and listed in ``images.csv``; ``recording.json``
    describes the recording. With ``parquet`` the tables are ``.parquet`` files. The columns are
    those of `POSE_COLUMNS` and `IMAGE_COLUMNS`. Only the owner of the folder can open it.

    ``progress`` is called with each entry. Returns the number of rows of each table.

    Raises FileExistsError, other OSErrors, ImportError without numpy or, for Parquet, pyarrow, and
    what ``progress`` raises; in each case, the folder is removed. Damaged parts of the recording
    are skipped, with the same DamagedRecording warnings as when reading it.
    """
    _needed(parquet)
    path = Path(folder)
    path.mkdir(mode=0o700)
    try:
        writing = _Folder(path, parquet)
        try:
            for entry in recording:
                writing.add(entry)
                if progress is not None:
                    progress(entry)
        finally:
            writing.close()
        (path / "recording.json").write_text(
            json.dumps(writing.about(recording), indent=2) + "\n", "utf-8"
        )
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return writing.rows()


def _needed(parquet: bool) -> None:
    if parquet:
        pyarrow_needed()
    try:
        import numpy  # noqa: F401
    except ImportError as error:
        raise ImportError("exporting poses needs numpy: pip install 'vuer-trio[numpy]'") from error


class _Names:
    """Names for files, made of what a peer may have chosen: no two alike, none with a path."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}  # the last one of a name

    def of(self, text: str) -> str:
        if text not in self._given:
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:_LONGEST].strip("-.") or "unnamed"
            if _RESERVED.match(name):
                name = f"_{name}"
            unique, plain = name, name.casefold()  # some file systems know no case
            number = self._numbers.get(plain, 1)
            while unique.casefold() in self._taken:
                number += 1
                unique = f"{name}-{number}"
            self._numbers[plain] = number
            self._taken.add(unique.casefold())
            self._given[text] = unique
        return self._given[text]


class _Folder:
    """What is being written."""

    def __init__(self, path: Path, parquet: bool) -> None:
        self._path = path
        self._parquet = parquet
        self._tables: dict[str, Table] = {}
        self._names, self._image_names = _Names(), _Names()
        for name in ("nodes", "images", _OTHERS):
            self._names.of(name)
        self._sources: set[str] = set()
        self._pictures: Counter[str] = Counter()
        self._scene = ScenePoses()
        self._kinds: Counter[str] = Counter()
        self._malformed = 0

    def add(self, entry: Entry) -> None:
        try:
            event = entry.event
            for picture in pictures_in(event):
                self._save(entry, picture)
            if entry.sender == "server":
                self._add_nodes(entry, event)
            elif canonical(entry.etype) in MOVES:
                self._add_poses(entry)
        except (ProtocolError, RecursionError):
            self._malformed += 1

    def _add_poses(self, entry: Entry) -> None:
        for seen in seen_in(received_client_event(entry.payload)):
            poses = poses_of(seen.matrices)
            table = self._table_of(seen.source)
            rows = zip(
                seen.frames,
                poses.positions.tolist(),
                poses.quaternions.tolist(),
                poses.kinds,
                strict=True,
            )
            for frame, position, quaternion, kind in rows:
                self._kinds[kind] += 1
                table.add([*_times(entry), frame, ROOT_FRAME, *_shown(position, quaternion), kind])

    def _add_nodes(self, entry: Entry, event: Mapping[str, Any]) -> None:
        for pose in self._scene.apply(event):
            self._kinds[pose.kind] += 1
            numbers = _shown(pose.position, pose.quaternion)
            self._table("nodes", POSE_COLUMNS).add(
                [*_times(entry), pose.frame, pose.parent, *numbers, pose.kind]
            )

    def _save(self, entry: Entry, picture: Picture) -> None:
        folder = self._image_names.of(f"{picture.owner}/{picture.name}")
        self._pictures[folder] += 1
        name = f"{self._pictures[folder]:06}.{_ENDINGS[picture.format]}"
        inside = self._path / "images" / folder
        if self._pictures[folder] == 1:
            inside.mkdir(parents=True)
        (inside / name).write_bytes(picture.data)
        self._table("images", IMAGE_COLUMNS).add(
            [
                *_times(entry),
                picture.owner,
                picture.name,
                picture.format,
                len(picture.data),
                f"images/{folder}/{name}",
            ]
        )

    def _table_of(self, source: str) -> Table:
        """Its own; of too many sources one for all, whose rows have their frames."""
        if source not in self._sources and len(self._sources) >= _MOST_TABLES:
            return self._table(_OTHERS, POSE_COLUMNS)
        self._sources.add(source)
        return self._table(self._names.of(source), POSE_COLUMNS)

    def _table(self, name: str, columns: Columns) -> Table:
        if name not in self._tables:
            kind, ending = (ParquetTable, "parquet") if self._parquet else (CsvTable, "csv")
            self._tables[name] = kind(self._path / f"{name}.{ending}", columns)
        return self._tables[name]

    def close(self) -> None:
        """Close all tables, even if one fails. Raises the first error."""
        fault: BaseException | None = None
        for table in self._tables.values():
            try:
                table.close()
            except BaseException as exc:
                fault = fault or exc
        if fault is not None:
            raise fault

    def rows(self) -> dict[str, int]:
        return {name: table.count for name, table in sorted(self._tables.items())}

    def about(self, recording: Recording) -> dict[str, Any]:
        return {
            "recording": recording.path.name,
            "uri": recording.uri,
            "side": recording.side,
            "library": recording.library,
            "start": recording.start,
            "end": recording.end,
            "complete": recording.complete,
            "dropped": recording.dropped,
            "rows": self.rows(),
            "kinds": {kind.value: self._kinds[kind] for kind in Kind if self._kinds[kind]},
            "malformed": self._malformed + self._scene.malformed,
        }


def _times(entry: Entry) -> list[float | int]:
    return [entry.time, entry.log_time, entry.publish_time]


def _shown(*vectors: Any) -> Iterator[float | None]:
    """The numbers, with None for NaN."""
    for vector in vectors:
        for number in vector:
            yield None if math.isnan(number) else number
