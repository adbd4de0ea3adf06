"""How the units of a code, or the codes of a codebook, are used over a whole split. No host synchronisation."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_ae.latents import DiagonalGaussian, Latent, QuantizedCode, SparseCode
from lit_ae.metrics.totals import Totals

ACTIVE = 0.01  # variance of a posterior mean above which its dimension counts
COLLAPSED = 0.1  # share of the latent dimensions in use below which it is said at the end of the training
LITTLE = 0.01  # nats of KL a latent dimension below which it is said too
DEAD = 0.1  # share of units that were on for no sample of an epoch of training above which it is said
USED = 0.5  # share of a codebook that was used in such an epoch below which it is said


class Measures(Totals):
    """Figures of a split that are no mean over its samples, gathered from the latents of every batch."""

    unit_of: ClassVar[Mapping[str, str]]
    """The figures' names, each with its unit."""

    @abstractmethod
    def update(self, latent: Latent) -> None:
        """Takes in the latent of a batch."""

    @abstractmethod
    def compute(self) -> dict[str, Tensor]:
        """The figures of all batches of all processes."""

    @abstractmethod
    def alarms(self, figures: Mapping[str, float]) -> list[str]:
        """A sentence for whatever the last epoch's figures (``train/<name>``, ``val/<name>``) warn of."""


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

    def alarms(self, figures: Mapping[str, float]) -> list[str]:
        share = figures.get("train/dead_units", 0.0)
        text = f"{share:.0%} of the units are dead: choose BatchTopK, lower model.sparsity.weight or model.latent_dim."
        return [text] if share > DEAD else []


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

    def alarms(self, figures: Mapping[str, float]) -> list[str]:
        share = figures.get("train/code_usage", 1.0)
        text = f"Only {share:.0%} of the codebook is used: raise model.revive_below, or lower model.codes."
        return [text] if share < USED else []


class PosteriorUsage(Measures):
    """How many latent dimensions are used, and the mean KL(q(z|x) || N(0, I)) in nats.

    A dimension is used where the posterior's mean varies over the samples by more than 0.01 (Burda et al. 2016,
    section 5.3).

    Args:
        latent_dim: numbers in a code.
    """

    unit_of: ClassVar = {"active_units": "latent dimensions", "kl": "nats"}
    rows: Tensor
    means: Tensor
    squares: Tensor
    nats: Tensor

    def __init__(self, latent_dim: int):
        super().__init__()
        self.latent_dim = latent_dim
        self.add_state("rows", torch.tensor(0), dist_reduce_fx="sum")
        for state in ("means", "squares", "nats"):
            self.add_state(state, torch.zeros(latent_dim), dist_reduce_fx="sum")

    def update(self, latent: DiagonalGaussian) -> None:  # type: ignore[override]
        mean = latent.mean.detach()
        self.rows += len(mean)
        self.means += mean.sum(0)
        self.squares += mean.square().sum(0)
        self.nats += latent.kl_per_dimension().detach().sum(0)

    def compute(self) -> dict[str, Tensor]:
        variance = (self.squares - self.means.square() / self.rows) / (self.rows - 1).clamp(min=1)
        return {"active_units": (variance > ACTIVE).sum().float(), "kl": self.nats.sum() / self.rows}

    def alarms(self, figures: Mapping[str, float]) -> list[str]:
        used, kl = figures.get("val/active_units", self.latent_dim), figures.get("val/kl", math.inf)
        if used >= COLLAPSED * self.latent_dim and kl >= LITTLE * self.latent_dim:
            return []
        return [
            f"The posterior has collapsed: {used:.0f} of {self.latent_dim} latent dimensions are in use, with {kl:.2g} "
            "nats of KL: lower model.beta, or let it rise slowly by LinearWarmup."
        ]
