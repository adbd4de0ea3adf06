"""Your own table."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from data.intake import NORMAL, Meaning, Pieces, seconds
from data.readers import BadRows, TableReader
from data.table_data import TableData
from lit_ae.errors import UserError
from lit_ae.schema import MISSING, texts


class Table(TableData):
    """A CSV or Parquet file of your own, or a folder of such, of any size.

    Rows become roles by the hash of their content, so that equal rows share one, or by time where there is a
    ``time_column`` (fit first, test last), or by entity where there is an ``entity_column``. With a ``label_column``
    fit, tune and calibrate hold the normal rows of their share alone; anomalies there are left out and counted.

    Args:
        path: the file, or a folder of files with the same columns: ``.csv``, ``.tsv``, ``.txt`` (each also with
            ``.gz``) or ``.parquet``; relative to the working directory.
        test_path: a table of the same columns to test with; without it a share of the first one is kept for that.
        columns: the columns' names where a CSV file has no header.
        delimiter: between the fields of a CSV file.
        encoding: of a CSV file.
        ignore: columns that are left aside.
        categorical: columns that are categories whatever they hold.
        label_column: says which rows are normal.
        normal: its values that are normal; all others are families of anomalies.
        entity_column: says which series, machine or customer a row belongs to; the model does not see it.
        time_column: says when a row was taken; the model does not see it.
        bad_rows: ``refuse`` stops at a row with too many or too few fields, text in a numeric column, or an infinite
            number; ``skip`` leaves such rows out and counts them.
        **loading: what every table takes, see :class:`data.table_data.TableData`.

    Raises:
        UserError: if a value makes no sense.
    """

    def __init__(
        self,
        path: str,
        test_path: str | None = None,
        columns: list[str] | None = None,
        delimiter: str = ",",
        encoding: str = "utf8",
        ignore: list[str] = [],  # noqa: B006 - never changed, and shown as the default
        categorical: list[str] = [],  # noqa: B006
        label_column: str | None = None,
        normal: list[str] = ["normal", "0", "false"],  # noqa: B006
        entity_column: str | None = None,
        time_column: str | None = None,
        bad_rows: BadRows = "refuse",
        **loading: Any,
    ):
        super().__init__(**loading)
        if bad_rows not in get_args(BadRows):
            raise UserError(f"data.bad_rows is {bad_rows!r}, but it must be one of {', '.join(get_args(BadRows))}.")
        if len(delimiter) != 1:
            raise UserError(f"data.delimiter is {delimiter!r}, but it must be one character.")
        self.path, self.test_path = Path(path).expanduser(), Path(test_path).expanduser() if test_path else None
        self.ignore, self._categorical, self.normal = ignore, categorical, set(normal)
        self.label_column, self.entity_column, self.time_column = label_column, entity_column, time_column
        as_text = frozenset(name for name in (*categorical, label_column, entity_column) if name)
        self._reading = {"columns": columns, "delimiter": delimiter, "encoding": encoding, "bad_rows": bad_rows}
        self.reader = TableReader(self.path, as_text=as_text, **self._reading)  # type: ignore[arg-type]
        self.test_reader = (
            TableReader(self.test_path, as_text=as_text, **self._reading)  # type: ignore[arg-type]
            if self.test_path
            else None
        )

    @property
    def categorical(self) -> Sequence[str]:
        return self._categorical

    @property
    def types(self) -> dict[str, str]:
        return self.reader.types

    @cached_property
    def meaning(self) -> Meaning:
        first = next(iter(self.reader.pieces()))
        special = [name for name in (self.label_column, self.entity_column, self.time_column) if name]
        for name in [*special, *self.ignore, *self._categorical]:
            if name not in first.columns:
                raise UserError(
                    f"{self.path} has no column '{name}': it has {', '.join(map(repr, first.columns[:20]))}."
                )
        features = [name for name in first.columns if name not in {*special, *self.ignore}]
        if not features:
            raise UserError(f"{self.path} has no column left to learn from: take some out of data.ignore.")
        self._refuse_times(first[features])
        kind = self.kind if self.label_column else None
        return Meaning(features, kind, self.entity_column, self.time_column)

    def _refuse_times(self, frame: pd.DataFrame) -> None:
        for name in frame.columns:
            if "timestamp" in self.types[name] or "date" in self.types[name] or "time" in self.types[name]:
                raise UserError(
                    f"{self.path}: the column '{name}' holds times: name it by data.time_column, or leave it aside by "
                    "data.ignore."
                )

    def kind(self, frame: pd.DataFrame) -> pd.Series:
        """What each row is by its label.

        Raises:
            UserError: if a label is missing.
        """
        labels = texts(frame[str(self.label_column)])
        if (labels == MISSING).any():
            raise UserError(
                f"{self.path} has rows without a label in '{self.label_column}': label them, or leave them out."
            )
        families = labels.replace({NORMAL: f"labelled {NORMAL}"})
        return families.where(~labels.isin(self.normal), NORMAL)

    def pieces(self) -> Pieces:
        return self._held(self.reader)

    def test_pieces(self) -> Pieces | None:
        if self.test_reader is None:
            return None
        given, meaning = next(iter(self.test_reader.pieces())).columns, self.meaning
        needed = [*meaning.features, self.label_column, self.entity_column, self.time_column]
        if absent := [name for name in needed if name and name not in given]:
            raise UserError(
                f"{self.test_path} lacks the column '{absent[0]}' of {self.path}: give it the same columns."
            )
        return self._held(self.test_reader)

    def _held(self, reader: TableReader) -> Pieces:
        """The table: in memory, in the order of its times, or read anew each time that it is asked for."""
        if self.stream:
            return lambda: self._in_order(reader)
        frames = list(reader.pieces())
        if self.time_column:
            frame = pd.concat(frames, ignore_index=True)
            times = pd.Series(seconds(frame[self.time_column]))
            frames = [frame.iloc[times.argsort(kind="stable").to_numpy()].reset_index(drop=True)]
        return lambda: frames

    def _in_order(self, reader: TableReader) -> Iterator[pd.DataFrame]:
        """The pieces, refused where times go backwards: a streamed table is not sorted."""
        before = -np.inf
        for frame in reader.pieces():
            if self.time_column:
                times = np.concatenate([[before], seconds(frame[self.time_column])])
                if (np.diff(times) < 0).any():
                    raise UserError(
                        f"{reader.path} is not in the order of '{self.time_column}', as a streamed table must be: "
                        "sort it, or set data.stream to false."
                    )
                before = times[-1]
            yield frame

    @property
    def skipped(self) -> dict[str, int]:
        readers = [reader for reader in (self.reader, self.test_reader) if reader]
        return dict(sum((reader.skipped for reader in readers), Counter()))

    def fingerprint(self) -> dict[str, Any]:
        files = [*self.reader.files, *(self.test_reader.files if self.test_reader else ())]
        states = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        meaning = (self.ignore, self._categorical, self.label_column, sorted(self.normal))
        order = (self.entity_column, self.time_column)
        return {**super().fingerprint(), **self._reading, "files": states, "meaning": meaning, "order": order}
