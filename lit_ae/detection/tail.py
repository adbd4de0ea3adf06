"""The far tail of calibration scores, below what they can say by counting."""

from typing import NamedTuple

import torch
from torch import Tensor

from lit_ae.detection.blocks import in_blocks

SHARE = 0.1  # of the calibration that the tail is fitted on
LEAST = 50.0  # effective rows that it needs
REACH = 10.0  # how far below the floor it is believed
STRAIGHT = 1e-9  # a shape below this is an exponential tail's
SHAPES = (-0.5, 0.5)  # maximum likelihood is regular above the first, and the variance finite below the second


class Tail(NamedTuple):
    """A generalised Pareto law of the excesses over a high score (Pickands 1975). Each a float64 scalar.

    Attributes:
        start: the score that it begins at.
        share: of normal rows above ``start``.
        shape: its shape ξ.
        scale: its scale.
        lowest: the p-value at which its range ends: a tenth of the calibration's floor.
    """

    start: Tensor
    share: Tensor
    shape: Tensor
    scale: Tensor
    lowest: Tensor

    @staticmethod
    def of(ordered: Tensor, weights: Tensor, floor: float) -> "Tail | None":
        """Fitted by maximum likelihood on scores in rising order; None where they do not carry one."""
        from scipy.stats import genpareto

        start = ordered.quantile(1 - SHARE)
        above = ordered > start
        excesses = (ordered[above] - start).numpy()
        effective = float(weights[above].sum())
        if effective < LEAST or not excesses.max(initial=0) > 0:
            return None
        shape, _, scale = genpareto.fit(excesses, floc=0)
        if not SHAPES[0] < shape < SHAPES[1]:
            return None
        share = effective / float(weights.sum())
        numbers = (float(start), share, float(shape), float(scale), floor / REACH)
        return Tail(*(torch.tensor(number, dtype=torch.float64) for number in numbers))

    def p_values(self, scores: Tensor) -> Tensor:
        """P(a normal row scores as high), ``(N,)``, no lower than ``lowest``; for scores above ``start``."""
        left = in_blocks(lambda some: {"left": self._left(some)}, scores)["left"]
        return (self.share * left).clamp(min=self.lowest)

    def _left(self, scores: Tensor) -> Tensor:
        """The part of the tail that lies above."""
        excess = (scores - self.start).clamp(min=0) / self.scale
        if abs(float(self.shape)) < STRAIGHT:
            return (-excess).exp()
        return (1 + self.shape * excess).clamp(min=0).pow(-1 / self.shape)

    def threshold(self, alpha: float) -> float:
        """The score with that p-value; infinite outside the tail's range."""
        if alpha < float(self.lowest):
            return float("inf")
        ratio, shape = float(self.share) / alpha, float(self.shape)
        excess = torch.tensor(ratio).log() if abs(shape) < STRAIGHT else (ratio**shape - 1) / shape
        return float(self.start + self.scale * excess)
