"""What an encoder makes of x: a point or a distribution, and the prior that it is compared with."""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)


class Latent(ABC):
    """The latent of a batch."""

    mean: Tensor
    """The deterministic code, ``(N, latent_dim)``."""

    skips: tuple[Tensor, ...] = ()
    """What the decoder is given of x beside the code, ``(N, ...)`` each: see :class:`lit_ae.networks.UNet`."""

    @property
    def activity(self) -> Tensor | None:
        """How much each sample uses each unit, ``(N, units)``, 0 for not at all; None where that says nothing."""
        return None

    @abstractmethod
    def sample(self, draws: int = 1) -> Tensor:
        """Differentiable draws ``(draws, N, latent_dim)``."""


class Point(Latent):
    """A code without uncertainty: every draw is the code itself."""

    def __init__(self, code: Tensor):
        self.mean = code

    def sample(self, draws: int = 1) -> Tensor:
        return self.mean.expand(draws, *self.mean.shape)


class DiagonalGaussian(Latent):
    """q(z|x) = N(mean, diag exp(log_var)), both ``(N, latent_dim)``."""

    def __init__(self, mean: Tensor, log_var: Tensor):
        self.mean, self.log_var = mean, log_var

    def sample(self, draws: int = 1) -> Tensor:
        noise = torch.randn(draws, *self.mean.shape, dtype=self.mean.dtype, device=self.mean.device)
        return self.mean + noise * (0.5 * self.log_var).exp()

    def log_prob(self, z: Tensor) -> Tensor:
        """Nats, summed over the latent dimensions: ``(draws, N, latent_dim)`` to ``(draws, N)``."""
        squares = (z - self.mean).square() * (-self.log_var).exp()
        return -0.5 * (squares + self.log_var + LOG_2PI).sum(-1)

    def kl_per_dimension(self) -> Tensor:
        """KL(q(z_j|x) || N(0, 1)) in nats, ``(N, latent_dim)`` (Kingma & Welling 2014, appendix B)."""
        return 0.5 * (self.mean.square() + self.log_var.exp() - 1 - self.log_var)


class Prior(ABC):
    """What codes are meant to be distributed like.

    Args:
        latent_dim: numbers in a code.
    """

    def __init__(self, latent_dim: int):
        self.latent_dim = latent_dim

    @abstractmethod
    def sample(
        self, count: int, generator: torch.Generator | None = None, device: torch.device | None = None
    ) -> Tensor:
        """``(count, latent_dim)``, float32, on the CPU where no device is given."""

    def like(self, codes: Tensor) -> Tensor:
        """As many draws as there are codes ``(N, latent_dim)``, on their device and in their precision."""
        return self.sample(len(codes), device=codes.device).to(codes)


class StandardNormal(Prior):
    """N(0, I) over ``latent_dim`` dimensions."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Nats: ``(..., latent_dim)`` to ``(...)``."""
        return -0.5 * (z.square() + LOG_2PI).sum(-1)

    def sample(
        self, count: int, generator: torch.Generator | None = None, device: torch.device | None = None
    ) -> Tensor:
        return torch.randn(count, self.latent_dim, generator=generator, device=device)


class SparseCode(Point):
    """A code of many units of which few are on.

    Args:
        code: ``(N, units)``, 0 for units that are off (or near it, where the units are never quite off).
        active: which units are on, bool, ``(N, units)``.
        pre: what the encoder said before the units were chosen, ``(N, units)``.
    """

    def __init__(self, code: Tensor, active: Tensor, pre: Tensor):
        super().__init__(code)
        self.active, self.pre = active, pre

    @property
    def activity(self) -> Tensor:
        return self.mean * self.active


class QuantizedCode(Point):
    """A code of ``groups`` vectors, each replaced by the nearest of a codebook; gradients go straight through.

    Args:
        encoded: what the encoder said, ``(N, groups, width)``.
        chosen: the codebook's nearest vectors, of the same shape, without gradient.
        indices: which they are, ``(N, groups)``.
        codes: how many the codebook has.
    """

    def __init__(self, encoded: Tensor, chosen: Tensor, indices: Tensor, codes: int):
        super().__init__((chosen + (encoded - encoded.detach())).flatten(1))
        self.encoded, self.chosen, self.indices, self.codes = encoded, chosen, indices, codes

    @property
    def distance(self) -> Tensor:
        """Squared, from what the encoder said to the codes that stand for it, ``(N,)``."""
        return (self.encoded - self.chosen).square().flatten(1).sum(1)

    @property
    def activity(self) -> Tensor:
        """1 where a code stands at a place, ``(N, groups * codes)``, place by place: what it means depends on both."""
        return F.one_hot(self.indices, self.codes).flatten(1).to(self.mean.dtype)
