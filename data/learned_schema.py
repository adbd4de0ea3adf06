"""A schema and the scaling of its columns, learned from training rows that may come in pieces."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lit_ae.errors import UserError
from lit_ae.preprocessing import Tabular
from lit_ae.schema import MISSING, Column, MissingPolicy, Schema, numbers, texts


@dataclass
class Moments:
    """Count, mean, sum of squared deviations and range of numbers that come in pieces (Chan et al. 1983).

    Attributes:
        missing: values that were NaN, which nothing else counts.
    """

    count: int = 0
    missing: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf

    def update(self, values: NDArray[np.float64]) -> None:
        """Takes in a piece."""
        present = values[~np.isnan(values)]
        self.missing += len(values) - len(present)
        if not len(present):
            return
        with np.errstate(over="ignore", invalid="ignore"):
            total, mean = self.count + len(present), present.mean()
            shift = mean - self.mean
            squares = np.square(present - mean).sum() + np.square(shift) * self.count * len(present) / total
        self.squares, self.mean = self.squares + float(squares), self.mean + float(shift * len(present) / total)
        self.count = total
        self.low, self.high = min(self.low, float(present.min())), max(self.high, float(present.max()))

    @property
    def deviation(self) -> float:
        """The standard deviation; 1 for a constant."""
        deviation = float(np.sqrt(self.squares / max(self.count, 1)))
        return deviation if deviation > 1e-9 * max(1.0, abs(self.mean)) else 1.0


@dataclass
class _Seen:
    """What was seen of one column: numbers as they are and as they are scaled, or categories."""

    dtype: str
    is_numeric: bool
    plain: Moments = field(default_factory=Moments)
    scaled: Moments = field(default_factory=Moments)
    categories: Counter[str] = field(default_factory=Counter)


class Learned(NamedTuple):
    """What the training rows have taught.

    Attributes:
        schema: what the columns are.
        preprocessing: how they are scaled.
    """

    schema: Schema
    preprocessing: Tabular


class SchemaLearner:
    """Learns from the training rows alone.

    A column is categorical if it holds text or truth values, or is named as such; of its categories the most frequent
    are kept, and the others count as unseen. A constant column is kept: whatever differs from it will stand out.

    Args:
        names: the columns that are wanted, in order.
        categorical: those that are categorical whatever they hold.
        missing: what is done with missing values.
        log: whether numbers are put on the scale sign(v)·log(1 + |v|) before they are standardised.
        max_categories: categories that are kept of one column.
        entity: the column that says which series a row belongs to.
        types: the columns' types in the file, where they are known.
    """

    def __init__(
        self,
        names: Sequence[str],
        categorical: Sequence[str] = (),
        missing: MissingPolicy = "mean",
        log: bool = False,
        max_categories: int = 100,
        entity: str | None = None,
        types: Mapping[str, str] | None = None,
    ):
        self.types = types or {}
        self.names, self.categorical, self.entity = list(names), set(categorical), entity
        self.missing, self.log, self.max_categories = missing, log, max_categories
        self._seen: dict[str, _Seen] = {}

    def update(self, frame: pd.DataFrame) -> None:
        """Takes in some training rows."""
        for name in self.names if len(frame) else ():
            series = frame[name]
            if name not in self._seen:
                is_numeric = name not in self.categorical and holds_numbers(series)
                self._seen[name] = _Seen(self.types.get(name, str(series.dtype)), is_numeric)
            seen = self._seen[name]
            if seen.is_numeric:
                values = numbers(series)
                seen.plain.update(values)
                seen.scaled.update(np.sign(values) * np.log1p(np.abs(values)) if self.log else values)
            else:
                seen.categories.update(texts(series).value_counts().to_dict())

    @property
    def schema(self) -> Schema:
        """What was learned.

        Raises:
            UserError: if there was no row, or a column has no value at all.
        """
        if not self._seen:
            raise UserError("The table has too few normal rows to fit with: give it more rows, or lower the shares.")
        return Schema([self._column(name, seen) for name, seen in self._seen.items()], self.missing, self.entity)

    @property
    def preprocessing(self) -> Tabular:
        """The scaling that belongs to the schema."""
        columns, seen = self.schema.columns, self._seen.values()
        has_indicator = [self.missing == "indicator" and c.kind == "numeric" and c.missing > 0 for c in columns]
        return Tabular(
            bins=[column.bins for column in columns],
            centre=[one.scaled.mean for one in seen],
            scale=[one.scaled.deviation for one in seen],
            log=self.log,
            indicators=[at for at, wanted in enumerate(has_indicator) if wanted],
        )

    def _column(self, name: str, seen: _Seen) -> Column:
        if seen.is_numeric:
            if not seen.plain.count:
                raise UserError(f"The column '{name}' has no value in the training rows: leave it out by data.ignore.")
            if not np.isfinite(seen.scaled.squares):
                largest = max(-seen.plain.low, seen.plain.high)
                raise UserError(
                    f"The column '{name}' holds numbers up to {largest:.3g}, whose squares are too large to be added: "
                    "rescale it, or set data.log to true."
                )
            share = seen.plain.missing / (seen.plain.missing + seen.plain.count)
            return Column(name, "numeric", seen.dtype, seen.plain.low, seen.plain.high, missing=share)
        kept = sorted(seen.categories, key=lambda text: (-seen.categories[text], text))[: self.max_categories]
        share = seen.categories[MISSING] / max(seen.categories.total(), 1)
        return Column(name, "categorical", seen.dtype, categories=tuple(sorted(kept)), missing=share)


def holds_numbers(series: pd.Series) -> bool:
    """Whether a column is numeric by its type."""
    return pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype)
