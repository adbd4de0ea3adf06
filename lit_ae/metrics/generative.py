"""Figures of models with a prior: bounds on log p(x), and how the latent is used. All in nats a sample."""

import math

import torch
from torch import Tensor

from lit_ae.latents import DiagonalGaussian, StandardNormal
from lit_ae.module import LitAutoencoder


def posterior_parts(model: LitAutoencoder, x: Tensor) -> DiagonalGaussian:
    """q(z|x) of a variational model; a TypeError for any other."""
    latent = model.posterior(x)
    if not isinstance(latent, DiagonalGaussian):
        raise TypeError(f"{type(model).__name__} has no Gaussian posterior.")
    return latent


def importance_log_likelihood(model: LitAutoencoder, x: Tensor, samples: int, rows_at_once: int = 20_000) -> Tensor:
    """log p(x) estimated with so many draws from q(z|x) a sample (Burda et al. 2016, equation 8): ``(N,)``, on the CPU.

    The draws are worked through in pieces of at most ``rows_at_once`` decoded rows, so memory does not grow with
    ``samples``; every draw counts once, whether or not the pieces divide ``samples``.
    """
    few = max(1, min(len(x), rows_at_once // max(1, min(samples, 100))))
    return torch.cat([_piece(model, piece.to(model.device), samples, rows_at_once) for piece in x.split(few)])


@torch.no_grad()
def _piece(model: LitAutoencoder, x: Tensor, samples: int, rows_at_once: int) -> Tensor:
    assert isinstance(model.prior, StandardNormal)
    latent = posterior_parts(model, x)
    draws_at_once = max(1, rows_at_once // len(x))
    parts = []
    for start in range(0, samples, draws_at_once):
        z = latent.sample(min(draws_at_once, samples - start))
        log_weights = model.log_likelihood(x, z, latent.skips) + model.prior.log_prob(z) - latent.log_prob(z)
        parts.append(log_weights.double().logsumexp(0))
    return (torch.stack(parts).logsumexp(0) - math.log(samples)).cpu()


def active_units(means: Tensor, threshold: float = 0.01) -> int:
    """Latent dimensions whose posterior mean varies over the data (Burda et al. 2016, section 5.3).

    Args:
        means: posterior means ``(N, latent_dim)``.
        threshold: the variance above which a dimension counts.
    """
    return int((means.var(0) > threshold).sum())
