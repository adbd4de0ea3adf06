"""Priors that a code's distribution can be pressed into by an adversary: any that can be sampled."""

import math

import torch
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.latents import LOG_2PI, Prior, StandardNormal

__all__ = ["GaussianMixture", "Prior", "StandardNormal", "SwissRoll"]


class GaussianMixture(Prior):
    """Equally likely Gaussians whose centres lie evenly on a circle, drawn out along its radii
    (Makhzani et al. 2016, figure 4). Dimensions after the second are N(0, 1).

    Args:
        latent_dim: numbers in a code, at least 2.
        modes: how many Gaussians.
        radius: of the circle.
        along: standard deviation along the radius.
        across: standard deviation across it.
    """

    def __init__(self, latent_dim: int, modes: int = 10, radius: float = 2.0, along: float = 0.5, across: float = 0.15):
        if latent_dim < 2 or modes < 1 or min(radius, along, across) <= 0:
            raise UserError(
                "A mixture on a circle needs model.latent_dim >= 2, modes >= 1, and a radius and standard deviations "
                "above 0."
            )
        super().__init__(latent_dim)
        self.modes, self.radius, self.along, self.across = modes, radius, along, across

    def sample(
        self, count: int, generator: torch.Generator | None = None, device: torch.device | None = None
    ) -> Tensor:
        noise = torch.randn(count, self.latent_dim, generator=generator, device=device)
        angle = torch.randint(self.modes, (count,), generator=generator, device=device) * (2 * math.pi / self.modes)
        out, aside = self.radius + self.along * noise[:, 0], self.across * noise[:, 1]
        x, y = angle.cos() * out - angle.sin() * aside, angle.sin() * out + angle.cos() * aside
        return torch.cat([x[:, None], y[:, None], noise[:, 2:]], 1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Nats: ``(..., latent_dim)`` to ``(...)``."""
        angles = torch.arange(self.modes, device=z.device, dtype=z.dtype) * (2 * math.pi / self.modes)
        x, y = z[..., 0, None], z[..., 1, None]
        out = (angles.cos() * x + angles.sin() * y - self.radius) / self.along
        aside = (angles.cos() * y - angles.sin() * x) / self.across
        modes = -0.5 * (out.square() + aside.square()) - LOG_2PI - math.log(self.along * self.across * self.modes)
        return modes.logsumexp(-1) - 0.5 * (z[..., 2:].square() + LOG_2PI).sum(-1)


class SwissRoll(Prior):
    """A spiral with even density along its arc, in the first two dimensions (Makhzani et al. 2016, figure 5);
    the others are N(0, 1). Its density has no closed form.

    Args:
        latent_dim: numbers in a code, at least 2.
        turns: how often it winds around the origin.
        radius: distance of its outer end from the origin.
        noise: standard deviation around the spiral, in every direction.
    """

    def __init__(self, latent_dim: int, turns: float = 1.5, radius: float = 3.0, noise: float = 0.1):
        if latent_dim < 2 or min(turns, radius) <= 0 or noise < 0:
            raise UserError("A swiss roll needs model.latent_dim >= 2, turns and radius above 0, and noise >= 0.")
        super().__init__(latent_dim)
        self.turns, self.radius, self.noise = turns, radius, noise

    def sample(
        self, count: int, generator: torch.Generator | None = None, device: torch.device | None = None
    ) -> Tensor:
        along = torch.rand(count, generator=generator, device=device).sqrt()
        noise = torch.randn(count, self.latent_dim, generator=generator, device=device)
        angle = along * (2 * math.pi * self.turns)
        spiral = self.radius * along[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
        return torch.cat([spiral + self.noise * noise[:, :2], noise[:, 2:]], 1)
