"""The labelled rows that the rule labelled_f1 sets a threshold by: a table beside the data."""

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.base import LitData, Role
from data.readers import TableReader
from data.roles import row_hashes
from lit_ae.detection.blocks import model_space
from lit_ae.detection.settings import DetectionSettings
from lit_ae.errors import UserError
from lit_ae.schema import MISSING, texts
from lit_ae.spec import DataSpec
from pipelines.scoring import as_numbers

APART_FROM: tuple[Role, ...] = ("fit", "tune", "test")


class LabelledRows(NamedTuple):
    """Rows, and what they are.

    Attributes:
        x: in model space ``(N, *spec.shape)``.
        is_anomaly: ``(N,)``, bool.
    """

    x: Tensor
    is_anomaly: Tensor


def labelled_rows(settings: DetectionSettings, data: LitData) -> LabelledRows | None:
    """The rows of ``detection.labelled`` as the model takes them; None for a rule that needs no labels.

    A window's label is that of its last row. Rows that fit, tune or test hold too are left out, and counted in the
    data's ``left_out`` beside those that could not be read. The table is read when the data are checked, and what was
    found then is what the threshold is set by after the training, whatever has become of the file.

    Raises:
        UserError: there is no such table or column, a row has no label, or anomalies or normal rows are lacking.
    """
    return _read(settings, data) if settings.rule == "labelled_f1" else None


@lru_cache(maxsize=1)
def _read(settings: DetectionSettings, data: LitData) -> LabelledRows:
    path, spec = _path(settings), data.spec
    reader = _reader(path, settings.label_column, data)
    frame = pd.concat(list(reader.pieces()), ignore_index=True)
    is_anomaly = torch.from_numpy(_anomalies(frame, settings, path))
    asked = as_numbers(frame.drop(columns=settings.label_column), spec, path, 0)
    ends = torch.arange(len(frame)) if asked.windows is None else asked.windows[:, -1]
    raw = asked.raw if asked.windows is None else asked.raw[asked.windows]
    apart = _apart(raw, data)
    left_out = {
        **{f"labelled {reason}": count for reason, count in reader.skipped.items()},
        "labelled rows before the first whole window of a series": len(frame) - len(ends),
        "labelled rows that fit or tune or test hold too": len(raw) - int(apart.sum()),
    }
    data.left_out |= {reason: count for reason, count in left_out.items() if count}
    kept = is_anomaly[ends][apart]
    _require_both(kept, len(frame), settings, path)
    return LabelledRows(model_space(spec.preprocessing, raw[apart]), kept)


def _require_both(is_anomaly: Tensor, rows: int, settings: DetectionSettings, path: Path) -> None:
    """Refuses rows that are all alike."""
    anomalies = int(is_anomaly.sum())
    if not 0 < anomalies < len(is_anomaly):
        raise UserError(
            f"{path} gives {len(is_anomaly) - anomalies:,} normal rows and {anomalies:,} anomalies to calibrate with "
            f"(of {rows:,}, {rows - len(is_anomaly):,} are left out as no whole window or because fit, tune or test "
            f"hold them too; detection.normal is {', '.join(settings.normal)}): labelled_f1 needs some of both."
        )


def _path(settings: DetectionSettings) -> Path:
    if settings.labelled is None:
        raise UserError(
            "The rule labelled_f1 needs labelled rows: name a table of them by detection.labelled, or take another "
            "detection.rule, such as conformal."
        )
    path = Path(settings.labelled).expanduser()
    if not path.exists():
        raise UserError(f"{path} is not there: say by detection.labelled where the table of labelled rows is.")
    return path


def _reader(path: Path, label_column: str, data: LitData) -> TableReader:
    """Reads the table as that of the data is read, where this is one of the user's own."""
    as_text = {label_column, *_categorical(data.spec)}
    own = getattr(getattr(data, "data", data), "reader", None)
    if isinstance(own, TableReader):
        return replace(own, path=path, as_text=frozenset(as_text | own.as_text), skipped=Counter(), types={})
    return TableReader(path, as_text=frozenset(as_text))


def _categorical(spec: DataSpec) -> set[str]:
    if spec.schema is None:
        return set()
    names = {column.name for column in spec.schema.columns if column.kind == "categorical"}
    return names | {spec.schema.entity} if spec.schema.entity else names


def _anomalies(frame: pd.DataFrame, settings: DetectionSettings, path: Path) -> NDArray[np.bool_]:
    """Which rows are anomalies by their label ``(N,)``."""
    column = settings.label_column
    if column not in frame.columns:
        raise UserError(
            f"{path} has no column '{column}': say by detection.label_column which of "
            f"{', '.join(map(repr, frame.columns[:20]))} says what a row is."
        )
    labels = texts(frame[column])
    if (labels == MISSING).any():
        row = int((labels == MISSING).to_numpy().argmax())
        raise UserError(f"{path}, row {row} has no label in '{column}': label it, or leave it out.")
    return ~labels.isin(settings.normal).to_numpy(bool)


def _apart(raw: Tensor, data: LitData) -> Tensor:
    """Which rows no role holds but perhaps calibrate ``(N,)``."""
    apart = np.ones(len(raw), bool)
    for role in APART_FROM:
        known = data.rows[role].raw
        apart &= ~np.isin(row_hashes(raw.to(known.dtype)), row_hashes(known))
    return torch.from_numpy(apart)
