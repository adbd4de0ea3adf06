"""What a model leaves unexplained, feature by feature, and how much of that is normal."""

from typing import NamedTuple

import torch
from torch import Tensor

from lit_ae.spec import DataSpec

LEAST = 1e-3  # of the typical normal residual: no feature counts as known more exactly


class Norms(NamedTuple):
    """The residuals of held-out normal rows; of each feature ``(F,)``.

    Attributes:
        sigma: root mean square.
        reach: 99 % quantile of the absolute value.
    """

    sigma: Tensor
    reach: Tensor

    @staticmethod
    def of(magnitudes: Tensor) -> "Norms":
        """Fitted on magnitudes ``(N, F)`` of held-out normal rows."""
        squares = magnitudes.double().square()
        sigma = squares.mean(0).sqrt()
        reach = magnitudes.double().quantile(0.99, 0) if len(magnitudes) < 100_000 else 2.576 * sigma
        least = max(LEAST * float(squares.mean().sqrt()), 1e-9)
        return Norms(sigma.clamp(min=least).float(), reach.clamp(min=least).float())


def magnitudes(residual: Tensor, spec: DataSpec) -> Tensor:
    """The size of the residual of each feature ``(N, F)``; of a series' sensor it is the root mean square over time."""
    if spec.kind == "series":
        return residual.square().mean(1).sqrt()
    return residual.flatten(1).abs()


def signed(residual: Tensor, spec: DataSpec) -> Tensor:
    """The residual of each feature ``(N, F)``; of a series' sensor that of the last row."""
    return residual[:, -1] if spec.kind == "series" else residual.flatten(1)


def mean_of_top(ratios: Tensor, count: int) -> Tensor:
    """The mean of the ``count`` largest of ``(N, F)``."""
    return torch.topk(ratios, min(count, ratios.shape[1])).values.mean(1)


def relative_error(x: Tensor, residual: Tensor, spec: DataSpec) -> Tensor:
    """The squared residual over the light of the image ``(N,)``: a faint image has little to get wrong."""
    black = spec.value_range[0] if spec.value_range else 0.0
    light = (x - black).square().flatten(1).sum(1)
    return residual.square().flatten(1).sum(1) / light.clamp(min=1e-6)
