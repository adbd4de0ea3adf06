"""What is counted of rows as they pass, in memory that does not grow with them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lit_ae.monitoring.features import Feature

CELLS = 500  # of the ranks between 0 and 1
LINES = 120  # stretches of a timeline at most


class Piece(NamedTuple):
    """Some rows in time order.

    Attributes:
        uniform: ranks among the calibration's ``(N,)``; NaN for rows that are not scored.
        alarm: which rows alarm ``(N,)``, bool.
        cells: the cell of each feature's value ``(N, features)``; None where no feature is known.
        codes: whitened codes ``(N, L)``, NaN for rows that have none; None where the latent is not watched.
    """

    uniform: NDArray[np.float64]
    alarm: NDArray[np.bool_]
    cells: NDArray[np.int64] | None = None
    codes: NDArray[np.float64] | None = None

    def take(self, rows: slice | NDArray[np.bool_]) -> "Piece":
        """Some of the rows."""
        return Piece(*(None if values is None else values[rows] for values in self))  # type: ignore[arg-type]


class Counts:
    """Features and codes of rows.

    Args:
        features: as normal rows have them.
        dimensions: of a code.
    """

    def __init__(self, features: tuple[Feature, ...], dimensions: int):
        sizes = np.array([len(one.shares) + 1 for one in features], dtype=np.int64)
        self._starts = np.append(0, sizes.cumsum())
        self._cells = np.zeros(self._starts[-1])
        self.codes, self.coded = np.zeros(dimensions), 0

    def add(self, piece: Piece) -> None:
        """Takes rows in."""
        if piece.cells is not None:
            flat = (piece.cells + self._starts[:-1]).ravel()
            self._cells += np.bincount(flat, minlength=len(self._cells))
        if piece.codes is not None:
            known = piece.codes[~np.isnan(piece.codes).any(1)]
            self.codes += known.sum(0)
            self.coded += len(known)

    def of(self, feature: int) -> NDArray[np.float64]:
        """Rows by cell of one feature, the missing ones last."""
        return self._cells[self._starts[feature] : self._starts[feature + 1]]


class Tally:
    """Ranks, alarms, features and codes of rows; the latter two also of the rows that do not alarm.

    Args:
        features: as normal rows have them.
        dimensions: of a code.
    """

    def __init__(self, features: tuple[Feature, ...] = (), dimensions: int = 0):
        self.rows = self.scored = self.alarms = 0
        self.ranks = np.zeros(CELLS)
        self.all, self.quiet = Counts(features, dimensions), Counts(features, dimensions)

    def add(self, piece: Piece) -> None:
        """Takes rows in."""
        known = piece.uniform[~np.isnan(piece.uniform)]
        self.rows += len(piece.uniform)
        self.scored += len(known)
        self.alarms += int(piece.alarm.sum())
        self.ranks += np.bincount((known * CELLS).astype(np.int64).clip(0, CELLS - 1), minlength=CELLS)
        self.all.add(piece)
        self.quiet.add(piece.take(~piece.alarm))


class Stretch(NamedTuple):
    """Consecutive rows of a timeline.

    Attributes:
        first: the number of the first of them.
        scored: how many of them are scored.
        alarms: how many alarm.
        ranks: of the scored ones by cell ``(CELLS,)``.
    """

    first: int
    scored: int
    alarms: int
    ranks: NDArray[np.float64]

    def quantile(self, share: float) -> float:
        """The rank below which a share of the rows lies; NaN where none is scored."""
        if not self.scored:
            return float("nan")
        return float((np.searchsorted(self.ranks.cumsum(), share * self.scored) + 0.5) / CELLS)

    def joined(self, later: "Stretch") -> "Stretch":
        """Both as one."""
        return Stretch(self.first, self.scored + later.scored, self.alarms + later.alarms, self.ranks + later.ranks)


class Timeline:
    """How ranks and alarms went over the rows, in at most ``LINES`` stretches: as rows come, these grow.

    Args:
        rows: of a stretch at first.
    """

    def __init__(self, rows: int = 100):
        self.length, self.stretches = rows, list[Stretch]()
        self._rows = 0

    def add(self, piece: Piece) -> None:
        """Takes rows in."""
        begun = 0
        while begun < len(piece.uniform):
            count = min(self.length - self._rows % self.length, len(piece.uniform) - begun)
            self._take(piece.take(slice(begun, begun + count)))
            begun += count

    def _take(self, piece: Piece) -> None:
        tally = Tally()
        tally.add(Piece(piece.uniform, piece.alarm))
        new = Stretch(self._rows, tally.scored, tally.alarms, tally.ranks)
        if self._rows % self.length:
            self.stretches[-1] = self.stretches[-1].joined(new)
        else:
            self.stretches.append(new)
        self._rows += tally.rows
        if len(self.stretches) == LINES and not self._rows % self.length:
            pairs = zip(self.stretches[::2], self.stretches[1::2], strict=True)
            self.stretches, self.length = [first.joined(second) for first, second in pairs], 2 * self.length
