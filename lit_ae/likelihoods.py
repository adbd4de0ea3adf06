"""How x̂ is compared with x. A likelihood owns the activation of the decoder's output."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.latents import LOG_2PI
from lit_ae.spec import DataSpec

START = 0.1  # a learned variance's first value


class Likelihood(nn.Module, ABC):
    """p(x | outputs), where the decoder's ``outputs`` are ``(N, outputs_per_feature, *spec.shape)``.

    Args:
        spec: the data that is compared.
    """

    outputs_per_feature = 1

    def __init__(self, spec: DataSpec):
        super().__init__()
        self.value_range = spec.value_range

    @abstractmethod
    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Nats a sample, summed over features: ``(N,)``."""

    @abstractmethod
    def mean(self, outputs: Tensor) -> Tensor:
        """E[x | outputs], ``(N, *spec.shape)``."""

    @abstractmethod
    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw of x, ``(N, *spec.shape)``."""


def _full_precision(outputs: Tensor) -> Tensor:
    return outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs


class Gaussian(Likelihood):
    """N(mean, variance) for every feature; with a fixed variance it is the squared error on a nat scale.

    Args:
        spec: the data that is compared.
        variance: a number (fixed), ``learned`` (one for all features, learned with the model; Rybkin et al. 2021,
            section 3; it starts at 0.1) or ``predicted`` (for every feature and sample by the decoder).
        bounded: keep the mean inside the data's value range by a sigmoid; otherwise it is the decoder's output itself.
    """

    def __init__(self, spec: DataSpec, variance: float | Literal["learned", "predicted"] = 1.0, bounded: bool = False):
        super().__init__(spec)
        if isinstance(variance, int | float) and variance <= 0:
            raise UserError(f"A Gaussian's variance must be above 0, not {variance}: change model.likelihood.variance.")
        if bounded and spec.value_range is None:
            raise UserError(f"{spec.name} has no value range: set model.likelihood.bounded to false.")
        self.bounded = bounded
        self.outputs_per_feature = 2 if variance == "predicted" else 1
        self.log_var = nn.Parameter(torch.tensor(START).log()) if variance == "learned" else None
        fixed = float(variance) if isinstance(variance, int | float) else 1.0
        self.fixed_log_var: Tensor
        self.register_buffer("fixed_log_var", torch.tensor(fixed).log(), persistent=False)

    def mean(self, outputs: Tensor) -> Tensor:
        mean = _full_precision(outputs[:, 0])
        if not self.bounded or self.value_range is None:
            return mean
        low, high = self.value_range
        return low + (high - low) * mean.sigmoid()

    def _log_var(self, outputs: Tensor) -> Tensor:
        if self.outputs_per_feature == 2:
            return _full_precision(outputs[:, 1]).clamp(-10, 10)
        return self.fixed_log_var if self.log_var is None else self.log_var

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        log_var = self._log_var(outputs)
        squares = (x - self.mean(outputs)).square() * (-log_var).exp()
        return -0.5 * (squares + log_var + LOG_2PI).flatten(1).sum(1)

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        mean = self.mean(outputs)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + noise * (0.5 * self._log_var(outputs)).exp()


class Bernoulli(Likelihood):
    """Independent coins with the decoder's output as logits. Grey levels in [0, 1] count as probabilities.

    Args:
        spec: the data that is compared; its values must lie in [0, 1].
    """

    def __init__(self, spec: DataSpec):
        super().__init__(spec)
        if spec.value_range is None or spec.value_range[0] < 0 or spec.value_range[1] > 1:
            found = "unbounded" if spec.value_range is None else f"in {list(spec.value_range)}"
            raise UserError(
                f"The Bernoulli likelihood needs values in [0, 1], and those of {spec.name} are {found}: "
                "use --model.likelihood Gaussian, or data scaled to [0, 1]."
            )

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        logits = _full_precision(outputs[:, 0])
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)

    def mean(self, outputs: Tensor) -> Tensor:
        return _full_precision(outputs[:, 0]).sigmoid()

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return torch.bernoulli(self.mean(outputs), generator=generator)
