"""The columns of rows in use against the model's schema: what is gone, and what holds something else."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.schema import Column, Schema, texts
from lit_ae.spec import DataSpec

FOREIGN = 0.01  # share of values that are no numbers from which on a numeric column holds something else


class Columns:
    """Encodes frames whose columns may have changed, and notes what has.

    Args:
        spec: of the model.
        place: what the rows are from, for the error.
    """

    def __init__(self, spec: DataSpec, place: str):
        self.schema, self.place = spec.schema, place
        self._gone: dict[str, str] = {}
        self._foreign: dict[str, int] = {}
        self._rows = 0
        self.unknown: set[str] = set()

    @property
    def broken(self) -> tuple[str, ...]:
        """A sentence for each column that is gone or holds something else."""
        told = [
            f"the column '{name}' takes numbers, and {count / self._rows:.1%} of its values are none"
            for name, count in self._foreign.items()
            if count >= FOREIGN * self._rows
        ]
        return (*self._gone.values(), *told)

    def encode(self, frame: pd.DataFrame) -> Tensor:
        """The frame's columns as numbers ``(N, columns)``, float64; NaN where a value is missing or none.

        Raises:
            UserError: the frame has none of the model's columns.
        """
        assert self.schema is not None
        self._require_some(frame, self.schema)
        known = {*self.schema.names, self.schema.entity}
        self.unknown |= {str(name) for name in frame.columns} - {str(name) for name in known}
        self._rows += len(frame)
        columns = [self._encoded(frame, column) for column in self.schema.columns]
        return torch.from_numpy(np.column_stack(columns))

    def _require_some(self, frame: pd.DataFrame, schema: Schema) -> None:
        if not set(schema.names) & {str(name) for name in frame.columns}:
            shown = ", ".join(f"'{name}'" for name in schema.names[:5])
            raise UserError(f"{self.place} names none of the model's columns ({shown}): name its columns.")

    def _encoded(self, frame: pd.DataFrame, column: Column) -> NDArray[np.float64]:
        if column.name not in frame.columns:
            self._gone[column.name] = f"the column '{column.name}' is gone"
            return np.full(len(frame), np.nan)
        series = frame[column.name]
        if column.kind == "categorical":
            found = pd.Index(column.categories).get_indexer(texts(series))
            return np.where(found < 0, len(column.categories), found).astype(np.float64)
        numbers = pd.to_numeric(series, errors="coerce").astype(np.float64).to_numpy(copy=True, na_value=np.nan)
        numbers[np.isinf(numbers)] = np.nan
        if foreign := int((np.isnan(numbers) & series.notna().to_numpy()).sum()):
            self._foreign[column.name] = self._foreign.get(column.name, 0) + foreign
        return numbers
