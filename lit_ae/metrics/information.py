"""How much a code tells of which sample it is the code of."""

import math

import torch
from torch import Tensor

from lit_ae.latents import LOG_2PI, DiagonalGaussian


@torch.no_grad()
def mutual_information(latent: DiagonalGaussian, z: Tensor, rows_at_once: int = 500) -> Tensor:
    """I(x; z) in nats, a scalar: the mean of log q(z|x) - log q(z), with x one of N rows that are equally likely.

    The aggregate posterior q(z) is the mean of all N q(z|x) (Hoffman & Johnson 2016, equation 4), so there are at most
    log N nats to be told. The mean KL divergence less this is KL(q(z) || p(z)).

    Args:
        latent: q(z|x) of the N rows.
        z: draws from it, ``(draws, N, latent_dim)``.
        rows_at_once: bounds the memory.
    """
    precision = (-latent.log_var.double()).exp()
    weighted = latent.mean.double() * precision
    constant = (weighted * latent.mean + latent.log_var + LOG_2PI).sum(1)
    log_aggregate = []
    for some in z.double().flatten(0, 1).split(rows_at_once):
        squares = some.square() @ precision.T - 2 * some @ weighted.T + constant
        log_aggregate.append((-0.5 * squares).logsumexp(1) - math.log(len(constant)))
    return (latent.log_prob(z).double().flatten() - torch.cat(log_aggregate)).mean()
