"""How the units of a code, or the codes of a codebook, are used over a whole split. No host synchronisation."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from lit_ae.latents import Latent, QuantizedCode, SparseCode


class Measures(Metric, ABC):
    """Figures of a split that are no mean over its samples, gathered from the latents of every batch."""

    full_state_update = False
    unit_of: ClassVar[Mapping[str, str]]
    """The figures' names, each with its unit."""

    @abstractmethod
    def update(self, latent: Latent) -> None:
        """Takes in the latent of a batch."""

    @abstractmethod
    def compute(self) -> dict[str, Tensor]:
        """The figures of all batches of all processes."""

    def totals(self, add_over_processes: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """What has been added up over all processes, as plain values: see :meth:`restore`."""
        return {name: add_over_processes(getattr(self, name).clone()).tolist() for name in self._defaults}

    def restore(self, totals: dict[str, Any]) -> None:
        """Goes on from what :meth:`totals` told; in one process alone, which then stands for all."""
        for name, values in totals.items():
            state = getattr(self, name)
            setattr(self, name, torch.tensor(values, dtype=state.dtype, device=state.device))


class UnitActivity(Measures):
    """How many units are on in a sample (L0), how strongly on average, and the share that was on in none.

    Args:
        units: numbers in a code.
    """

    unit_of: ClassVar = {"l0": "units a sample", "mean_activation": "", "dead_units": "share of units"}
    rows: Tensor
    fired: Tensor
    activation: Tensor

    def __init__(self, units: int):
        super().__init__()
        self.add_state("rows", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("fired", torch.zeros(units, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("activation", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, latent: SparseCode) -> None:  # type: ignore[override]
        self.rows += len(latent.active)
        self.fired += latent.active.sum(0)
        self.activation += latent.mean.detach().mean(1).sum()

    def compute(self) -> dict[str, Tensor]:
        l0, mean = self.fired.sum() / self.rows, self.activation / self.rows
        return {"l0": l0, "mean_activation": mean, "dead_units": (self.fired == 0).float().mean()}


class CodeUsage(Measures):
    """How evenly a codebook is used: exp(entropy) of the codes' shares (perplexity), and the share used at all.

    Args:
        codes: vectors in the codebook.
    """

    unit_of: ClassVar = {"perplexity": "codes", "code_usage": "share of codes"}
    counts: Tensor

    def __init__(self, codes: int):
        super().__init__()
        self.add_state("counts", torch.zeros(codes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, latent: QuantizedCode) -> None:  # type: ignore[override]
        self.counts += F.one_hot(latent.indices.flatten(), latent.codes).sum(0)

    def compute(self) -> dict[str, Tensor]:
        share = self.counts / self.counts.sum()
        entropy = torch.special.entr(share).sum()
        return {"perplexity": entropy.exp(), "code_usage": (self.counts > 0).float().mean()}
