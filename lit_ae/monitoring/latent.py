"""Where the codes of normal rows lie, and how far those of other rows are from there."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lit_ae.detection.codes import WIDEST, Cloud
from lit_ae.monitoring.features import Difference

FIT_ROWS = 20_000  # codes that the ellipsoid is of, at most


class LatentProfile(NamedTuple):
    """The ellipsoid of normal codes: mean ``(L,)`` and whitening ``(L, L)``, float64.

    Attributes:
        mean: of the calibration rows' codes.
        whitening: makes the covariance of the fit rows' codes the identity.
        rows: effective calibration rows.
        unrest: how far the means of the fit and the calibration codes lie apart, in standard deviations.
    """

    mean: NDArray[np.float64]
    whitening: NDArray[np.float64]
    rows: float
    unrest: float

    @staticmethod
    def of(fit: NDArray[np.float64], calibrate: NDArray[np.float64], rows: float) -> "LatentProfile | None":
        """Of codes ``(N, L)``; None where they are too wide for a covariance."""
        if fit.shape[1] > WIDEST:
            return None
        cloud = Cloud.of(torch.from_numpy(fit[:: max(1, len(fit) // FIT_ROWS)]))
        mean = calibrate.mean(0)
        apart = (mean - cloud.mean.numpy()) @ cloud.whitening.numpy()
        return LatentProfile(mean, cloud.whitening.numpy(), rows, float(np.sqrt(np.square(apart).sum())))

    def whiten(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Codes ``(N, L)`` in standard deviations from the calibration's mean."""
        return (codes.astype(np.float64) - self.mean) @ self.whitening

    def difference(self, total: NDArray[np.float64], rows: float, effective_rows: float) -> Difference:
        """How far the mean of other codes lies away: in standard deviations without what chance adds, and its p-value.

        Args:
            total: the sum of whitened codes ``(L,)``.
            rows: how many they are.
            effective_rows: what these are worth.
        """
        from scipy.stats import chi2

        if rows == 0:
            return Difference(0.0, 1.0)
        squared = float(np.square(total / rows).sum())
        pairs = effective_rows * self.rows / (effective_rows + self.rows)
        distance = np.sqrt(max(0.0, squared - len(total) / pairs))
        return Difference(float(distance), float(chi2.sf(pairs * squared, len(total))))
