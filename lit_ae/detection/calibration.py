"""From scores to p-values and thresholds that keep a false-alarm budget, by normal rows that no fit has seen."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lit_ae.detection.tail import LEAST, REACH, SHARE, Tail


class Calibration(NamedTuple):
    """The scores of the calibration rows, and what each of them counts.

    Neighbours in time are alike, so many of them say little more than one. The rows of a series are therefore cut into
    blocks of the length over which scores forget (one row where rows are independent), and a block counts as one:
    p(s) = (1 + sum over blocks of the share of the block's scores >= s) / (1 + blocks). Of normal rows no more than a
    share alpha has a p-value of alpha or less, if their blocks are like those of the calibration (Vovk et al. 2005; for
    groups Lee, Barber & Willett 2023).

    Attributes:
        scores: in rising order ``(n,)``, float64.
        weights: 1 / the size of each score's block ``(n,)``, float64.
        tail: for p-values below the floor; None where there are too few rows for one.
    """

    scores: Tensor
    weights: Tensor
    tail: Tail | None

    @staticmethod
    def of(scores: Tensor, blocks: Tensor | None = None, with_tail: bool = True) -> "Calibration":
        """Fitted on scores ``(n,)`` of normal rows; ``blocks`` says which block each belongs to, ``(n,)``."""
        blocks = torch.arange(len(scores)) if blocks is None else blocks
        _, which, sizes = blocks.unique(return_inverse=True, return_counts=True)
        rising = scores.argsort(stable=True)
        ordered, weights = scores[rising].double(), (1 / sizes[which].double())[rising]
        tail = Tail.of(ordered, weights, floor=1 / (1 + len(sizes))) if with_tail else None
        return Calibration(ordered, weights, tail)

    @property
    def effective_rows(self) -> float:
        """How many independent rows the calibration is worth."""
        return float(self.weights.sum().round())

    @property
    def floor(self) -> float:
        """The lowest p-value that these rows can give by themselves."""
        return 1 / (1 + self.effective_rows)

    @property
    def lowest(self) -> float:
        """The lowest p-value there is: the floor, or where the tail's range ends."""
        return self.floor if self.tail is None else float(self.tail.lowest)

    def p_values(self, scores: Tensor) -> Tensor:
        """The p-value of each score ``(N,)``, float64; NaN for NaN."""
        scores = scores.double()
        place = torch.searchsorted(self.scores, scores)
        below = torch.cat([self.weights.new_zeros(1), self.weights.cumsum(0)])
        p = (1 + (below[-1] - below[place]).clamp(min=0)) / (1 + self.effective_rows)
        if self.tail is not None:
            far = place == len(self.scores)
            p[far] = self.tail.p_values(scores[far]).minimum(p[far])
        return p.where(scores == scores, scores)

    def threshold(self, alpha: float) -> float:
        """The score above which p is at most ``alpha``; infinite where no score has so low a p-value."""
        if alpha < self.floor:
            beyond = math.inf if self.tail is None else self.tail.threshold(alpha)
            return max(beyond, float(self.scores[-1]))
        too_high = self.scores[self.p_values(self.scores) > alpha]
        return float(too_high[-1]) if len(too_high) else -math.inf

    def quantile(self, share: float) -> float:
        """The score that a share of the calibration rows lies at or below: a plain quantile, which promises nothing."""
        return float(self.scores.quantile(share))

    def three_sigma(self) -> float:
        """Mean and three standard deviations: 0.13 % of a normal distribution, which scores seldom have."""
        return float(self.scores.mean() + 3 * self.scores.std(correction=0))


def lowest_p_value(rows: int, with_tail: bool) -> float:
    """The lowest p-value that so many independent calibration rows can give."""
    reach = REACH if with_tail and rows * SHARE >= LEAST else 1.0
    return 1 / (1 + rows) / reach


def least_rows(budget: float, with_tail: bool) -> int:
    """How many independent calibration rows can give a p-value as low as the budget."""
    alone = math.ceil(1 / budget) - 1
    tailed = max(math.ceil(LEAST / SHARE), math.ceil(1 / (REACH * budget)) - 1)
    return min(alone, tailed) if with_tail else alone


def rounded_up(share: float) -> float:
    """A share between 0 and 1 in two digits, not below it: a budget that can be typed, and is kept."""
    unit = 10.0 ** (math.floor(math.log10(share)) - 1)
    return math.ceil(share / unit) * unit


def discoveries(p: Tensor, rate: float) -> Tensor:
    """Which rows are anomalies such that a share ``rate`` of these is false on average (Benjamini & Hochberg 1995).

    Rows whose p-value is NaN are none, and do not count.
    """
    known = p[p == p]
    if not len(known):
        return torch.zeros_like(p, dtype=torch.bool)
    ordered = known.sort().values
    kept = ordered <= rate * torch.arange(1, len(known) + 1) / len(known)
    limit = ordered[kept.nonzero().max()] if kept.any() else -1.0
    return p <= limit


def best_f1(scores: Tensor, anomalous: Tensor) -> float:
    """The threshold with the best F1 on labelled rows: halfway to the next lower score."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(anomalous.numpy(), scores.numpy())
    f1 = 2 * precision[:-1] * recall[:-1] / (precision[:-1] + recall[:-1]).clip(min=1e-12)
    place = int(f1.argmax())
    return float((thresholds[place] + thresholds[max(0, place - 1)]) / 2) if place else float(thresholds[0]) - 1e-9
