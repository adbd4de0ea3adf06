"""Means over an epoch that cost a training step next to nothing, and are right over several processes."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


class RunningMeans:
    """Sample-weighted means of named figures, and the first step at which one of them was not finite.

    What :meth:`update` is given stays on its device, so a step waits for nothing; :meth:`gather` brings it all over at
    once.

    Args:
        names: the figures, in the order in which :meth:`update` is given them.
    """

    def __init__(self, names: list[str]):
        self.names = names
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._waiting: list[tuple[list[Tensor], int, int]] = []
        self._sums, self._rows = [0.0] * len(self.names), 0
        self.first_bad: tuple[int, str] | None = None

    @property
    def waiting(self) -> int:
        """Batches that are not gathered yet."""
        return len(self._waiting)

    def update(self, means: Mapping[str, Tensor], rows: int, step: int) -> None:
        """Takes a batch's means, scalars by name, over ``rows`` samples at a global step."""
        self._waiting.append(([means[name].detach() for name in self.names], rows, step))

    def gather(self) -> tuple[int, str] | None:
        """Adds up what waits; one copy from the device.

        Returns:
            The first step of this process at which a figure was not finite, and its name; None if all were.
        """
        if not self._waiting:
            return self.first_bad
        figures = torch.stack([figure for means, _, _ in self._waiting for figure in means]).tolist()
        for i, (_, rows, step) in enumerate(self._waiting):
            self._add(figures[i * len(self.names) : (i + 1) * len(self.names)], rows, step)
        self._waiting.clear()
        return self.first_bad

    def _add(self, means: list[float], rows: int, step: int) -> None:
        self._sums = [total + mean * rows for total, mean in zip(self._sums, means, strict=True)]
        self._rows += rows
        if self.first_bad is None:
            bad = (name for name, mean in zip(self.names, means, strict=True) if not math.isfinite(mean))
            self.first_bad = next(((step, name) for name in bad), None)

    def state(self, add_over_processes: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """What has been added up over all processes, as plain values: see :meth:`restore`."""
        self.gather()
        totals = add_over_processes(torch.tensor([*self._sums, self._rows], dtype=torch.float64))
        return {"names": self.names, "totals": totals.tolist()}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "RunningMeans":
        """Goes on from what :meth:`state` told; in one process alone, which then stands for all."""
        means = cls(list(state["names"]))
        *means._sums, rows = state["totals"]
        means._rows = int(rows)
        return means

    def compute(self, add_over_processes: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Each figure's mean over all samples of all processes.

        Args:
            add_over_processes: the sum of a tensor on the CPU over all processes; the identity where there is one.
        """
        self.gather()
        *sums, rows = add_over_processes(torch.tensor([*self._sums, self._rows], dtype=torch.float64)).tolist()
        return {name: total / rows for name, total in zip(self.names, sums, strict=True)}
