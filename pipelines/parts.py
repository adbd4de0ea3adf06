"""Long work on a file, kept in parts: the result appears whole or not at all, and what is done is not done again."""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from lit_ae.errors import UserError

PARQUET = (".parquet", ".pq")


class NotWritableError(UserError):
    """There is no place for the result."""


class Parts:
    """Numbered tables in a folder beside the result. Each is there whole or not at all.

    Attributes:
        kept: how many parts an earlier process has left.

    Args:
        result: the file that the parts will make.
        job: what determines the parts, as plain values; parts of another job are thrown away.

    Raises:
        UserError: the folder cannot be written, or another process is at the same work.
    """

    def __init__(self, result: Path, job: dict[str, Any]):
        self.result, self.folder = result, result.with_name(f"{result.name}.parts")
        with _writable(result):
            self.folder.mkdir(exist_ok=True)
            self._lock = (self.folder / "lock").open("w")
            self._take_lock()
            described = self.folder / "job.json"
            if not described.exists() or json.loads(described.read_text()) != job:
                for old in self.folder.glob("*.parquet"):
                    old.unlink()
                described.write_text(json.dumps(job))
        self.kept = len(list(self.folder.glob("*.parquet")))

    def __contains__(self, number: int) -> bool:
        return self._path(number).exists()

    def add(self, number: int, table: pa.Table) -> None:
        """Keeps a part."""
        draft = self._path(number).with_suffix(".draft")
        with _writable(self.result):
            parquet.write_table(table, draft)
            draft.replace(self._path(number))

    def count(self, number: int, column: str, value: str) -> int:
        """How many rows of a part have this value."""
        found = compute.equal(parquet.read_table(self._path(number), columns=[column])[column], value)
        return compute.sum(found).as_py() or 0

    def assemble(self) -> int:
        """Makes the result of all parts, in order, puts it in its place and removes them; returns its rows."""
        draft = self.folder / self.result.name
        paths, rows = sorted(self.folder.glob("*.parquet")), 0
        with _writable(self.result):
            write = parquet.ParquetWriter if self.result.name.endswith(PARQUET) else csv.CSVWriter
            with write(draft, parquet.read_schema(paths[0])) as whole:
                for path in paths:
                    table = parquet.read_table(path)
                    whole.write_table(table)
                    rows += len(table)
            draft.replace(self.result)
            shutil.rmtree(self.folder)
        return rows

    def discard(self) -> None:
        """Removes all parts."""
        shutil.rmtree(self.folder)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:09}.parquet"

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"Another process is writing {self.result}: wait for it, or name another file.") from None


@contextmanager
def _writable(result: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWritableError(
            f"{result} cannot be written ({error.strerror or error}): mend that, or name another."
        ) from error
