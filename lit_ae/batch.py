"""What one training step is given."""

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """The rows of one step that this process works on.

    Attributes:
        x: samples in model space, ``(N, *spec.shape)``.
        y: class labels ``(N,)`` of type int64, or None where the data has none. No unsupervised objective uses them.
        share: ``N * world_size / rows of the global batch``. A mean over ``x`` times ``share``, averaged over the
            processes, is the mean over the global batch, also where the processes' shares differ by a row.
            1.0 in a single process.
        rows: the samples' row numbers in their split ``(N,)``, int64, or None where nobody knows.
    """

    x: Tensor
    y: Tensor | None = None
    share: float = 1.0
    rows: Tensor | None = None

    def labelled(self, share: float) -> Tensor:
        """Which samples are among the ``share`` of all rows whose labels may be seen, ``(N,)``: always the same rows.

        The share is even over the rows (Fibonacci hashing); unknown rows count as the first ones.
        """
        rows = torch.arange(len(self.x), device=self.x.device) if self.rows is None else self.rows
        return (rows + 1) * 2654435769 % 2**32 < share * 2**32
