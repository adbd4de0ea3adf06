"""How groups of models stand: figures with intervals, and which differences are real."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from lit_ae.metrics.ranking import Floats
from lit_ae.paired_bootstrap import Difference, difference_of, holm, resampled_figures
from pipelines.comparing.figures import Measure
from pipelines.comparing.judged import Judged


@dataclass(frozen=True)
class Standing:
    """A group's figure.

    Attributes:
        of_seeds: each member's, on all rows.
        low: lower end of the interval of their mean.
        high: upper end.
        draws: their mean on each resample of the rows, with the uncertainty of the seeds ``(resamples,)``.
    """

    of_seeds: list[float]
    low: float
    high: float
    draws: Floats

    @property
    def mean(self) -> float:
        return float(np.mean(self.of_seeds))

    @property
    def sd(self) -> float | None:
        """The standard deviation over the seeds; None for one."""
        return float(np.std(self.of_seeds, ddof=1)) if len(self.of_seeds) > 1 else None


@dataclass(frozen=True)
class Comparison:
    """A group's figure less that of the reference.

    Attributes:
        difference: with its interval and its p-value, for itself.
        corrected: the p-value for all comparisons of the figure together (Holm).
        is_real: whether 0 is outside the interval, and stays so for all comparisons together.
    """

    difference: Difference
    corrected: float
    is_real: bool


def enough(resamples: int, comparisons: int, level: float) -> int:
    """The draws that are needed for the smallest p-value to stay small among so many comparisons."""
    return max(resamples, math.ceil(2 * max(comparisons, 1) / (1 - level)))


def standing(
    measure: Measure, members: Sequence[Judged], resamples: int, level: float, seed: int, place: int
) -> Standing:
    """A group's figure with its interval: for other test rows, and for other seeds where there are several.

    On each resample of the rows stands the mean over the seeds. What the mean of few seeds leaves open is added as
    Student's t of their spread (the fiducial argument of Behrens and Fisher: Fisher 1935): two seeds say little.

    Args:
        measure: the figure.
        members: of the group, one for each seed.
        resamples: draws of the rows, the same for every group.
        level: of the interval.
        seed: of the draws.
        place: the group's number, which makes its seeds' uncertainty its own.
    """
    values = [measure.values(one) for one in members]
    of_seeds = [measure.figure(measure.truth, own) for own in values]
    each = [resampled_figures(measure.figure, measure.truth, own, resamples, seed, measure.blocks) for own in values]
    draws = np.mean(each, axis=0)
    if len(members) > 1:
        spread = np.std(of_seeds, ddof=1) / math.sqrt(len(members))
        quantiles = student_t.ppf((np.arange(resamples) + 0.5) / resamples, len(members) - 1)
        draws = draws + spread * np.random.default_rng((seed, place)).permutation(quantiles)
    interval = difference_of(float(np.mean(of_seeds)), draws, level)
    return Standing(of_seeds, interval.low, interval.high, draws)


def compared(standings: Sequence[Standing], reference: int, level: float) -> list[Comparison | None]:
    """Each group beside the reference, which has None."""
    base = standings[reference]
    others = [place for place in range(len(standings)) if place != reference]
    found = [difference_of(standings[i].mean - base.mean, standings[i].draws - base.draws, level) for i in others]
    corrected = holm([one.p_value for one in found])
    comparisons: list[Comparison | None] = [None] * len(standings)
    for place, difference, p_value in zip(others, found, corrected, strict=True):
        real = difference.excludes_zero and bool(p_value <= 1 - level)
        comparisons[place] = Comparison(difference, float(p_value), real)
    return comparisons


def best(standings: Sequence[Standing], higher_is_better: bool) -> int:
    """The number of the group with the best mean."""
    means = [one.mean if higher_is_better else -one.mean for one in standings]
    return int(np.argmax(means))
