"""What is done to x before it is encoded. The target is never corrupted."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.spec import DataSpec


class Corruption(nn.Module, ABC):
    """A random damage to the input. It draws from torch's global generator, which each step seeds.

    Args:
        spec: the data that is corrupted.
    """

    def __init__(self, spec: DataSpec):
        super().__init__()
        self.value_range = spec.value_range

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The damaged input, of the same shape as ``x``; ``x`` itself is left as it is."""


class GaussianNoise(Corruption):
    """Adds N(0, sigma²) to every feature (Vincent et al. 2010, section 3.3).

    Args:
        spec: the data that is corrupted.
        sigma: the noise's standard deviation, in model space.
        clip: keep the result inside the data's value range, where it has one.
    """

    def __init__(self, spec: DataSpec, sigma: float = 0.5, clip: bool = True):
        super().__init__(spec)
        if sigma <= 0:
            raise UserError(f"GaussianNoise needs a sigma above 0, not {sigma}: change model.corruption.sigma.")
        self.sigma, self.clip = sigma, clip

    def forward(self, x: Tensor) -> Tensor:
        noisy = x + self.sigma * torch.randn_like(x)
        return noisy.clamp(*self.value_range) if self.clip and self.value_range else noisy
