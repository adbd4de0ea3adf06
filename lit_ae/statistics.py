"""Statistics that are gathered over many steps and over all processes of a training."""

import torch
from torch import Tensor, distributed, nn


def total_over_processes(values: Tensor) -> Tensor:
    """The sum of every process's ``values``, without gradient; a copy of them in a single process."""
    total = values.detach().clone()
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(total)
    return total


def of_the_first_process(values: Tensor) -> Tensor:
    """The first process's ``values``, in every process."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return values
    return total_over_processes(values if distributed.get_rank() == 0 else torch.zeros_like(values))


class MovingAverage(nn.Module):
    """An exponential moving average without the bias of its start (Kingma & Ba 2015, section 3).

    Args:
        shape: of the values that are averaged.
        decay: the share of the old average that is kept at each update.
        start: what :meth:`value` says before the first update.
    """

    total: Tensor
    mass: Tensor

    def __init__(self, shape: tuple[int, ...], decay: float, start: float = 0.0):
        super().__init__()
        self.decay, self.start = decay, start
        self.register_buffer("total", torch.zeros(shape))
        self.register_buffer("mass", torch.zeros(()))

    def update(self, values: Tensor) -> None:
        """Takes in one step's values, the same in every process."""
        self.total.lerp_(values.detach().to(self.total.dtype), 1 - self.decay)
        self.mass.lerp_(torch.ones_like(self.mass), 1 - self.decay)

    @property
    def value(self) -> Tensor:
        """The average, of the given shape."""
        begun = self.total / self.mass.clamp(min=torch.finfo(self.mass.dtype).tiny)
        return torch.where(self.mass > 0, begun, self.start)
