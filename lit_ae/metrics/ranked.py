"""Figures of a ranking that a bootstrap asks for in every draw: scores are ranked once, and counted ever after.

Each takes what the rows are ``(N,)`` and the ranks of their scores ``(N,)``, and is NaN where the rows at hand are of
one kind.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from lit_ae.metrics.ranking import Booleans, Floats, Integers
from lit_ae.paired_bootstrap import Figure, interval_of, resampled_figures


def dense_ranks(score: ArrayLike) -> Integers:
    """The place of each score among the different ones, from 0: ``(N,)``."""
    return rankdata(score, method="dense").astype(np.int64) - 1


def auroc(anomaly: Booleans, rank: Integers) -> float:
    """The area under the ROC curve."""
    found, false = _from_the_top(anomaly, rank)
    if not found.sum() or not false.sum():
        return np.nan
    beaten = false.sum() - np.cumsum(false) + false / 2
    return float(found @ beaten / (found.sum() * false.sum()))


def average_precision(anomaly: Booleans, rank: Integers) -> float:
    """The average precision."""
    found, false = _from_the_top(anomaly, rank)
    if not found.sum() or not false.sum():
        return np.nan
    alarms = np.cumsum(found + false)
    return float(found @ (np.cumsum(found) / np.maximum(alarms, 1)) / found.sum())


def recall_within(budget: float) -> Figure:
    """The highest recall of any threshold whose false alarms stay within the budget on these very rows."""

    def recall(anomaly: Booleans, rank: Integers) -> float:
        found, false = _from_the_top(anomaly, rank)
        if not found.sum() or not false.sum():
            return np.nan
        return float(found[np.cumsum(false) / false.sum() <= budget].sum() / found.sum())

    return recall


def average_precision_interval(
    score: ArrayLike,
    anomaly: Booleans,
    blocks: ArrayLike | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of the average precision (Efron and Tibshirani 1993, chapter 13); NaN without a draw.

    Args:
        score: higher is worse ``(N,)``.
        anomaly: what the rows are ``(N,)``.
        blocks: rows of one id ``(N,)`` are drawn together, such as a stretch of a series; by default each by itself.
        resamples: how many draws; those whose rows are of one kind are left out.
        level: of the interval.
        seed: of the draws.
    """
    draws = resampled_figures(average_precision, anomaly, dense_ranks(score), resamples, seed, blocks)
    return interval_of(draws, level)


def _from_the_top(anomaly: Booleans, rank: Integers) -> tuple[Floats, Floats]:
    """Anomalous and normal rows at each rank, the highest first."""
    size = int(rank.max()) + 1
    both = np.bincount(rank, minlength=size)[::-1]
    found = np.bincount(rank[anomaly], minlength=size)[::-1]
    return found.astype(float), (both - found).astype(float)
