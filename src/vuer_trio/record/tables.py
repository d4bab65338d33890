"""Tables of rows, as CSV or Parquet files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

__all__ = ["Columns", "CsvTable", "ParquetTable", "Table", "pyarrow_needed"]

#: the names of the columns and what is in them
Columns: TypeAlias = dict[str, Literal["float", "int", "text"]]

#: rows in memory
_ROWS = 20_000


class Table(Protocol):
    """A file of rows, in which None stands for a missing value."""

    #: rows so far
    count: int

    def add(self, row: Sequence[Any]) -> None:
        """Add a row."""

    def close(self) -> None:
        """Write what is left, and close the file."""


class CsvTable:
    """A CSV file (RFC 4180, UTF-8) with a line of names; a missing value is empty.

    Floats have all their digits.
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        self.count: int = 0
        self._file = path.open("x", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def add(self, row: Sequence[Any]) -> None:
        """See `Table`."""
        self.count += 1
        self._writer.writerow(row)

    def close(self) -> None:
        """See `Table`."""
        self._file.close()


class ParquetTable:
    """A Parquet file. Needs pyarrow (the extra ``parquet``)."""

    def __init__(self, path: Path, columns: Columns) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds: dict[str, Any] = {"float": pa.float64(), "int": pa.uint64(), "text": pa.string()}
        self.count: int = 0
        self._schema: Any = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
        self._writer: Any = pq.ParquetWriter(path, self._schema)
        self._rows: list[Sequence[Any]] = []

    def add(self, row: Sequence[Any]) -> None:
        """See `Table`."""
        self.count += 1
        self._rows.append(row)
        if len(self._rows) >= _ROWS:
            self._write()

    def close(self) -> None:
        """See `Table`."""
        try:
            self._write()
        finally:
            self._writer.close()

    def _write(self) -> None:
        import pyarrow as pa

        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [
                pa.array(column, kind)
                for column, kind in zip(columns, self._schema.types, strict=True)
            ]
            self._writer.write_table(pa.table(arrays, schema=self._schema))
            self._rows = []


def pyarrow_needed() -> None:
    """Raise ImportError, with what to install, if pyarrow is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'vuer-trio[parquet]'") from error
