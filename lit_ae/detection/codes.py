"""Where the codes of normal rows lie: an ellipsoid, and a bank of neighbours."""

from typing import NamedTuple

import torch
from torch import Tensor

BANK_NUMBERS = 1 << 22  # numbers that a bank holds at most, whatever it is asked to keep
WIDEST = 1024  # of a code whose covariance is estimated


class Cloud(NamedTuple):
    """The ellipsoid of some vectors: their mean ``(L,)`` and a whitening ``(L, L)``, float64."""

    mean: Tensor
    whitening: Tensor

    @staticmethod
    def of(vectors: Tensor) -> "Cloud":
        """By the shrunk covariance of Ledoit & Wolf (2004) of normal vectors ``(N, L)``."""
        from sklearn.covariance import LedoitWolf

        fitted = LedoitWolf().fit(vectors.double().numpy())
        values, directions = torch.linalg.eigh(torch.from_numpy(fitted.covariance_))
        floor = values.max().clamp(min=1e-12) * 1e-12
        return Cloud(torch.from_numpy(fitted.location_), directions / values.clamp(min=floor).sqrt())

    def whiten(self, vectors: Tensor) -> Tensor:
        """Vectors whose covariance is the identity, ``(N, L)``, float64."""
        return (vectors.double() - self.mean) @ self.whitening

    def distance(self, vectors: Tensor) -> Tensor:
        """Mahalanobis distance ``(N,)``, float64."""
        return self.whiten(vectors).square().sum(1).sqrt()


class Bank(NamedTuple):
    """Normal rows that stay with the detector.

    Attributes:
        z: their codes ``(B, L)``, float64.
        x: the rows themselves in model space ``(B, *spec.shape)``.
        rows: their numbers among the training rows ``(B,)``, int64.
    """

    z: Tensor
    x: Tensor
    rows: Tensor

    @staticmethod
    def choose(rows: int, wanted: int, numbers_a_row: int, seed: int) -> Tensor:
        """Which of so many rows a bank keeps, in order, so that it holds at most ``BANK_NUMBERS`` numbers."""
        count = max(1, min(rows, wanted, BANK_NUMBERS // max(1, numbers_a_row)))
        return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))[:count].sort().values

    def nearest(self, z: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Distances and places in the bank of the nearest codes, ``(N, count)``, nearest first."""
        z = z.double()
        squares = z.square().sum(1)[:, None] - 2 * z @ self.z.T + self.z.square().sum(1)
        found = squares.topk(min(count, len(self.z)), largest=False)
        return found.values.clamp(min=0).sqrt(), found.indices
