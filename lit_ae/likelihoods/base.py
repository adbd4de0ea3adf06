"""What every likelihood offers."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lit_ae.spec import DataSpec


class Likelihood(nn.Module, ABC):
    """p(x | outputs), where the decoder's ``outputs`` are ``(N, outputs_per_feature, *spec.shape)``.

    Args:
        spec: the data that is compared.
    """

    outputs_per_feature = 1
    is_by_feature = True
    """Whether features are independent, so that each can be judged by itself."""

    def __init__(self, spec: DataSpec):
        super().__init__()
        self.value_range = spec.value_range

    @abstractmethod
    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Nats a sample, summed over features: ``(N,)``."""

    def log_prob_by_feature(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Nats of each feature, judged as a sample of its own: ``(N, features)``."""
        alone = outputs.flatten(2).transpose(1, 2).flatten(0, 1)[:, :, None]
        return self.log_prob(alone, x.reshape(-1, 1)).view(len(x), -1)

    @abstractmethod
    def mean(self, outputs: Tensor) -> Tensor:
        """E[x | outputs], ``(N, *spec.shape)``."""

    @abstractmethod
    def sample(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw of x, ``(N, *spec.shape)``."""


def full_precision(outputs: Tensor) -> Tensor:
    """Half-precision outputs in float32; others as they are."""
    return outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs


def range_in_words(spec: DataSpec) -> str:
    """Where the data's values lie, for a sentence."""
    return "unbounded" if spec.value_range is None else f"in {list(spec.value_range)}"
