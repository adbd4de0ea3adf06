"""How near a set of images comes to another one, told from their features."""

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from lit_ae.metrics.chunks import in_chunks


class _GivenFeatures(nn.Identity):
    """Takes the place of the network for features that are known already."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features


def frechet_distance(reference: Tensor, features: Tensor) -> float:
    """The squared Fréchet distance of the Gaussians with the two sets' moments (Heusel et al. 2017, equation 6).

    It falls with the number of rows, so only figures of equally many are comparable.

    Args:
        reference: ``(N, D)``.
        features: ``(M, D)``.
    """
    distance = FrechetInceptionDistance(_GivenFeatures(reference.shape[1]))
    distance.update(reference.double(), real=True)
    distance.update(features.double(), real=False)
    return distance.compute().item()


def precision_and_recall(reference: Tensor, features: Tensor, neighbours: int = 3) -> tuple[float, float]:
    """The share of ``features`` inside the reference's manifold, and the other way round (Kynkäänniemi et al. 2019).

    Args:
        reference: ``(N, D)``.
        features: ``(M, D)``.
        neighbours: k of :func:`inside`.
    """
    precision = inside(reference, features, neighbours).double().mean().item()
    return precision, inside(features, reference, neighbours).double().mean().item()


def inside(manifold: Tensor, points: Tensor, neighbours: int) -> Tensor:
    """Which ``points`` ``(M, D)`` lie in a ball around any row ``(N, D)`` of the ``manifold``, bool ``(M,)``.

    A row's ball reaches to the row's k-th nearest other row (Kynkäänniemi et al. 2019, equation 1); to the farthest
    where there are fewer.
    """
    rows, points = manifold.double(), points.double()
    place = min(neighbours + 1, len(rows))  # a row is its own nearest
    radius = in_chunks(lambda some: torch.cdist(some, rows).kthvalue(place, 1).values, rows)
    return in_chunks(lambda some: (torch.cdist(some, rows) <= radius).any(1), points)
