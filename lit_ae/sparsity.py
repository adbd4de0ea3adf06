"""How few units of a wide code are on, and what that costs.

A mechanism turns the encoder's output into a code ``(N, units)`` and names one cost, in nats a sample where it
reconstructs. What it must remember of the training set are buffers.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.latents import SparseCode
from lit_ae.module import LitAutoencoder, Pass
from lit_ae.schedules import Schedule
from lit_ae.statistics import MovingAverage, total_over_processes


class Sparsity(nn.Module, ABC):
    """A way to make a code sparse.

    Args:
        units: numbers in a code.
        weight: the cost's weight, a number or a schedule.
        start: how long the encoder's rows are at the start, where there is a dictionary. Where the units are many more
            than the features, less than 1 keeps the first reconstructions as short as x (Gao et al. 2024, appendix
            A.1).
    """

    dictionary = True
    """Whether the decoder's first layer is a dictionary of directions of length 1."""

    def __init__(self, units: int, weight: float | Schedule, start: float = 1.0):
        super().__init__()
        self.units, self.weight, self.start = units, Schedule.of(weight), start
        if self.weight.final < 0:
            raise UserError(f"model.sparsity.weight must be 0 or more, not {self.weight.final:g}.")
        if not 0 < start < math.inf:
            raise UserError(f"model.sparsity.start must be above 0 and finite, not {start:g}.")

    @abstractmethod
    def forward(self, pre: Tensor) -> SparseCode:
        """The code of the encoder's output ``(N, units)``."""

    @abstractmethod
    def cost(self, model: LitAutoencoder, passed: Pass[SparseCode]) -> Tensor:
        """The cost of each sample ``(N,)``; while it trains, the buffers are updated here."""


class L1(Sparsity):
    """Units max(0, pre) whose sum costs: sum_j z_j (Olshausen & Field 1996; Bricken et al. 2023).

    Args:
        units: numbers in a code.
        weight: the cost's weight, a number or a schedule.
        start: how long the encoder's rows are at the start.
    """

    def __init__(self, units: int, weight: float | Schedule = 0.1, start: float = 1.0):
        super().__init__(units, weight, start)

    def forward(self, pre: Tensor) -> SparseCode:
        return SparseCode(pre.relu(), pre > 0, pre)

    def cost(self, model: LitAutoencoder, passed: Pass[SparseCode]) -> Tensor:
        return passed.latent.mean.sum(1)


class KL(Sparsity):
    """Sigmoid units whose mean over the training set is to be rho: sum_j KL(rho || rho_hat_j) (Ng 2011, section 3).

    rho_hat is a moving average over many batches. The gradient is that of the data set's mean, which a batch's mean
    estimates without bias: dKL/drho_hat at the moving average, times the batch mean's gradient, whatever the decay.
    No unit is ever quite off; one counts as on above rho.

    Args:
        units: numbers in a code.
        rho: the mean activation that costs nothing, in (0, 1).
        weight: the cost's weight, a number or a schedule.
        decay: the share of the moving average that a step keeps.
    """

    dictionary = False

    def __init__(self, units: int, rho: float = 0.05, weight: float | Schedule = 0.1, decay: float = 0.98):
        super().__init__(units, weight)
        if not (0 < rho < 1 and 0 <= decay < 1):
            raise UserError("The KL sparsity needs rho in (0, 1) and decay in [0, 1).")
        self.rho, self.average = rho, MovingAverage((units,), decay, start=rho)

    def forward(self, pre: Tensor) -> SparseCode:
        code = pre.sigmoid()
        return SparseCode(code, code > self.rho, pre)

    def cost(self, model: LitAutoencoder, passed: Pass[SparseCode]) -> Tensor:
        code = passed.latent.mean
        batch = model.mean_over_processes(code) if self.training else code.mean(0)
        if self.training:
            self.average.update(batch)
        rho_hat = (self.average.value + batch - batch.detach()).clamp(1e-6, 1 - 1e-6)
        kl = self.rho * (self.rho / rho_hat).log() + (1 - self.rho) * ((1 - self.rho) / (1 - rho_hat)).log()
        return kl.sum().expand(len(passed.x))


class TopK(Sparsity):
    """The k largest units of each sample are on (Gao et al. 2024, equation 3), and a cost brings dead units back.

    With the revival ``leftover`` the cost is AuxK (Gao et al. 2024, appendix A.2): what x costs more, in nats, once
    the ``aux_k`` largest dead units add their share to the reconstruction, which itself stays as it is. With a linear
    decoder W z + b and a Gaussian of variance 1 that is (|e - W z_dead|² - |e|²) / 2, where e = x - W z - b has the
    bias already: negative where dead units help.

    With the revival ``threshold`` it is what a dead unit lacks of the smallest activation that is on, max(0, min_on z
    - pre_j), as in Anthropic's Circuits Updates of January 2025, where the threshold is JumpReLU's and all samples
    count. Here only the sample of the batch counts for which unit j lacks least, so that dead units part and none stays
    dead where few directions of x leave the same few units the largest. Several processes search in their own rows.

    Either way it is 0 while no unit is dead.

    Args:
        units: numbers in a code.
        k: units that are on in a sample.
        weight: the weight of the cost that brings dead units back, a number or a schedule.
        aux_k: dead units that take part in AuxK, at most.
        dead_after: a unit is dead after so many training steps in which it was on for no sample.
        revival: what dead units learn: what is left over of x, or to reach the threshold.
        start: how long the encoder's rows are at the start.
    """

    silent: Tensor

    def __init__(
        self,
        units: int,
        k: int = 8,
        weight: float | Schedule = 1 / 32,
        aux_k: int = 32,
        dead_after: int = 200,
        revival: Literal["leftover", "threshold"] = "leftover",
        start: float = 1.0,
    ):
        super().__init__(units, weight, start)
        if not 1 <= k <= units:
            raise UserError(f"model.sparsity.k must lie between 1 and model.latent_dim ({units}), not at {k}.")
        if aux_k < 1 or dead_after < 1:
            raise UserError("model.sparsity.aux_k and model.sparsity.dead_after must be at least 1.")
        if revival not in ("leftover", "threshold"):
            raise UserError(f"model.sparsity.revival must be leftover or threshold, not {revival}.")
        self.k, self.aux_k, self.dead_after, self.revival = k, min(aux_k, units), dead_after, revival
        self.register_buffer("silent", torch.zeros(units, dtype=torch.long))

    def forward(self, pre: Tensor) -> SparseCode:
        active = _largest(pre, self.k)
        return SparseCode(torch.where(active, pre, 0), active, pre)

    @property
    def dead(self) -> Tensor:
        """Which units are dead, ``(units,)``."""
        return self.silent >= self.dead_after

    def cost(self, model: LitAutoencoder, passed: Pass[SparseCode]) -> Tensor:
        if self.training:
            fired = total_over_processes(passed.latent.active.sum(0)) > 0
            self.silent.copy_(torch.where(fired, 0, self.silent + 1))
        dead = self.dead
        if dead.device.type == "cpu" and not dead.any():  # elsewhere the question would have to wait for the device
            return passed.latent.pre.new_zeros(len(passed.x))
        return self._below(passed.latent, dead) if self.revival == "threshold" else self._auxk(model, passed, dead)

    def _auxk(self, model: LitAutoencoder, passed: Pass[SparseCode], dead: Tensor) -> Tensor:
        code, pre = passed.latent.mean.detach(), passed.latent.pre
        revived = torch.where(_largest(pre.masked_fill(~dead, -math.inf), self.aux_k) & dead, pre, 0)
        alone = model.network.decode(code, target=passed.x)
        share = model.network.decode(code + revived, target=passed.x) - alone
        before = model.likelihood.log_prob(alone.detach(), passed.x).detach()
        return before - model.likelihood.log_prob(alone.detach() + share, passed.x)

    def _below(self, latent: SparseCode, dead: Tensor) -> Tensor:
        lowest = latent.pre.detach().masked_fill(~latent.active, math.inf).amin(1, keepdim=True)
        lacking = lowest - latent.pre
        nearest = _largest(-lacking.T, 1).T & lowest.isfinite()
        return len(lacking) * torch.where(nearest & dead, lacking.relu(), 0).sum(1)


class BatchTopK(TopK):
    """The k x N largest positive units of a batch are on, so samples share them unevenly (Bussmann et al. 2024).

    At inference a unit is on above a threshold: the mean over the training of the smallest value that was on (their
    equation 5), so that a sample's code is its own affair. Several processes choose in their own rows. Dead units come
    back as in TopK.

    Args:
        units: numbers in a code.
        k: units that are on in a sample, on average.
        decay: the share of the threshold's moving average that a step keeps.
        kwargs: TopK's options.
    """

    def __init__(self, units: int, *, decay: float = 0.98, **kwargs: Any):
        super().__init__(units, **kwargs)
        if not 0 <= decay < 1:
            raise UserError(f"model.sparsity.decay must lie in [0, 1), not at {decay}.")
        self.threshold = MovingAverage((), decay)

    def forward(self, pre: Tensor) -> SparseCode:
        if self.training:
            active = _largest(pre.flatten()[None], self.k * len(pre)).view_as(pre) & (pre > 0)
        else:
            active = pre > self.threshold.value
        return SparseCode(torch.where(active, pre, 0), active, pre)

    def cost(self, model: LitAutoencoder, passed: Pass[SparseCode]) -> Tensor:
        if self.training:
            lowest = torch.where(passed.latent.active, passed.latent.pre, math.inf).min()
            known = torch.where(lowest.isfinite(), lowest, self.threshold.value).detach()
            self.threshold.update(model.mean_over_processes(known[None]))
        return super().cost(model, passed)


class JumpReLU(Sparsity):
    """Units that are on above a learned threshold each, and cost 1 when on: L0 itself (Rajamanoharan et al. 2024).

    Thresholds learn by straight-through gradients over a window of ``bandwidth`` (their equations 11 and 12).

    Args:
        units: numbers in a code.
        weight: the cost of a unit that is on, a number or a schedule.
        threshold: where all thresholds start, above 0.
        bandwidth: the window's width around the threshold.
    """

    def __init__(
        self, units: int, weight: float | Schedule = 0.05, threshold: float = 0.05, bandwidth: float = 0.1
    ):  # fmt: skip
        super().__init__(units, weight)
        if threshold <= 0 or bandwidth <= 0:
            raise UserError("JumpReLU needs a threshold and a bandwidth above 0.")
        self.bandwidth = bandwidth
        self.log_threshold = nn.Parameter(torch.full((units,), math.log(threshold)))

    def step(self, pre: Tensor) -> Tensor:
        """1 above the threshold, else 0; its gradient in the threshold is -1 / bandwidth inside the window."""
        threshold = self.log_threshold.exp()
        slope = ((pre - threshold).abs() < self.bandwidth / 2).to(pre.dtype) / self.bandwidth
        return (pre > threshold).to(pre.dtype) - slope * (threshold - threshold.detach())

    def forward(self, pre: Tensor) -> SparseCode:
        step = self.step(pre)
        on = step.detach()
        code = pre * on + self.log_threshold.detach().exp() * (step - on)
        return SparseCode(code, on > 0, pre)

    def cost(self, model: LitAutoencoder, passed: Pass[SparseCode]) -> Tensor:
        return self.step(passed.latent.pre).sum(1)


def _largest(values: Tensor, count: int) -> Tensor:
    """Which of the values of each row ``(N, units)`` are its ``count`` largest."""
    return torch.zeros_like(values, dtype=torch.bool).scatter(1, values.topk(count, dim=1).indices, True)
