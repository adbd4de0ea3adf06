"""Why a row was flagged: which features, by how much, what was expected, and what normal rows are nearest."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from lit_ae.preprocessing import Tabular
from lit_ae.schema import UNSEEN
from lit_ae.spec import DataSpec


class Features(NamedTuple):
    """What a user calls the features of model space.

    Attributes:
        names: of the user's features: the columns of a table, the sensors of a series, pixels, places.
        owner: the user's feature that each of model space belongs to ``(F,)``, as a category has one for each value.
    """

    names: list[str]
    owner: Tensor

    @staticmethod
    def of(spec: DataSpec) -> "Features":
        """By the schema where there is one, else by place."""
        if spec.schema is not None and isinstance(spec.preprocessing, Tabular):
            return Features(spec.schema.names, torch.tensor(spec.preprocessing.columns))
        shape = spec.shape[-1:] if spec.kind == "series" else spec.shape[-2:]
        repeats = 1 if spec.kind == "series" else max(1, spec.features // max(1, torch.Size(shape).numel()))
        places = [" ".join(map(str, place)) for place in product(*map(range, shape))]
        kind = {"image": "pixel", "series": "sensor", "sequence": "place", "table": "feature"}[spec.kind]
        names = [f"{kind} {place}" for place in places]
        return Features(names, torch.arange(len(names)).repeat(repeats))

    def total(self, values: Tensor) -> Tensor:
        """Of each of the user's features the sum of its features' values: ``(R, F)`` to ``(R, features)``."""
        return values.new_zeros(len(values), len(self.names)).index_add(1, self.owner, values)

    def largest(self, values: Tensor) -> Tensor:
        """Of each of the user's features the value furthest from 0: ``(R, F)`` to ``(R, features)``."""
        owner = self.owner.expand(len(values), -1)
        empty = values.new_zeros(len(values), len(self.names))
        high = empty.scatter_reduce(1, owner, values, "amax")
        low = empty.scatter_reduce(1, owner, values, "amin")
        return torch.where(high >= -low, high, low)


class Explanations(NamedTuple):
    """Of R rows with the user's features (see :class:`Features`).

    A series' sensors are its features; its residual, values and outside are those of the window's last row.

    Attributes:
        rows: the rows' numbers ``(R,)``.
        share: of the row's strangeness that each feature has, ``(R, features)``; a row's shares add up to 1, or are
            all 0 for tokens that are all as expected.
        residual: value minus expected value in model space, ``(R, features)``; of a category its most surprising value.
        raw: the row in the user's units, ``(R, ...)``.
        expected: the row as the model would have it, in the user's units, ``(R, ...)``.
        nearest: numbers of the nearest normal rows among the training rows, nearest first, ``(R, neighbours)``.
        nearest_raw: these rows in the user's units, ``(R, neighbours, ...)``.
        outside: where a feature lies outside all that training has seen, as an unseen category does ``(R, features)``.
        spec: of the data.
    """

    rows: Tensor
    share: Tensor
    residual: Tensor
    raw: Tensor
    expected: Tensor
    nearest: Tensor
    nearest_raw: Tensor
    outside: Tensor
    spec: DataSpec

    @property
    def names(self) -> list[str]:
        """The features' names."""
        return Features.of(self.spec).names

    @property
    def heat(self) -> Tensor:
        """The shares in the shape of an image, summed over its channels: ``(R, H, W)``."""
        return self.share.unflatten(1, self.spec.shape[-2:])

    def reasons(self, top: int = 3) -> list[str]:
        """A sentence a row: its ``top`` features with their values, what was expected, and their shares."""
        names, values, expected = self.names, self._told(self.raw), self._told(self.expected)
        best = self.share.topk(min(top, len(names)), dim=1)
        sentences = []
        for row, (shares, features) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            parts = [
                f"{names[feature]} is {_shown(values[row][feature])}{self._beyond(row, feature, values[row][feature])} "
                f"{_instead(values[row][feature], expected[row][feature])} ({share:.0%})"
                for share, feature in zip(shares, features, strict=True)
                if share > 0
            ]
            sentences.append("; ".join(parts) or "no feature stands out by itself")
        return sentences

    def neighbours(self, top: int = 3) -> list[str]:
        """Of each row what the nearest normal row has in the place of its ``top`` features, in their order."""
        names, values = self.names, self._told(self.nearest_raw[:, 0])
        best = self.share.topk(min(top, len(names)), dim=1).indices.tolist()
        return [
            ", ".join(f"{names[feature]} {_shown(values[row][feature])}" for feature in features)
            for row, features in enumerate(best)
        ]

    def _beyond(self, row: int, feature: int, value: object) -> str:
        return ", beyond what training has seen," if self.outside[row, feature] and value != UNSEEN else ""

    def _told(self, raw: Tensor) -> Sequence[Sequence[object]]:
        """Rows as the user would write them: of a window its last row, of a category its name."""
        if self.spec.kind == "series":
            raw = raw[:, -1]
        if self.spec.schema is not None:
            return self.spec.schema.decode(raw).to_numpy(dtype=object).tolist()
        if self.spec.kind == "sequence":
            return [[self.spec.vocabulary[round(number)] for number in row] for row in raw.tolist()]
        channels = raw.flatten(1).unflatten(1, (-1, len(self.names)))
        return channels.mean(1).tolist()


def hit_rate(share: Tensor, truly: Tensor) -> Tensor:
    """HitRate@100 %: which part of the truly anomalous features is among the equally many top ones, ``(N,)``.

    Args:
        share: of each feature ``(N, features)``.
        truly: which features are anomalous ``(N, features)``, bool, at least one a row (Su et al. 2019, section 4.6).
    """
    ranks = share.argsort(1, descending=True).argsort(1)
    found = (ranks < truly.sum(1, keepdim=True)) & truly
    return found.sum(1).double() / truly.sum(1)


def normalized(ratios: Tensor) -> Tensor:
    """Squared ratios ``(N, F)`` as shares that add up to 1."""
    squares = ratios.double().square()
    return squares / squares.sum(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)


def _instead(value: object, expected: object) -> str:
    """What was expected; of a category that is the likeliest and yet strange here, just that."""
    if _shown(value) == _shown(expected):
        return "and hardly goes with the rest"
    return f"and not {_shown(expected)}"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "missing" if pd.isna(value) else f"{value:.4g}"
    return "missing" if value is None else str(value)
