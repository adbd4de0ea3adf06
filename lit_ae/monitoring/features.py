"""One feature as normal rows have it, and how far other rows are from that, by counts of cells."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

POINTS = 129  # quantiles of a numeric feature that a profile keeps at most
NUMBERS = 1 << 17  # that the quantiles of all features take at most
RARE = 5.0  # expected rows of a category below which the chi-square test takes it together with others


class Difference(NamedTuple):
    """How far rows are from normal ones.

    Attributes:
        distance: the Kolmogorov-Smirnov distance of a numeric feature, the total variation of a categorical one: both
            lie between 0 and 1.
        p_value: of the two-sample Kolmogorov-Smirnov test or the chi-square test, by effective rows.
    """

    distance: float
    p_value: float


@dataclass(frozen=True)
class Feature:
    """One feature of normal rows.

    A numeric value v falls into the cell number "edges that are below v": the cells are (-inf, e0], (e0, e1] and so on.
    A category's cell is its code; the last one is that of values that training has not seen.

    Attributes:
        name: of the column.
        kind: numeric or categorical.
        edges: quantiles in rising order ``(E,)``; empty for a categorical one.
        shares: of the rows that have a value, by cell: ``(E + 1,)``, or ``(categories + 1,)``.
        missing: share of the rows that have none.
        rows: how many there are.
        correlation_time: rows of a series that say as much as one independent row.
        unrest: the distance between earlier and later normal rows: what it does by itself.
        labels: the categories' names.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    edges: NDArray[np.float64]
    shares: NDArray[np.float64]
    missing: float
    rows: int
    correlation_time: float = 1.0
    unrest: float = 0.0
    labels: tuple[str, ...] = ()

    @classmethod
    def numeric(cls, name: str, values: NDArray[np.float64], points: int = POINTS) -> "Feature":
        """Of values ``(N,)``, NaN where one is missing."""
        known = values[~np.isnan(values)]
        edges = np.empty(0)
        if len(known):
            quantiles = np.quantile(known, np.linspace(0, 1, points), method="inverted_cdf")
            edges = np.unique(np.append(np.nextafter(known.min(), -np.inf), quantiles))
        blank = cls(name, "numeric", edges, np.zeros(len(edges) + 1), 1 - len(known) / max(1, len(values)), len(values))
        return blank._filled(values)

    @classmethod
    def categorical(cls, name: str, codes: NDArray[np.float64], labels: Sequence[str]) -> "Feature":
        """Of category codes ``(N,)``; the code ``len(labels)`` stands for an unseen value."""
        blank = cls(name, "categorical", np.empty(0), np.zeros(len(labels) + 1), 0.0, len(codes), labels=tuple(labels))
        return blank._filled(codes)

    def _filled(self, values: NDArray[np.float64]) -> "Feature":
        counts = self.count(values)[:-1]
        return replace(self, shares=counts / max(1.0, counts.sum()))

    def cells(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """The cell of each value ``(N,)``; the one after the last for a missing one."""
        missing = np.isnan(values)
        if self.kind == "numeric":
            found = np.searchsorted(self.edges, values, side="left")
        else:
            found = np.where(missing, 0, values).astype(np.int64)
        return np.where(missing, len(self.shares), found)

    def count(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows by cell, and the missing ones last: ``(cells + 1,)``."""
        return np.bincount(self.cells(values), minlength=len(self.shares) + 1).astype(np.float64)

    def difference(self, counts: NDArray[np.float64]) -> Difference:
        """How far the values of rows with these counts are from normal."""
        known = counts[:-1]
        if not known.sum() or not self.shares.sum():
            return Difference(0.0, 1.0)
        distance = self.distance(known)
        if self.kind == "numeric":
            return Difference(distance, ks_p_value(distance, self._worth(known.sum()), self._worth(self.known_rows)))
        return Difference(distance, self._chi_square(np.stack([known, self.shares * self.known_rows])))

    def distance(self, known: NDArray[np.float64]) -> float:
        """The Kolmogorov-Smirnov distance or the total variation of counts ``(cells,)``."""
        gaps = known / known.sum() - self.shares
        return float(np.abs(gaps.cumsum()).max() if self.kind == "numeric" else np.abs(gaps).sum() / 2)

    def missing_difference(self, counts: NDArray[np.float64]) -> Difference:
        """How far the share of missing values is from normal."""
        ours = np.array([1 - self.missing, self.missing]) * self.rows
        theirs = np.array([counts[:-1].sum(), counts[-1]])
        return Difference(
            abs(float(counts[-1] / counts.sum()) - self.missing), self._chi_square(np.stack([theirs, ours]))
        )

    def unseen_share(self, counts: NDArray[np.float64]) -> float:
        """The share of values that training has not seen, beyond what normal rows have."""
        if self.kind == "numeric" or not counts.sum():
            return 0.0
        return max(0.0, float(counts[-2] / counts.sum() - self.shares[-1]))

    @property
    def known_rows(self) -> float:
        """Normal rows that have a value."""
        return self.rows * (1 - self.missing)

    def _worth(self, rows: float) -> float:
        return rows / self.correlation_time

    def _chi_square(self, table: NDArray[np.float64]) -> float:
        """Of counts ``(2, cells)``; rare cells are taken together."""
        from scipy.stats import chi2_contingency

        table = self._worth(1.0) * table
        expected = table.sum(0) * (table.sum(1).min() / table.sum())
        rare = expected < RARE
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(1)])
        table = table[:, table.sum(0) > 0]
        return float(chi2_contingency(table, correction=False).pvalue) if table.shape[1] > 1 else 1.0


def ks_p_value(distance: float, rows: float, others: float) -> float:
    """Of the two-sample Kolmogorov-Smirnov test by so many effective rows each.

    The distance over some points is no larger than that over all, so the test never rings more often than it says.
    """
    from scipy.stats import kstwo

    return float(kstwo.sf(distance, max(1, int(rows * others / (rows + others)))))


def points_for(features: int) -> int:
    """Quantiles kept of each of so many numeric features."""
    return int(np.clip(NUMBERS // max(1, features), 9, POINTS))
