"""Means that are gathered without a host synchronisation, and right over several processes."""

import torch
from torch import Tensor
from torchmetrics import Metric


class RunningMeans(Metric):
    """Sample-weighted means of a fixed list of named figures over an epoch, and the first step that was not finite.

    Args:
        names: the figures, in the order in which :meth:`update` is given them.
    """

    full_state_update = False
    sums: Tensor
    rows: Tensor
    bad_step: Tensor

    def __init__(self, names: list[str]):
        super().__init__()
        self.names = names
        self.add_state("sums", torch.zeros(len(names)), dist_reduce_fx="sum")
        self.add_state("rows", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("bad_step", torch.full((len(names),), torch.inf), dist_reduce_fx="min")

    def update(self, means: Tensor, rows: int, step: int) -> None:
        """Adds a batch's means ``(len(names),)`` over ``rows`` samples at a global step."""
        self.sums += means * rows
        self.rows += rows
        self.bad_step = torch.where(means.isfinite(), self.bad_step, self.bad_step.clamp(max=step))

    def compute(self) -> dict[str, Tensor]:
        """Each figure's mean over all samples of all processes."""
        return dict(zip(self.names, self.sums / self.rows, strict=True))

    def first_bad(self) -> tuple[int, str] | None:
        """The first step of this process at which a figure was not finite, and which; waits for the device."""
        steps = self.bad_step.tolist()
        first = min(steps)
        return None if first == torch.inf else (int(first), self.names[steps.index(first)])
