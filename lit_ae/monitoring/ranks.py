"""P-values as ranks among the calibration's own, on the scale that each test wants."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FURTHEST = 3.0  # standard deviations; a rank says no more than that, so that heavy tails do not ring
KEPT = 20_000  # calibration p-values that are kept at most


class Ranks(NamedTuple):
    """The p-values of the calibration rows.

    Attributes:
        p_values: in rising order ``(n,)``.
        below: effective calibration rows among the first k of them, ``(n + 1,)``.
    """

    p_values: NDArray[np.float64]
    below: NDArray[np.float64]

    @staticmethod
    def of(p_values: NDArray[np.float64], weights: NDArray[np.float64]) -> "Ranks":
        """Of p-values ``(n,)`` whose effective rows are ``weights``; every so many of them where there are many."""
        rising = np.argsort(p_values, kind="stable")
        below = np.append(0.0, weights[rising].cumsum())
        kept = np.unique(np.linspace(0, len(rising) - 1, min(len(rising), KEPT)).round().astype(np.int64))
        ends = np.append(kept[1:], len(rising))
        return Ranks(p_values[rising][kept], np.append(0.0, below[ends]))

    @property
    def effective_rows(self) -> float:
        """How many independent rows the calibration is worth."""
        return float(self.below[-1])

    def uniform(self, p_values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mid-ranks ``(N,)`` between 0 and 1, uniform for normal rows even where scores are tied; NaN for NaN."""
        first, last = (self.below[np.searchsorted(self.p_values, p_values, side)] for side in ("left", "right"))
        return np.where(np.isnan(p_values), np.nan, ((first + last) / 2 + 0.5) / (self.effective_rows + 1))


def strangeness(uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Uniform ranks as standard normal numbers: higher is stranger, at most ``FURTHEST`` away from 0."""
    from scipy.special import ndtri

    return np.clip(-ndtri(uniform), -FURTHEST, FURTHEST)


def rank_of(strange: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of :func:`strangeness`."""
    from scipy.special import ndtr

    ranks: NDArray[np.float64] = ndtr(-strange)
    return ranks
