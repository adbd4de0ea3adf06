"""The plain autoencoder."""

from typing import Any

import torch
from torch import Tensor

from lit_ae.errors import UserError
from lit_ae.latents import Point
from lit_ae.module import LitAutoencoder
from lit_ae.spec import DataSpec


class Autoencoder(LitAutoencoder):
    """Reconstruction through a bottleneck (Hinton & Salakhutdinov 2006); with a corruption, a denoising autoencoder.

    Args:
        spec: what the data is; handed over by the data module.
        growth_epochs: epochs over which the code grows from one dimension to ``latent_dim``, each taking as long as
            the next; those still to come are zero. The first ones then tell most of x, much as in PCA. 0 for none.
    """

    active: Tensor | None

    def __init__(self, spec: DataSpec, *, growth_epochs: float = 0.0, **kwargs: Any):
        if growth_epochs < 0:
            raise UserError(f"model.growth_epochs must be 0 or more, not {growth_epochs}.")
        super().__init__(spec, **kwargs)
        self.growth_epochs = growth_epochs
        self.register_buffer("active", torch.ones(self.latent_dim) if growth_epochs else None)

    def latent(self, code: Tensor) -> Point:
        return Point(code if self.active is None else code * self.active)

    def grow(self, epoch: float) -> None:
        """Makes as many dimensions active as belong to a moment of the training, in epochs from its start."""
        if self.active is not None:
            count = 1 + int(self.latent_dim * epoch / self.growth_epochs)
            self.active.fill_(1.0)[count:] = 0.0

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.grow(self.trainer.global_step / self._steps_per_epoch)

    @property
    def lengths(self) -> dict[str, float]:
        return {**super().lengths, "latent_dim": self.growth_epochs}
