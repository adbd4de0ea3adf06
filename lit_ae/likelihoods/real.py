"""Likelihoods of real numbers."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.latents import LOG_2PI
from lit_ae.likelihoods.base import Likelihood, first_output, full_precision, per_sample
from lit_ae.spec import DataSpec

LOG_2 = math.log(2)
START = 0.1  # the first value of a learned variance or scale


class _Located(Likelihood):
    """A density around a mean that the decoder gives, if wanted inside the data's value range.

    Args:
        spec: the data that is compared.
        bounded: keep the mean inside the data's value range by a sigmoid; otherwise it is the decoder's output itself.
    """

    def __init__(self, spec: DataSpec, bounded: bool):
        super().__init__(spec)
        if bounded and spec.value_range is None:
            raise UserError(f"{spec.name} has no value range: set model.likelihood.bounded to false.")
        self.bounded = bounded

    def mean(self, outputs: Tensor) -> Tensor:
        mean = first_output(outputs)
        if not self.bounded or self.value_range is None:
            return mean
        low, high = self.value_range
        mean = mean.sigmoid()
        return mean if (low, high) == (0.0, 1.0) else low + (high - low) * mean


class Gaussian(_Located):
    """N(mean, variance) for every feature; with a fixed variance it is the squared error on a nat scale.

    Args:
        spec: the data that is compared.
        variance: a number (fixed), ``learned`` (one for all features, learned with the model; Rybkin et al. 2021,
            section 3; it starts at 0.1) or ``predicted`` (for every feature and sample by the decoder).
        bounded: keep the mean inside the data's value range by a sigmoid; otherwise it is the decoder's output itself.
    """

    def __init__(self, spec: DataSpec, variance: float | Literal["learned", "predicted"] = 1.0, bounded: bool = False):
        super().__init__(spec, bounded)
        if isinstance(variance, int | float) and variance <= 0:
            raise UserError(f"A Gaussian's variance must be above 0, not {variance}: change model.likelihood.variance.")
        self.outputs_per_feature = 2 if variance == "predicted" else 1
        self.log_var = nn.Parameter(torch.tensor(START).log()) if variance == "learned" else None
        fixed = float(variance) if isinstance(variance, int | float) else 1.0
        self.fixed_log_var: Tensor
        self.register_buffer("fixed_log_var", torch.tensor(fixed).log(), persistent=False)

    def _log_var(self, outputs: Tensor) -> Tensor:
        if self.outputs_per_feature == 2:
            return full_precision(outputs[:, 1]).clamp(-10, 10)
        return self.fixed_log_var if self.log_var is None else self.log_var

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        log_var = self._log_var(outputs)
        squares = F.mse_loss(self.mean(outputs), x, reduction="none")
        if self.outputs_per_feature == 2:
            return -0.5 * per_sample(squares * (-log_var).exp() + log_var + LOG_2PI)
        return -0.5 * (per_sample(squares) * (-log_var).exp() + x.shape[1:].numel() * (log_var + LOG_2PI))

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        mean = self.mean(outputs)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + noise * (0.5 * self._log_var(outputs)).exp()


class Laplace(_Located):
    """Laplace(mean, scale) for every feature; with a fixed scale it is the absolute error on a nat scale.

    Args:
        spec: the data that is compared.
        scale: a number (fixed), or ``learned`` (one for all features, learned with the model; it starts at 0.1). The
            standard deviation is the square root of 2 times the scale.
        bounded: keep the mean inside the data's value range by a sigmoid; otherwise it is the decoder's output itself.
    """

    def __init__(self, spec: DataSpec, scale: float | Literal["learned"] = 1.0, bounded: bool = False):
        super().__init__(spec, bounded)
        if isinstance(scale, int | float) and scale <= 0:
            raise UserError(f"A Laplace's scale must be above 0, not {scale}: change model.likelihood.scale.")
        first = torch.tensor(START if scale == "learned" else float(scale)).log()
        self.log_scale: Tensor
        if scale == "learned":
            self.log_scale = nn.Parameter(first)
        else:
            self.register_buffer("log_scale", first, persistent=False)

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        distances = (x - self.mean(outputs)).abs() * (-self.log_scale).exp()
        return -per_sample(distances + self.log_scale + LOG_2)

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """By the inverse of the distribution function, which is kept off 0 and 1 by one rounding step."""
        mean = self.mean(outputs)
        u = torch.rand(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device) - 0.5
        tail = torch.log1p(-2 * u.abs().clamp(max=0.5 - torch.finfo(u.dtype).eps))
        return mean - self.log_scale.exp() * u.sign() * tail
