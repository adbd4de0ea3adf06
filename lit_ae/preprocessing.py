"""The way from the user's own units to model space and back. It travels inside the model."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FURTHEST = 1e15  # standard deviations from the mean: its square is still a number in float32
LARGEST_LOG = 80.0  # of a number on the way back


class Preprocessing(ABC):
    """An invertible map between the user's units and model space, described by plain JSON values."""

    @abstractmethod
    def apply(self, raw: Tensor) -> Tensor:
        """User's units ``(N, ...)`` to model space ``(N, *spec.shape)``, float32."""

    @abstractmethod
    def invert(self, x: Tensor) -> Tensor:
        """Model space to the user's units, of the shape that :meth:`apply` takes."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values from which :meth:`from_dict` makes an equal object."""
        return {"name": type(self).__name__, **vars(self)}

    @staticmethod
    def from_dict(state: dict[str, Any]) -> "Preprocessing":
        kinds = {kind.__name__: kind for kind in Preprocessing.__subclasses__()}
        state = dict(state)
        return kinds[state.pop("name")](**state)


class Rescale(Preprocessing):
    """Maps ``[low, high]`` linearly to ``[lowest, 1]``; with a ``threshold`` there is nothing between the two ends.

    Args:
        low: the user's value that becomes ``lowest``.
        high: the user's value that becomes 1.
        threshold: share of the way from low to high from which on x becomes 1, and below it ``lowest``; None keeps the
            grey levels.
        lowest: 0, or -1 for values around zero.
    """

    def __init__(self, low: float, high: float, threshold: float | None = None, lowest: float = 0.0):
        self.low, self.high, self.threshold, self.lowest = low, high, threshold, lowest

    def apply(self, raw: Tensor) -> Tensor:
        share = (raw.float() - self.low) / (self.high - self.low)
        if self.threshold is not None:
            share = (share >= self.threshold).float()
        return share * (1 - self.lowest) + self.lowest if self.lowest else share

    def invert(self, x: Tensor) -> Tensor:
        share = (x - self.lowest) / (1 - self.lowest)
        return share * (self.high - self.low) + self.low


class Tabular(Preprocessing):
    """Columns ``(..., columns)`` to features ``(..., features)``: numbers, then one-hot categories, then indicators.

    A numeric column becomes sign(v)·log(1 + |v|) if wanted, and is standardised; what lies further than 1e15 standard
    deviations away counts as that far, and a missing number (NaN) becomes 0, the training mean. A categorical column of
    codes becomes as many features as it has bins. An indicator is 1 where the column's number is missing. On the way
    back a category is the largest of its features, and a number is missing where its indicator is above one half.

    Args:
        bins: features of each column, 0 for a numeric one.
        centre: what is subtracted from each column, after the logarithm; unused for categories.
        scale: what it is then divided by.
        log: whether numbers are put on the logarithmic scale.
        indicators: the numeric columns that have one.
    """

    def __init__(
        self,
        bins: Sequence[int],
        centre: Sequence[float],
        scale: Sequence[float],
        log: bool = False,
        indicators: Sequence[int] = (),
    ):
        self.bins, self.centre, self.scale = list(bins), list(centre), list(scale)
        self.log, self.indicators = log, list(indicators)

    @property
    def features(self) -> int:
        """Numbers in one row of model space."""
        return len(self.columns)

    @property
    def columns(self) -> list[int]:
        """The column that each feature is of."""
        categories = [column for column, bins in enumerate(self.bins) for _ in range(bins)]
        return [*self._numeric, *categories, *self.indicators]

    @property
    def _numeric(self) -> list[int]:
        return [column for column, bins in enumerate(self.bins) if not bins]

    def apply(self, raw: Tensor) -> Tensor:
        raw = raw.double()
        missing = raw[..., self.indicators].isnan().float()
        categories = [F.one_hot(raw[..., c].long(), bins).float() for c, bins in enumerate(self.bins) if bins]
        return torch.cat([self._standardised(raw[..., self._numeric]), *categories, missing], dim=-1)

    def _standardised(self, numbers: Tensor) -> Tensor:
        numbers = numbers.sign() * numbers.abs().log1p() if self.log else numbers
        centre, scale = self._numeric_part(self.centre, numbers), self._numeric_part(self.scale, numbers)
        return ((numbers - centre) / scale).nan_to_num(nan=0.0).clamp(-FURTHEST, FURTHEST).float()

    def _numeric_part(self, values: list[float], like: Tensor) -> Tensor:
        return torch.tensor([values[column] for column in self._numeric], dtype=torch.float64, device=like.device)

    def invert(self, x: Tensor) -> Tensor:
        raw = x.new_empty(*x.shape[:-1], len(self.bins), dtype=torch.float64)
        sizes = [len(self._numeric), *(bins for bins in self.bins if bins), len(self.indicators)]
        numbers, *categories, missing = x.double().split(sizes, dim=-1)
        numbers = numbers * self._numeric_part(self.scale, x) + self._numeric_part(self.centre, x)
        raw[..., self._numeric] = numbers.sign() * numbers.abs().clamp(max=LARGEST_LOG).expm1() if self.log else numbers
        for column, one_hot in zip((c for c, bins in enumerate(self.bins) if bins), categories, strict=True):
            raw[..., column] = one_hot.argmax(-1).double()
        raw[..., self.indicators] = raw[..., self.indicators].where(missing <= 0.5, torch.nan)
        return raw
