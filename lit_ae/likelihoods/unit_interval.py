"""Likelihoods of values between 0 and 1."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.likelihoods.base import Likelihood, first_output, per_sample, range_in_words
from lit_ae.spec import DataSpec

NEAR_ZERO = 0.25  # logits below which power series are exact to 1e-14, and the formulas divide 0 by 0


class _UnitInterval(Likelihood):
    """A likelihood with one logit a feature.

    Args:
        spec: the data that is compared; its values must lie in [0, 1].
    """

    def __init__(self, spec: DataSpec):
        super().__init__(spec)
        if spec.value_range is None or spec.value_range[0] < 0 or spec.value_range[1] > 1:
            raise UserError(
                f"The {type(self).__name__} likelihood needs values in [0, 1], and those of {spec.name} are "
                f"{range_in_words(spec)}: use --model.likelihood Gaussian, or data scaled to [0, 1]."
            )


class Bernoulli(_UnitInterval):
    """Independent coins with the decoder's output as logits. Grey levels in [0, 1] count as probabilities.

    Args:
        spec: the data that is compared; its values must lie in [0, 1].
    """

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        logits = first_output(outputs)
        return -per_sample(F.binary_cross_entropy_with_logits(logits, x, reduction="none"))

    def mean(self, outputs: Tensor) -> Tensor:
        return first_output(outputs).sigmoid()

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return torch.bernoulli(self.mean(outputs), generator=generator)


class ContinuousBernoulli(_UnitInterval):
    """A density of grey levels in [0, 1] (Loaiza-Ganem & Cunningham 2019, section 3), by its logit η:
    p(x) = exp(ηx) η / (exp(η) - 1).

    Args:
        spec: the data that is compared; its values must lie in [0, 1].
    """

    def __init__(self, spec: DataSpec):
        super().__init__(spec)
        if spec.binarize != "none":
            raise UserError(
                f"The ContinuousBernoulli likelihood is a density of grey levels, and {spec.name} holds only 0 and 1: "
                "use --model.likelihood Bernoulli, or set data.binarize to none."
            )

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        logits = first_output(outputs)
        return per_sample(logits * x - log_normalizer(logits))

    def mean(self, outputs: Tensor) -> Tensor:
        """1 / (1 - exp(-η)) - 1 / η, which is not the sigmoid of η."""
        logits = first_output(outputs)
        small, size, square = _parts(logits)
        above_half = -1 / torch.expm1(-size) - 1 / size - 0.5
        series = logits * (1 / 12 - square * (1 / 720 - square * (1 / 30240 - square / 1209600)))
        return 0.5 + torch.where(small, series, above_half * logits.sign())

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """By the inverse of the distribution function, mirrored where η is positive."""
        logits = first_output(outputs)
        u = torch.rand(logits.shape, generator=generator, dtype=logits.dtype, device=logits.device)
        size = logits.abs().clamp(min=math.sqrt(torch.finfo(u.dtype).eps))
        falling = (-torch.log1p(u * torch.expm1(-size)) / size).clamp(0, 1)
        return torch.where(logits > 0, 1 - falling, falling)


def log_normalizer(logits: Tensor) -> Tensor:
    """log((exp(η) - 1) / η) in nats, the same shape: exact and with exact gradients also around η = 0."""
    small, size, square = _parts(logits)
    formula = (-torch.expm1(-size)).log() - size.log() + logits.clamp(min=0)
    series = logits / 2 + square * (1 / 24 - square * (1 / 2880 - square * (1 / 181440 - square / 9676800)))
    return torch.where(small, series, formula)


def _parts(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where logits are small; their size, kept off 0; and their square, kept small: no branch overflows."""
    small = logits.abs() < NEAR_ZERO
    return small, logits.abs().clamp(min=NEAR_ZERO), logits.clamp(-NEAR_ZERO, NEAR_ZERO).square()
