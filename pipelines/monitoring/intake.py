"""The rows of a model in use, piece by piece: a table that is scored now or was before."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.readers import BadRows, TableReader
from lit_ae.detection.blocks import model_space
from lit_ae.detection.detector import Detector
from lit_ae.errors import UserError
from lit_ae.monitoring.profile import rows_of
from lit_ae.serving.frames import Frame
from lit_ae.spec import DataSpec
from lit_ae.windows import window_rows
from pipelines.monitoring.columns import Columns
from pipelines.scoring import last_rows, plain, series_of

ANSWERS = ("row", "p_value", "verdict")


class Taken(NamedTuple):
    """Some rows of a model in use.

    Attributes:
        p_values: of each ``(N,)``; NaN where it is not scored.
        alarm: which alarm ``(N,)``, bool.
        rows: their features in the user's units ``(N, features)``; None where they are not known.
        codes: ``(N, L)``, NaN where there is none; None where they can't be had.
        times: when each was scored ``(N,)``; None where nobody knows.
    """

    p_values: NDArray[np.float64]
    alarm: NDArray[np.bool_]
    rows: NDArray[np.float64] | None
    codes: NDArray[np.float64] | None
    times: pd.Series | None = None


class Reading(NamedTuple):
    """How tables are read."""

    delimiter: str = ","
    encoding: str = "utf8"
    bad_rows: BadRows = "refuse"

    def of(self, path: Path, spec: DataSpec | None = None) -> TableReader:
        """What reads a table; a model's categories are text whatever they look like."""
        columns = spec.schema.columns if spec is not None and spec.schema else ()
        names = {column.name for column in columns if column.kind == "categorical"}
        if spec is not None and spec.schema and spec.schema.entity:
            names.add(spec.schema.entity)
        as_text = frozenset(names | {"reasons", "verdict"})
        return TableReader(path, None, self.delimiter, self.encoding, as_text, self.bad_rows)


class TableIntake:
    """The rows of a table; without answers they are scored now.

    Args:
        detector: of the model.
        table: the rows.
        scored: what ``pipelines.score`` has answered to them; None to score them now.
        reading: how both are read.
    """

    def __init__(self, detector: Detector, table: Path, scored: Path | None, reading: Reading):
        self.detector, self.spec, self.table, self.scored = detector, detector.model.spec, table, scored
        self.columns, self.reading = Columns(self.spec, str(table)), reading

    def pieces(self) -> Iterator[Taken]:
        """The rows in order.

        Raises:
            UserError: for a table that can't be read, or answers that are not to these rows.
        """
        recent: pd.DataFrame | None = None
        answers = None if self.scored is None else Answers(self.reading.of(self.scored), self.scored)
        for frame in self.reading.of(self.table, self.spec).pieces():
            known = frame if recent is None else pd.concat([recent, frame])
            asked = self._asked(known)
            features = None if asked is None else self._features(asked, len(frame))
            codes = None if asked is None or self.columns.broken else self._codes(asked)[-len(frame) :]
            if answers is not None:
                p_values, alarm = answers.take(len(frame), self.table)
            else:
                p_values, alarm = self._judged(asked, len(frame))
            yield Taken(p_values, alarm, features, codes)
            recent = last_rows(known, self.spec)
        if answers is not None:
            answers.require_end(self.table)

    def _asked(self, frame: pd.DataFrame) -> Frame | None:
        """The rows as numbers; windows over them where the model looks at windows."""
        if self.spec.schema is None:
            return Frame(plain(frame, self.spec, self.table), None)
        raw = self.columns.encode(frame)
        if len(self.spec.shape) == 1:
            return Frame(raw, None)
        return Frame(raw, window_rows(torch.from_numpy(series_of(frame, self.spec.schema)), self.spec.shape[0]))

    def _features(self, asked: Frame, rows: int) -> NDArray[np.float64]:
        raw: Tensor = asked.raw[-rows:]
        return raw.double().numpy() if self.spec.schema is not None else rows_of(raw, self.spec)

    def _codes(self, asked: Frame) -> NDArray[np.float64]:
        preprocessing, encode = self.spec.preprocessing, self.detector.model.encode
        return asked.answer(lambda raw: encode(model_space(preprocessing, raw)).flatten(1)).astype(np.float64)

    def _judged(self, asked: Frame | None, rows: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """P-values and alarms of the last rows; none where columns are broken."""
        if asked is None or self.columns.broken:
            return np.full(rows, np.nan), np.zeros(rows, dtype=bool)
        preprocessing = self.spec.preprocessing
        scores = asked.answer(lambda raw: self.detector.score(model_space(preprocessing, raw)))
        judged = self.detector.judgement(torch.from_numpy(scores[-rows:]))
        return judged.p_value.numpy(), judged.is_anomaly.numpy()


class Answers:
    """What ``pipelines.score`` has answered, by as many rows as are asked for.

    Args:
        reader: reads them.
        path: where they are, for what is said of them.
    """

    def __init__(self, reader: TableReader, path: Path):
        self._pieces, self.path = reader.pieces(), path
        self._waiting: list[pd.DataFrame] = []

    def take(self, rows: int, table: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """P-values and alarms of the next rows.

        Raises:
            UserError: the file has other columns, or fewer rows than the table.
        """
        while sum(map(len, self._waiting)) < rows:
            piece = next(self._pieces, None)
            if piece is None:
                raise UserError(f"{self.path} has fewer rows than {table}: give the answers to this very table.")
            require_columns(piece, ANSWERS, self.path, "it is no file that pipelines.score has written")
            self._waiting.append(piece)
        joined = pd.concat(self._waiting)
        self._waiting = [joined.iloc[rows:]]
        return said(joined.iloc[:rows])

    def require_end(self, table: Path) -> None:
        """Refuses answers to more rows than there are.

        Raises:
            UserError: saying so.
        """
        if sum(map(len, self._waiting)) or next(self._pieces, None) is not None:
            raise UserError(f"{self.path} has more rows than {table}: give the answers to this very table.")


def said(answers: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """P-values and alarms of a frame of answers."""
    p_values = answers["p_value"].astype(np.float64).to_numpy(copy=True)
    p_values[(answers["verdict"] == "not scored").to_numpy()] = np.nan
    return p_values, (answers["verdict"] == "anomaly").to_numpy()


def require_columns(frame: pd.DataFrame, names: tuple[str, ...], path: Path, why: str) -> None:
    """Refuses a frame that lacks a column.

    Raises:
        UserError: naming it.
    """
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise UserError(f"{path} lacks the column '{absent[0]}', so {why}: name another.")
