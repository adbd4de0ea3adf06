"""Why a row was flagged: which features, by how much, what was expected, and what normal rows are nearest."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Explanations(NamedTuple):
    """Of R rows with F features. A series' sensors are its features, and its residual is that of the last row.

    Attributes:
        rows: the rows' numbers ``(R,)``.
        share: of the row's strangeness that each feature has, ``(R, F)``; a row's shares add up to 1.
        residual: value minus expected value in model space, ``(R, F)``.
        expected: the row as the model would have it, in the user's units, ``(R, *spec.shape)``.
        nearest: numbers of the nearest normal rows among the training rows, nearest first, ``(R, neighbours)``.
        nearest_raw: these rows in the user's units, ``(R, neighbours, *spec.shape)``.
        outside: where a feature lies outside anything that training has seen, such as an unseen category, ``(R, F)``.
    """

    rows: Tensor
    share: Tensor
    residual: Tensor
    expected: Tensor
    nearest: Tensor
    nearest_raw: Tensor
    outside: Tensor

    def reasons(self, names: Sequence[str], top: int = 3) -> list[str]:
        """A sentence a row: its ``top`` features with their shares, and whether the value is too high or too low."""
        return [self._reason(place, names, top) for place in range(len(self.rows))]

    def _reason(self, place: int, names: Sequence[str], top: int) -> str:
        shares = self.share[place]
        best = shares.topk(min(top, len(shares))).indices.tolist()
        return ", ".join(self._part(place, feature, names[feature]) for feature in best if shares[feature] > 0)

    def _part(self, place: int, feature: int, name: str) -> str:
        way = "too high" if self.residual[place, feature] > 0 else "too low"
        beyond = ", never seen" if self.outside[place, feature] else ""
        return f"{name} {way}{beyond} ({float(self.share[place, feature]):.0%})"


def hit_rate(share: Tensor, truly: Tensor) -> Tensor:
    """HitRate@100 %: which part of the truly anomalous features is among the equally many top ones, ``(N,)``.

    Args:
        share: of each feature ``(N, F)``.
        truly: which features are anomalous ``(N, F)``, bool, at least one a row (Su et al. 2019, section 4.6).
    """
    ranks = share.argsort(1, descending=True).argsort(1)
    found = (ranks < truly.sum(1, keepdim=True)) & truly
    return found.sum(1).double() / truly.sum(1)


def normalized(ratios: Tensor) -> Tensor:
    """Squared ratios ``(N, F)`` as shares that add up to 1."""
    squares = ratios.double().square()
    return squares / squares.sum(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
