"""Frames in, frames out: what a served model of tables, or of windows over their rows, is asked."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.metrics.chunks import in_chunks
from lit_ae.schema import Schema
from lit_ae.spec import DataSpec
from lit_ae.windows import window_rows


class Frame(NamedTuple):
    """A frame as numbers.

    Attributes:
        raw: rows in the user's own units, ``(N, columns)``.
        windows: the rows of each window ``(windows, T)``; None where the model looks at single rows.
    """

    raw: Tensor
    windows: Tensor | None

    @staticmethod
    def joined(frames: Sequence["Frame"]) -> "Frame":
        """The rows of several frames of one model, in order; no window holds rows of two of them."""
        raw = torch.cat([frame.raw for frame in frames])
        starts = torch.tensor([0, *(len(frame.raw) for frame in frames)]).cumsum(0).tolist()
        windows = [
            frame.windows + start for frame, start in zip(frames, starts, strict=False) if frame.windows is not None
        ]
        return Frame(raw, torch.cat(windows) if windows else None)

    def answer(self, function: Callable[[Tensor], Tensor], device: torch.device | None = None) -> NDArray[Any]:
        """What ``function`` says on ``device`` of each row ``(N, ...)``, or of the window that ends there: NaN where
        none does.
        """
        if self.windows is None:
            return in_chunks(function, self.raw, device=device).numpy()
        answers = in_chunks(lambda rows: function(self.raw[rows].to(device)), self.windows).numpy()
        spread = np.full((len(self.raw), *answers.shape[1:]), np.nan, answers.dtype)
        spread[self.windows[:, -1].numpy()] = answers
        return spread

    def samples(self, rows: Tensor) -> Tensor:
        """What the model is shown for the rows of these numbers, each of which it answers: ``(R, ...)``."""
        if self.windows is None:
            return self.raw[rows]
        ends = self.windows[:, -1]
        order = ends.argsort()
        return self.raw[self.windows[order[torch.searchsorted(ends[order], rows)]]]


def read_frame(frame: Any, spec: DataSpec, schema: Schema) -> Frame:
    """The rows of a frame; for a model of windows, those of one series must stand in time order.

    Raises:
        UserError: if it is no frame, lacks a column, holds a value that has no number, or has no whole window.
    """
    if not isinstance(frame, pd.DataFrame):
        raise UserError(
            f"The model takes a table of {len(schema.columns)} columns by their names, not {type(frame).__name__}."
        )
    raw = schema.encode(frame)
    if len(spec.shape) == 1:
        return Frame(raw, None)
    windows = window_rows(_entities(frame, schema), spec.shape[0])
    if len(raw) and not len(windows):
        raise UserError(
            f"The model looks at {spec.shape[0]} rows of a series at once, and the input has fewer: give it more rows."
        )
    return Frame(raw, windows)


def _entities(frame: pd.DataFrame, schema: Schema) -> Tensor:
    if schema.entity is None or schema.entity not in frame.columns:
        return torch.zeros(len(frame), dtype=torch.int64)
    return torch.from_numpy(pd.factorize(frame[schema.entity])[0].astype(np.int64))
