"""What the columns of a table are: learned from the training rows, shown, kept with the model, enforced at scoring."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from numbers import Number
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_ae.codecs import Codec
from lit_ae.errors import UserError

MissingPolicy = Literal["mean", "indicator", "refuse"]
UNSEEN, MISSING = "(unseen)", "(missing)"
_TEXT = {"str", "string", "large_string", "object"}
_TRUTH = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: as the user calls it.
        kind: numeric, or categorical.
        dtype: its type in the file, in the words of pandas or Arrow.
        low: lowest training value; None for a categorical one.
        high: highest training value.
        categories: the training values of a categorical one, in the order of their codes. The code after the last
            stands for a value that training has not seen.
        missing: share of the training values that are missing.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    dtype: str
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()
    missing: float = 0.0

    @property
    def bins(self) -> int:
        """One-hot features of a categorical column, that of unseen values among them; 0 for a numeric one."""
        return len(self.categories) + 1 if self.kind == "categorical" else 0

    @property
    def values(self) -> str:
        """The range or the categories, for people."""
        if self.kind == "numeric":
            constant = " (constant)" if self.low == self.high else ""
            return f"{self.low:.6g} to {self.high:.6g}{constant}"
        shown = ", ".join(self.categories[:6])
        return shown if len(self.categories) <= 6 else f"{shown} and {len(self.categories) - 6} more"


class Schema(Codec):
    """The columns of a table, and the way from a frame of them to numbers and back.

    Missing values: ``mean`` puts the training mean in their place, ``indicator`` does so too and gives every numeric
    column that had missing values in training a feature that says where, ``refuse`` takes none. Among categories a
    missing value is one of its own if training had any, else an unseen one. An infinite value is always refused, and so
    is text in a numeric column.

    Args:
        columns: in the order of the raw tensor.
        missing: what is done with missing values.
        entity: the column that says which series a row belongs to, for models of windows; it may be left out where all
            rows are of one series.
    """

    def __init__(self, columns: Sequence[Column], missing: MissingPolicy = "mean", entity: str | None = None):
        if missing not in get_args(MissingPolicy):
            raise UserError(f"data.missing is {missing!r}, but it must be one of {', '.join(get_args(MissingPolicy))}.")
        self.columns, self.missing, self.entity = tuple(columns), missing, entity

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def encode(self, frame: pd.DataFrame, place: str = "The input", first_row: int = 0) -> Tensor:
        """The frame's columns as numbers ``(N, columns)``, float64: category codes, NaN for a missing number.

        Columns are found by name; their order does not matter, and others are left aside.

        Args:
            frame: rows in the user's own units.
            place: what the rows are from, for the error.
            first_row: the number of the first of them, for the error.

        Raises:
            UserError: naming the column, and the row where there is one.
        """
        self._check_names(frame, place)
        encoded = np.empty((len(frame), len(self.columns)))
        for at, column in enumerate(self.columns):
            try:
                encoded[:, at] = self._encoded(frame[column.name], column)
            except _BadValueError as bad:
                row = first_row + bad.row
                raise UserError(f"{place}, row {row}, column '{column.name}': {bad.reason}.") from None
        return torch.from_numpy(encoded)

    def decode(self, raw: Tensor) -> pd.DataFrame:
        """The inverse of :meth:`encode`: a frame of the numbers ``(N, columns)``, categories by their names."""
        values = raw.double().cpu().numpy()
        return pd.DataFrame({c.name: _decoded(values[:, at], c) for at, c in enumerate(self.columns)})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values from which :meth:`from_dict` makes an equal schema."""
        columns = [{**asdict(column), "categories": list(column.categories)} for column in self.columns]
        return {"columns": columns, "missing": self.missing, "entity": self.entity}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "Schema":
        columns = [Column(**{**column, "categories": tuple(column["categories"])}) for column in state["columns"]]
        return cls(columns, state["missing"], state["entity"])

    def to_markdown(self) -> str:
        """A table for people."""
        rows = [f"| {c.name} | {c.kind} | {c.dtype} | {c.values} | {c.missing:.2%} |" for c in self.columns]
        heads = ["| column | kind | dtype | training values | missing |", "| --- | --- | --- | --- | --- |"]
        return "\n".join([*heads, *rows, "", f"Missing values: {self.missing}.", ""])

    def _check_names(self, frame: pd.DataFrame, place: str) -> None:
        given = [str(name) for name in frame.columns]
        if twice := sorted({name for name in given if given.count(name) > 1} & set(self.names)):
            raise UserError(f"{place} has the column '{twice[0]}' twice: leave one.")
        absent = [name for name in self.names if name not in given]
        if not absent:
            return
        if len(absent) == len(self.columns):
            raise UserError(f"{place} names none of the model's columns ({_listed(self.names)}): name its columns.")
        spare = {name.lower(): name for name in given if name not in self.names}
        nearest = get_close_matches(absent[0].lower(), spare, n=1)
        hint = f" ('{spare[nearest[0]]}' is not one of the model's: was it meant?)" if nearest else ""
        raise UserError(
            f"{place} lacks the column(s) {_listed(absent)}{hint}: the model needs all {len(self.columns)}."
        )

    def _encoded(self, series: pd.Series, column: Column) -> NDArray[np.float64]:
        if self.missing == "refuse" and (missing := series.isna().to_numpy()).any():
            raise _BadValueError(missing, "the value is missing, and data.missing is refuse: fill it in")
        return codes(series, column) if column.kind == "categorical" else numbers(series)


class _BadValueError(Exception):
    """A value that has no number.

    Args:
        bad: which rows ``(N,)``, bool.
        reason: of the first of them.
    """

    def __init__(self, bad: NDArray[np.bool_], reason: str):
        self.row, self.reason = int(bad.argmax()), reason


def numbers(series: pd.Series) -> NDArray[np.float64]:
    """The numbers of a column, NaN where one is missing; truth values are 0 and 1.

    Raises:
        _BadValueError: for text, times and infinite numbers.
    """
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "fiub":
        return _finite(series.to_numpy(np.float64))
    missing = series.isna().to_numpy()
    if not pd.api.types.is_numeric_dtype(series.dtype):
        foreign = ~missing & ~np.array([isinstance(value, Number) for value in series], dtype=bool)
        if foreign.any():
            found = str(series[foreign].iloc[0])
            raise _BadValueError(foreign, f"{found!r} is no number, and the column takes numbers: mend it")
    try:
        return _finite(series.where(~missing, np.nan).astype(np.float64).to_numpy())
    except OverflowError:
        too_large = np.array([isinstance(value, int) and abs(value) > sys.float_info.max for value in series])
        raise _BadValueError(too_large, "the number is too large: mend it, or leave the row out") from None


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if (infinite := np.isinf(values)).any():
        raise _BadValueError(infinite, "the number is infinite: mend it, or leave the row out")
    return values


def texts(series: pd.Series) -> pd.Series:
    """The values of a categorical column as text, :data:`MISSING` where there is none; 1.0 is 1, and True is true."""
    if pd.api.types.is_float_dtype(series.dtype) and (series.dropna() % 1 == 0).all():
        series = series.astype("Int64")
    return series.astype("string").replace(_TRUTH).fillna(MISSING)


def codes(series: pd.Series, column: Column) -> NDArray[np.float64]:
    """The place of each value among the column's categories, and the one after the last for any other.

    Raises:
        _BadValueError: for numbers where training had text.
    """
    present = series.notna().to_numpy()
    is_number = pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype)
    if is_number and present.any() and column.dtype in _TEXT:
        raise _BadValueError(present, f"{series[present].iloc[0]} is a number, and the column takes text: mend it")
    found = pd.Index(column.categories).get_indexer(texts(series))
    return np.where(found < 0, len(column.categories), found).astype(np.float64)


def _decoded(values: NDArray[np.float64], column: Column) -> Any:
    if column.kind == "numeric":
        return values
    names = np.array([*(None if name == MISSING else name for name in column.categories), UNSEEN, None], dtype=object)
    return names[np.nan_to_num(values, nan=len(names) - 1).astype(int)]


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
