"""Likelihoods of values between 0 and 1."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.likelihoods.base import Likelihood, full_precision, range_in_words
from lit_ae.spec import DataSpec

NEAR_ZERO = 0.25
"""Logits below which power series are more exact than the formulas, which divide 0 by 0 there."""


class Bernoulli(Likelihood):
    """Independent coins with the decoder's output as logits. Grey levels in [0, 1] count as probabilities.

    Args:
        spec: the data that is compared; its values must lie in [0, 1].
    """

    def __init__(self, spec: DataSpec):
        super().__init__(spec)
        if spec.value_range is None or spec.value_range[0] < 0 or spec.value_range[1] > 1:
            name = {"Bernoulli": "Bernoulli", "ContinuousBernoulli": "continuous Bernoulli"}[type(self).__name__]
            raise UserError(
                f"The {name} likelihood needs values in [0, 1], and those of {spec.name} are {range_in_words(spec)}: "
                "use --model.likelihood Gaussian, or data scaled to [0, 1]."
            )

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        logits = full_precision(outputs[:, 0])
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)

    def mean(self, outputs: Tensor) -> Tensor:
        return full_precision(outputs[:, 0]).sigmoid()

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return torch.bernoulli(self.mean(outputs), generator=generator)
