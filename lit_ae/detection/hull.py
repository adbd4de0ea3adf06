"""The range guard: how far a row lies outside what training has seen."""

from typing import NamedTuple

import torch
from torch import Tensor


class Hull(NamedTuple):
    """The box that the training rows fill, in model space; of each feature ``(F,)``.

    Attributes:
        low: the lowest value.
        high: the highest value.
        width: its width, and no less than the mean one of those that vary, so that a constant feature has a unit too.
    """

    low: Tensor
    high: Tensor
    width: Tensor

    @staticmethod
    def of(x: Tensor) -> "Hull":
        """The hull of rows ``(N, ...)``."""
        rows = x.flatten(1)
        low, high = rows.amin(0), rows.amax(0)
        widths = high - low
        wide = widths[widths > 0]
        unit = wide.mean() if len(wide) else widths.new_ones(())
        return Hull(low, high, widths.maximum(unit))

    def excess(self, x: Tensor) -> Tensor:
        """How many widths each feature lies outside, ``(N, F)``; 0 inside."""
        rows = x.flatten(1)
        return torch.maximum(self.low - rows, rows - self.high).clamp(min=0) / self.width

    def clamped(self, x: Tensor, margin: float) -> Tensor:
        """The rows with every feature brought to at most ``margin`` widths outside, of the same shape."""
        reach = margin * self.width
        return x.flatten(1).clamp(self.low - reach, self.high + reach).view_as(x)

    def guarded(self, score: Tensor, x: Tensor, span: float, margin: float) -> Tensor:
        """Scores ``(N,)`` that stay below ``span``, raised where the rows lie far outside: ``(N,)``, float64.

        What they are raised to begins at 0 at ``margin`` widths outside, and reaches ``span`` nine widths further on. A
        hull that holds 0 is left ten times as far by 10x as by x, so 10x never scores lower than x if x is outside by
        ``margin`` or 10x by nine widths more.
        """
        beyond = (self.excess(x).amax(1).double() - margin).clamp(min=0)
        return torch.where(beyond > 0, score.maximum(span * torch.log10(1 + beyond)), score)
