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
    """Maps ``[low, high]`` linearly to ``[0, 1]``; with a ``threshold`` (in model space) the result is 0 or 1.

    Args:
        low: the user's value that becomes 0.
        high: the user's value that becomes 1.
        threshold: x >= threshold becomes 1, anything else 0; None keeps the grey levels.
    """

    def __init__(self, low: float, high: float, threshold: float | None = None):
        self.low, self.high, self.threshold = low, high, threshold

    def apply(self, raw: Tensor) -> Tensor:
        x = (raw.float() - self.low) / (self.high - self.low)
        return x if self.threshold is None else (x >= self.threshold).float()

    def invert(self, x: Tensor) -> Tensor:
        return x * (self.high - self.low) + self.low
