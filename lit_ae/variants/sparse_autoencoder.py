"""The sparse autoencoder."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from lit_ae.latents import SparseCode
from lit_ae.metrics.usage import UnitActivity
from lit_ae.module import LitAutoencoder, Pass
from lit_ae.networks.dictionary import start_as_dictionary
from lit_ae.schedules import Schedule
from lit_ae.sparsity import Sparsity, TopK
from lit_ae.spec import DataSpec


class SparseAutoencoder(LitAutoencoder):
    """A wide code of which few units are on in each sample, so that a unit comes to stand for something.

    Args:
        spec: what the data is; handed over by the data module.
        latent_dim: units of the code; usually more than the data has features.
        sparsity: what keeps the units off; its weight and its other options are its own.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        latent_dim: int = 256,
        sparsity: Callable[[int], Sparsity] = TopK,
        **kwargs: Any,
    ):
        super().__init__(spec, latent_dim=latent_dim, **kwargs)
        self.sparsity = sparsity(latent_dim)
        if self.sparsity.dictionary:
            start_as_dictionary(self.network, self.sparsity.start)

    def posterior(self, x: Tensor) -> SparseCode:
        pre = self.network.encode(x)
        return self.sparsity(pre.to(torch.promote_types(pre.dtype, torch.float32)))

    def terms(self, passed: Pass[SparseCode]) -> dict[str, Tensor]:
        return {**super().terms(passed), "sparsity": self.sparsity.cost(self, passed)}

    @property
    def weights(self) -> Mapping[str, Schedule]:
        return {"sparsity": self.sparsity.weight}

    def measures(self) -> UnitActivity:
        return UnitActivity(self.latent_dim)
