"""Recent rows that somebody has confirmed as normal."""

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from lit_ae.detection.blocks import model_space
from lit_ae.errors import UserError
from lit_ae.monitoring.profile import Seen
from lit_ae.spec import DataSpec
from lit_ae.windows import window_rows
from pipelines.monitoring.intake import Reading
from pipelines.scoring import as_numbers, series_of

MOST = 200_000  # rows, the latest ones


def read_normals(path: Path, reading: Reading, spec: DataSpec) -> Seen:
    """The last rows of a table, at most ``MOST``, as the model takes them; where it looks at windows, these.

    Raises:
        UserError: naming the column, and the row where there is one, or saying that there is no whole window.
    """
    kept: list[pd.DataFrame] = []
    for frame in reading.of(path, spec).pieces():
        kept.append(frame)
        while sum(map(len, kept[1:])) >= MOST:
            kept.pop(0)
    frame = pd.concat(kept, ignore_index=True).tail(MOST)
    raw, entity = as_numbers(frame, spec, path, 0).raw, None
    if spec.schema is not None and (spec.schema.entity in frame.columns or len(spec.shape) > 1):
        entity = torch.from_numpy(series_of(frame, spec.schema))
    if spec.schema is not None and len(spec.shape) > 1:
        raw, entity = _windows(raw, entity, spec.shape[0], path)
    return Seen(model_space(spec.preprocessing, raw), raw, entity)


def _windows(raw: Tensor, entity: Tensor | None, steps: int, path: Path) -> tuple[Tensor, Tensor]:
    """Windows ``(W, T, columns)`` over rows, and the series of each."""
    assert entity is not None
    windows = window_rows(entity, steps)
    if not len(windows):
        raise UserError(f"{path} has no {steps} rows of one series in a row, which the model looks at: give it more.")
    return raw[windows], entity[windows[:, -1]]
