"""The way from the user's own units to model space and back. It travels inside the model."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor


class Preprocessing(ABC):
    """An invertible map between the user's units and model space, described by plain JSON values."""

    @abstractmethod
    def apply(self, raw: Tensor) -> Tensor:
        """User's units ``(N, ...)`` to model space, float32 of the same shape."""

    @abstractmethod
    def invert(self, x: Tensor) -> Tensor:
        """Model space to the user's units, same shape."""

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
