"""CSV and Parquet files of any size, read in pieces; what is wrong with one is said in one sentence."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from data.mistakes import file_mistake
from lit_ae.errors import UserError

BadRows = Literal["refuse", "skip"]
BLOCK = 1 << 22  # bytes read at once, and the longest line of a CSV file
PIECE = 1 << 14  # rows of a piece
BUFFER = 1 << 20  # bytes of a Parquet column that are read at once
MOSTLY = 0.9  # the share of numbers from which on a column of text is one of numbers with mistakes
CSV, PARQUET = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"), (".parquet", ".pq")
WHITE = re.compile(rb"^\xff\xfe|^\xfe\xff")


@dataclass
class TableReader:
    """Reads a file, or all files of a folder in the order of their names, as frames of at most 16,384 rows.

    Args:
        path: a CSV file (``.csv``, ``.tsv``, ``.txt``, each also with ``.gz``), a Parquet file, or a folder of such.
        columns: the columns' names where a CSV file has no header.
        delimiter: between the fields of a CSV file.
        encoding: of a CSV file.
        as_text: columns that are text whatever they hold.
        bad_rows: ``refuse`` stops at a line with too many or too few fields, text in a numeric column, or an infinite
            number; ``skip`` leaves such rows out and counts them.

    Attributes:
        skipped: rows left out so far in this reading, by reason.
        types: each column's type in the first piece.
    """

    path: Path
    columns: Sequence[str] | None = None
    delimiter: str = ","
    encoding: str = "utf8"
    as_text: frozenset[str] = frozenset()
    bad_rows: BadRows = "refuse"
    skipped: Counter[str] = field(default_factory=Counter)
    types: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """The files, in the order in which they are read.

        Raises:
            UserError: if there is none.
        """
        if self.path.is_dir():
            files = sorted(file for file in self.path.iterdir() if _is_table(file))
            if not files:
                raise UserError(f"{self.path} holds no table: its files must end in {', '.join(CSV + PARQUET)}.")
            return files
        if not self.path.is_file():
            raise UserError(f"{self.path} is not there: say by data.path where the table is.")
        if not _is_table(self.path):
            raise UserError(f"{self.path} is no table that is known: its name must end in {', '.join(CSV + PARQUET)}.")
        return [self.path]

    def pieces(self) -> Iterator[pd.DataFrame]:
        """The rows, from the first file's first to the last one's last.

        Raises:
            UserError: naming file, line and column.
        """
        self.skipped.clear()
        names: list[str] = []
        rows = 0
        for file in self.files:
            read = self._parquet if file.name.endswith(PARQUET) else self._csv
            for piece in read(file):
                names = names or list(piece.columns)
                if list(piece.columns) != names:
                    raise UserError(f"{file} has other columns than {self.files[0]}: give all files the same.")
                rows += len(piece)
                yield piece
        if not rows:
            raise UserError(f"{self.path} holds no row that can be used: give it some.")

    def _parquet(self, file: Path) -> Iterator[pd.DataFrame]:
        with _explained(file, []):
            table = pq.ParquetFile(
                file, buffer_size=BUFFER, pre_buffer=False
            )  # whose buffers stay until the file's end
            self._check_names(file, table.schema_arrow.names)
            self.types = self.types or {one.name: str(one.type) for one in table.schema_arrow}
            before = 0
            for batch in table.iter_batches(PIECE, use_threads=False):
                yield self._finite(_numeric_frame(file, batch), file, before + 1, "row")
                before += len(batch)

    def _csv(self, file: Path) -> Iterator[pd.DataFrame]:
        names = self._names(file)
        kinds = self._kinds(file, names)
        wanted = {name: pa.string() if self.bad_rows == "skip" else kind for name, kind in kinds.items()}
        before = 0 if self.columns else 1
        with _explained(file, names), self._opened(file, wanted) as reader:
            for batch in reader:
                frame = batch.to_pandas(use_threads=False)
                if self.bad_rows == "skip":
                    frame = self._numbers(frame, [name for name, kind in kinds.items() if kind == pa.float64()])
                yield self._finite(frame, file, before + 1, "line")
                before += len(batch)

    @contextmanager
    def _opened(
        self, file: Path, types: dict[str, pa.DataType] | None = None
    ) -> Iterator[pyarrow.csv.CSVStreamingReader]:
        """A reader with these types; without them it is for a look alone, and nothing is counted."""

        def leave_out(row: pyarrow.csv.InvalidRow) -> str:
            self.skipped["lines with too many or too few fields"] += types is not None
            return "skip"

        handler: Callable[[pyarrow.csv.InvalidRow], str] | None = leave_out if self.bad_rows == "skip" else None
        with pyarrow.csv.open_csv(
            file,
            pyarrow.csv.ReadOptions(
                use_threads=False, block_size=BLOCK, column_names=self.columns, encoding=self.encoding
            ),
            pyarrow.csv.ParseOptions(delimiter=self.delimiter, invalid_row_handler=handler),
            pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True),
        ) as reader:
            yield reader

    def _names(self, file: Path) -> list[str]:
        """The columns' names, checked."""
        with file.open("rb") as opened:
            if WHITE.match(opened.read(2)) and self.encoding == "utf8":
                raise UserError(f"{file} is in UTF-16: set data.encoding to utf-16, or write it as UTF-8.")
        with _explained(file, []), self._opened(file) as reader:
            names = reader.schema.names
        if self.columns is None and all(map(_is_number, _repeated(names) or names)):
            raise UserError(f"{file} has no header, its first line holds numbers: name the columns by data.columns.")
        self._check_names(file, names)
        return names

    def _check_names(self, file: Path, names: list[str]) -> None:
        if twice := _repeated(names):
            raise UserError(f"{file} has the column {twice[0]!r} twice: give each a name of its own.")
        others = [mark for mark in ";\t|" if len(names) == 1 and mark in names[0] and mark != self.delimiter]
        if others:
            raise UserError(f"{file} has one column, {names[0][:60]!r}: is data.delimiter {others[0]!r} meant?")

    def _kinds(self, file: Path, names: list[str]) -> dict[str, pa.DataType]:
        """The type of each column, judged by the first piece: a number, a time, or text."""
        with _explained(file, names), self._opened(file) as reader:
            first = next(iter(reader), None)
            types = {one.name: one.type for one in reader.schema}
        self.types = self.types or {name: str(kind) for name, kind in types.items()}
        return {name: self._kind(name, types[name], first) for name in names}

    def _kind(self, name: str, inferred: pa.DataType, first: pa.RecordBatch | None) -> pa.DataType:
        if name in self.as_text or pa.types.is_boolean(inferred):
            return pa.string()
        if pa.types.is_integer(inferred) or pa.types.is_floating(inferred) or pa.types.is_null(inferred):
            return pa.float64()
        if not pa.types.is_string(inferred) or first is None:
            return pa.string()
        values = first.column(name).to_pandas().dropna()
        share = pd.to_numeric(values, errors="coerce").notna().mean() if len(values) else 0.0
        return pa.float64() if share >= MOSTLY else pa.string()

    def _numbers(self, frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
        """Without the rows that hold text where a number is due."""
        parsed = frame.assign(**{name: pd.to_numeric(frame[name], errors="coerce") for name in names})
        bad = (parsed[names].isna() & frame[names].notna()).any(axis=1)
        self._count("rows with text in a numeric column", int(bad.sum()))
        return parsed[~bad]

    def _finite(self, frame: pd.DataFrame, file: Path, first: int, unit: str) -> pd.DataFrame:
        numeric = frame.select_dtypes("number")
        infinite = np.isinf(numeric.to_numpy(np.float64, na_value=np.nan))
        bad = infinite.any(axis=1)
        if bad.any() and self.bad_rows == "refuse":
            row = int(bad.argmax())
            name = numeric.columns[int(infinite[row].argmax())]
            raise UserError(
                f"{file}, {unit} {first + row}, column {name!r} is infinite: mend it, or leave such rows out by "
                "data.bad_rows skip."
            )
        self._count("rows with an infinite number", int(bad.sum()))
        return frame[~bad] if bad.any() else frame

    def _count(self, reason: str, rows: int) -> None:
        if rows:
            self.skipped[reason] += rows


@contextmanager
def _explained(file: Path, names: list[str]) -> Iterator[None]:
    """Makes a sentence of what Arrow finds wrong with a file."""
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeError, LookupError) as error:
        raise file_mistake(file, names, error) from error


def _numeric_frame(file: Path, batch: pa.RecordBatch) -> pd.DataFrame:
    """A Parquet file's piece with numbers as float64 and truth values as text.

    Raises:
        UserError: if a column holds lists or the like.
    """
    arrays = {}
    for one, array in zip(batch.schema, batch.columns, strict=True):
        kind = one.type.value_type if pa.types.is_dictionary(one.type) else one.type
        if pa.types.is_nested(kind):
            raise UserError(f"{file}: the column {one.name!r} holds {kind}, not single values: flatten it.")
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        is_time = pa.types.is_temporal(kind)
        arrays[one.name] = array.cast(pa.float64() if is_number else kind if is_time else pa.string())
    return pa.table(arrays).to_pandas(use_threads=False, self_destruct=True)


def _is_table(file: Path) -> bool:
    return file.is_file() and file.name.lower().endswith(CSV + PARQUET)


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name in names if names.count(name) > 1]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
