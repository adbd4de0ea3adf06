"""How much of one distribution another one covers, told from samples."""

import torch
from torch import Tensor


@torch.no_grad()
def coverage(reference: Tensor, samples: Tensor, neighbours: int = 5) -> Tensor:
    """For each reference row, 1 where a sample lies nearer than its ``neighbours``-th nearest other reference row.

    The mean is the coverage of Naeem et al. 2020 (equation 6). Where both are drawn alike it is close to
    ``1 - 2 ** -neighbours``; it falls to the share of modes that the samples reach.

    Args:
        reference: ``(N, D)``, what is to be covered.
        samples: ``(M, D)``.
        neighbours: fewer are taken where there are fewer other rows.

    Returns:
        ``(N,)`` of zeros and ones.
    """
    reference, samples = reference.float(), samples.float()
    place = min(neighbours + 1, len(reference))  # a row is its own nearest
    radius = torch.cdist(reference, reference).kthvalue(place, 1).values
    return (torch.cdist(reference, samples).amin(1) <= radius).float()
