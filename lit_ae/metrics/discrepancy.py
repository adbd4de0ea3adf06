"""How far two samples of codes lie apart."""

import torch
from torch import Tensor


def inverse_multiquadratic_mmd(codes: Tensor, drawn: Tensor, scales: list[float]) -> Tensor:
    """Unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, equation 3), a scalar.

    The kernel is the sum over ``scales`` of C / (C + |a - b|²) with C = 2 * latent_dim * scale, where 2 * latent_dim is
    the mean squared distance of two draws from N(0, I) (Tolstikhin et al. 2018, section 4).

    Args:
        codes: ``(N, latent_dim)``. For a single row, which has no pair, the terms within each sample are 0.
        drawn: draws from the prior, ``(N, latent_dim)``.
        scales: small ones see neighbours alone, large ones the whole prior.
    """
    codes, drawn = (z.float() if z.dtype in (torch.float16, torch.bfloat16) else z for z in (codes, drawn))
    rows, constants = len(codes), [2 * codes.shape[1] * scale for scale in scales]

    def kernels(a: Tensor, b: Tensor) -> Tensor:
        distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
        return torch.stack([constant / (constant + distances) for constant in constants]).sum(0)

    within = kernels(codes, codes) + kernels(drawn, drawn)
    pairs = within.sum() - within.diagonal().sum()
    return pairs / max(1, rows * (rows - 1)) - 2 * kernels(codes, drawn).mean()
