"""The way from rows as the user writes them (strings, columns of a table) to raw tensors and back."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor


class Codec(ABC):
    """What a model needs to take the user's own rows, where those are no numbers. It travels inside the model.

    A codec makes the raw tensor, which :class:`lit_ae.preprocessing.Preprocessing` brings to model space.
    """

    @property
    def requirements(self) -> tuple[str, ...]:
        """Packages that it imports and that not every served model needs anyway."""
        return ()

    @abstractmethod
    def encode(self, rows: Any) -> Tensor:
        """The user's rows as a raw tensor ``(N, ...)``.

        Raises:
            UserError: a row that can't be read, named by its place (from 0) and with what is wrong.
        """

    @abstractmethod
    def decode(self, raw: Tensor) -> Any:
        """A raw tensor, of any number type, as rows of the user's."""
