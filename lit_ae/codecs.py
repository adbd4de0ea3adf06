"""The way from rows as the user writes them (strings, columns of a table) to raw tensors and back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lit_ae.describe import Described


class Codec(Described, ABC):
    """What a model needs to take the user's own rows, where those are no numbers. It travels inside the model.

    A codec makes the raw tensor ``(N, *spec.shape)``, which :class:`lit_ae.preprocessing.Preprocessing` brings to
    model space. Its constructor's arguments are plain JSON values, by which it is saved: see :mod:`lit_ae.describe`.

    Attributes:
        row: what one row is called, for a served model's signature.
    """

    row: str

    @property
    def requirements(self) -> tuple[str, ...]:
        """Packages that it imports and that not every served model needs anyway."""
        return ()

    @abstractmethod
    def encode(self, rows: Sequence[Any]) -> Tensor:
        """The user's rows as a raw tensor ``(N, *spec.shape)``.

        Raises:
            UserError: a row that can't be read, named by its place (from 0) and with what is wrong.
        """

    @abstractmethod
    def decode(self, raw: Tensor) -> list[Any]:
        """A raw tensor ``(N, *spec.shape)``, of any number type, as rows of the user's."""
