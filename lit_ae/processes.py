"""What one process of a training knows of the others."""

from typing import Literal

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor

from lit_ae.batch import Batch


class OverProcesses(L.LightningModule):
    """Statistics of the global batch, of which each process holds a share."""

    def over_processes(self, figures: Tensor, how: Literal["sum", "min"]) -> Tensor:
        """The sum, or the smallest, of what every process gives; any shape."""
        if self.trainer.world_size == 1:
            return figures
        return self.trainer.strategy.reduce(figures.to(self.device), reduce_op=how)

    def mean_over_processes(self, values: Tensor) -> Tensor:
        """The mean over the rows of ``(N, ...)``: its value is the global batch's, its gradient is this process's."""
        mean = values.mean(0)
        if self._trainer is None or self.trainer.world_size == 1:
            return mean
        sums = torch.stack([values.detach().sum(0), torch.full_like(mean, len(values))])
        total, rows = self.trainer.strategy.reduce(sums, reduce_op="sum").unbind()
        return mean + (total / rows - mean).detach()

    def rows_of_all_processes(self, rows: Tensor, batch: Batch | None) -> tuple[Tensor, Tensor, int]:
        """The rows ``(N, D)`` of every process, with gradients to all of them.

        Returns:
            The rows ``(M, D)``, which of them are real ``(M,)`` (a process that has one row less fills up with zeros),
            and the place of this process's first one.
        """
        if batch is None or self._trainer is None or self.trainer.world_size == 1:
            return rows, torch.ones(len(rows), dtype=torch.bool, device=rows.device), 0
        most = -(-round(len(rows) * self.trainer.world_size / batch.share) // self.trainer.world_size)
        filled = F.pad(rows, (0, 0, 0, most - len(rows)))
        every = self.all_gather(filled, sync_grads=True)
        real = self.all_gather(torch.arange(most, device=rows.device) < len(rows))
        assert isinstance(every, Tensor)
        assert isinstance(real, Tensor)
        return every.flatten(0, 1), real.flatten(), self.global_rank * most
