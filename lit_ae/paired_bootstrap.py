"""Which of two models is better on the same rows, and how sure that is: the paired bootstrap."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Figure = Callable[[NDArray, NDArray], float]
"""``figure(truth, scores)`` of rows, such as the AUROC; nan where the rows at hand have none."""


@dataclass(frozen=True)
class Difference:
    """A figure of the first model less that of the second, on the same rows.

    Attributes:
        difference: on all rows, once each.
        low: lower end of its interval.
        high: upper end.
        p_value: two-sided, of no difference: the level at which the interval would just reach 0.
    """

    difference: float
    low: float
    high: float
    p_value: float = 1.0

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 is outside the interval; of several comparisons, correct them first by :func:`holm`."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    figure: Figure,
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    blocks: ArrayLike | None = None,
) -> Difference:
    """Percentile interval of the difference of two models' figures (Efron and Tibshirani 1993, chapters 13 and 16).

    Every resample draws the same rows for both models, so that what makes a row hard for both cancels out.

    Args:
        figure: of truth and scores.
        truth: what the rows are ``(N, ...)``, such as labels.
        first: the first model's scores of the rows ``(N, ...)``.
        second: the second model's.
        resamples: how many draws; those without a figure for both models are left out.
        level: of the interval.
        seed: of the draws.
        blocks: rows of one id ``(N,)`` are drawn together, such as a stretch of a series; by default each by itself.

    Raises:
        ValueError: truth, scores and blocks differ in length, or there are no rows.
    """
    what, one, other = np.asarray(truth), np.asarray(first), np.asarray(second)
    draws = [resampled_figures(figure, what, scores, resamples, seed, blocks) for scores in (one, other)]
    return difference_of(float(figure(what, one) - figure(what, other)), draws[0] - draws[1], level)


def resampled_figures(
    figure: Figure,
    truth: ArrayLike,
    scores: ArrayLike,
    resamples: int = 2000,
    seed: int = 0,
    blocks: ArrayLike | None = None,
) -> Floats:
    """One model's figure on each resample ``(resamples,)``; those of two models are paired where the seed is the same.

    The arguments are those of :func:`paired_bootstrap`.

    Raises:
        ValueError: truth, scores and blocks differ in length, or there are no rows.
    """
    what, said = np.asarray(truth), np.asarray(scores)
    if len(what) != len(said) or not len(what):
        raise ValueError(f"There are {len(what)} rows of truth and {len(said)} of scores.")
    return np.array([figure(what[rows], said[rows]) for rows in drawn_rows(len(what), resamples, seed, blocks)])


def drawn_rows(count: int, resamples: int, seed: int, blocks: ArrayLike | None = None) -> Iterator[NDArray[np.intp]]:
    """The numbers of the rows of each resample, as many blocks as there are, drawn with replacement.

    Raises:
        ValueError: there is not one block id for each row.
    """
    generator = np.random.default_rng(seed)
    if blocks is None:
        yield from (generator.integers(count, size=count) for _ in range(resamples))
        return
    names, block = np.unique(np.asarray(blocks), return_inverse=True)
    if len(block) != count:
        raise ValueError(f"There are {count} rows and {len(block)} block ids.")
    for _ in range(resamples):
        often = np.bincount(generator.integers(len(names), size=len(names)), minlength=len(names))
        yield np.repeat(np.arange(count), often[block])


def difference_of(difference: float, draws: ArrayLike, level: float = 0.95) -> Difference:
    """The difference with the interval and the p-value of its resamples.

    Args:
        difference: on all rows.
        draws: on each resample ``(resamples,)``; what is not finite is left out.
        level: of the interval.
    """
    values = np.asarray(draws, float)
    values = values[np.isfinite(values)]
    rarer = min(np.count_nonzero(values <= 0), np.count_nonzero(values >= 0))
    return Difference(difference, *interval_of(values, level), min(1.0, 2 * (rarer + 1) / (len(values) + 1)))


def interval_of(draws: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of a figure's resamples ``(resamples,)``, those that are finite; NaN without any."""
    values = np.asarray(draws, float)
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]) if len(values) else (np.nan, np.nan)
    return float(low), float(high)


def holm(p_values: ArrayLike) -> Floats:
    """p-values ``(K,)`` corrected for being K together (Holm 1979): below a level, no error but at that rate."""
    values = np.asarray(p_values, float)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
