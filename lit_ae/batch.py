"""What one training step is given."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """The rows of one step that this process works on.

    Attributes:
        x: samples in model space, ``(N, *spec.shape)``.
        y: class labels ``(N,)`` of type int64, or None where the data has none. No unsupervised objective uses them.
        share: ``N * world_size / rows of the global batch``. A mean over ``x`` times ``share``, averaged over the
            processes, is the mean over the global batch, also where the processes' shares differ by a row.
            1.0 in a single process.
    """

    x: Tensor
    y: Tensor | None = None
    share: float = 1.0
