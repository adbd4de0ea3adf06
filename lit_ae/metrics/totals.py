"""Sums over many steps and all processes that a checkpoint can hold."""

from abc import ABC
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class Totals(Metric, ABC):
    """A metric whose states are sums."""

    full_state_update = False

    def totals(self, add_over_processes: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """What has been added up over all processes, as plain values: see :meth:`restore`."""
        return {name: add_over_processes(getattr(self, name).clone()).tolist() for name in self._defaults}

    def restore(self, totals: dict[str, Any]) -> None:
        """Goes on from what :meth:`totals` told; in one process alone, which then stands for all."""
        for name, values in totals.items():
            state = getattr(self, name)
            setattr(self, name, torch.tensor(values, dtype=state.dtype, device=state.device))
