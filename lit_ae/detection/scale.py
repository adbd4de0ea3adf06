"""Scores of any unit on one scale: standardised logarithms."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SPAN = 20.0  # a combined score lies between -SPAN and SPAN before the range guard adds to it
LOWEST = 1e-12
SIGNED = ("log_probability", "discriminator")  # scores that are logarithms already and may be negative


class LogZ(NamedTuple):
    """Median and spread of some scores over held-out normal rows, then mean and deviation of their logarithms.

    Each is a float64 tensor ``(scores,)``. A signed score is first measured from its median in units of its spread
    and made positive by softplus, so that far out it counts by its logarithm like the others.
    """

    median: Tensor
    spread: Tensor
    mean: Tensor
    deviation: Tensor

    @staticmethod
    def of(scores: dict[str, Tensor]) -> "LogZ":
        """Fitted on the scores ``(N,)`` of held-out normal rows."""
        table = torch.stack(list(scores.values()), 1).double()
        median = table.median(0).values
        spread = (table - median).abs().median(0).values.clamp(min=LOWEST)
        blank = LogZ(median, spread, torch.zeros_like(median), torch.ones_like(median))
        logs = blank.apply(scores)
        return LogZ(median, spread, logs.mean(0), logs.std(0).clamp(min=1e-6))

    def apply(self, scores: dict[str, Tensor]) -> Tensor:
        """The scores on one scale, ``(N, scores)``, float64: 0 is the mean of normal rows, 1 their deviation."""
        logs = [self._log(name, values.double(), place) for place, (name, values) in enumerate(scores.items())]
        return (torch.stack(logs, 1) - self.mean) / self.deviation

    def _log(self, name: str, values: Tensor, place: int) -> Tensor:
        if name in SIGNED:
            values = F.softplus((values - self.median[place]) / self.spread[place])
        return values.clamp(min=LOWEST).log()


def combined(table: Tensor) -> Tensor:
    """The mean of scores on one scale ``(N, scores)``, bent so that it stays within ``SPAN``: ``(N,)``."""
    return SPAN * torch.tanh(table.mean(1) / SPAN)
