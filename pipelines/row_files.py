"""Tables on disk, read and written a piece at a time: CSV (also compressed) and Parquet of any size."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from lit_ae.errors import UserError

BLOCK = 1 << 22  # bytes of a CSV file that are parsed at once; no line may be longer
PARQUET, CSV = (".parquet", ".pq"), (".csv", ".csv.gz", ".csv.bz2", ".csv.zst")
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


def check_format(path: Path, endings: Sequence[str]) -> None:
    """Refuses a file whose name has none of these endings.

    Raises:
        UserError: with the endings.
    """
    if not path.name.endswith(tuple(endings)):
        raise UserError(f"{path} is of no format that is known here: name a file that ends in {', '.join(endings)}.")


def tables(
    path: Path, rows: int, numeric: Sequence[str] | None, progress: Callable[[int], None] = lambda count: None
) -> Iterator[pa.Table]:
    """The file's rows in tables of ``rows`` rows each, the last one shorter; memory depends on ``rows`` alone.

    Args:
        path: what to read.
        rows: of one table.
        numeric: columns of a CSV file that are read as numbers, others as text; None for all. Parquet has types.
        progress: told how many bytes of the file have been read so far.

    Raises:
        UserError: for a file that is missing, empty, truncated or damaged; of a CSV file it names line and column.
    """
    held: list[pa.RecordBatch] = []
    count = total = 0
    with _sentences(path):
        batches = _parquet if path.name.endswith(PARQUET) else _csv
        for batch in batches(path, rows, numeric, progress):
            total += len(batch)
            while len(batch):
                piece = batch[: rows - count]
                held.append(piece)
                batch, count = batch[len(piece) :], count + len(piece)
                if count == rows:
                    yield pa.Table.from_batches(held)
                    held, count = [], 0
    if held:
        yield pa.Table.from_batches(held)
    if not total:
        raise UserError(f"{path} has a header and no rows: there is nothing to score.")


def column_names(path: Path) -> list[str]:
    """The names of the file's columns, in order.

    Raises:
        UserError: as for :func:`tables`.
    """
    with _sentences(path):
        if path.name.endswith(PARQUET):
            return list(parquet.read_schema(path).names)
        with csv.open_csv(pa.input_stream(str(path)), read_options=csv.ReadOptions(block_size=BLOCK)) as reader:
            return list(reader.schema.names)


@contextmanager
def writer(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """A function that appends tables to a new file, CSV or Parquet by its name."""
    with parquet.ParquetWriter(path, schema) if path.name.endswith(PARQUET) else csv.CSVWriter(path, schema) as file:
        yield file.write_table


def _csv(
    path: Path, rows: int, numeric: Sequence[str] | None, progress: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    names = column_names(path)
    kinds = {name: pa.float64() if numeric is None or name in numeric else pa.string() for name in names}
    with open(path, "rb") as file, pa.input_stream(file, compression=COMPRESSIONS.get(path.suffix)) as plain:
        reader = csv.open_csv(
            plain,
            read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=kinds, strings_can_be_null=True),
        )
        for batch in reader:
            yield batch
            progress(file.tell())


def _parquet(
    path: Path, rows: int, numeric: Sequence[str] | None, progress: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    with parquet.ParquetFile(path) as file:
        size, total, seen = path.stat().st_size, file.metadata.num_rows, 0
        for batch in file.iter_batches(batch_size=rows):
            yield batch
            seen += len(batch)
            progress(size * seen // total)


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Makes one sentence of what the reader says."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"There is no file {path}: name the one to score.") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read: {_reason(' '.join(str(error).split()))}") from error


def _reason(text: str) -> str:
    if found := re.search(r"CSV column #(\d+): Row #(\d+): .*? error to (\w+): (.*)", text):
        column, line, kind, what = found.groups()
        wanted = "text in UTF-8" if kind == "string" else "number"
        return f"line {line}, column {int(column) + 1} holds no {wanted} ({what})."
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", text):
        line, expected, given = found.groups()
        return f"line {line} has {given} columns, and the header {expected}: mend the line, or leave it out."
    if "straddl" in text:
        return f"it has a line of more than {BLOCK >> 20} MB, or a quotation mark that is never closed."
    if "Empty CSV" in text:
        return "it is empty."
    return f"it is damaged, truncated or of another format ({text[:160]})."
