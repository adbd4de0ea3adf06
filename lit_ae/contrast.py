"""Telling views of the same sample from views of others."""

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(
    views: Tensor, temperature: float, pool: Tensor | None = None, real: Tensor | None = None, first: int = 0
) -> Tensor:
    """The normalised temperature-scaled cross-entropy in nats a sample, ``(N,)`` (Chen et al. 2020, equation 1).

    Each view of a sample has to find the other one among all views of all samples but itself; the cost is the mean
    over both ways.

    Args:
        views: two views of each of N samples, ``(2, N, D)``; their lengths do not count.
        temperature: what cosine similarities are divided by.
        pool: the views of M samples ``(2, M, D)`` among which it is to be found; ``views`` themselves by default.
        real: which samples of the pool count, ``(M,)``; all by default.
        first: the place of the first of the N samples in the pool.
    """
    pool = views if pool is None else pool
    rows, others = views.shape[1], pool.shape[1]
    queries, keys = F.normalize(views.flatten(0, 1), dim=1), F.normalize(pool.flatten(0, 1), dim=1)
    similarity = queries @ keys.T / temperature
    place = first + torch.arange(rows, device=views.device)
    itself = torch.cat([place, place + others])
    left_out = F.one_hot(itself, 2 * others).bool()
    if real is not None:
        left_out = left_out | ~real.repeat(2)
    similarity = similarity.masked_fill(left_out, -torch.inf)
    return F.cross_entropy(similarity, itself.roll(rows), reduction="none").view(2, rows).mean(0)
