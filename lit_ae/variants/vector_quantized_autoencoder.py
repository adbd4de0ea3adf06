"""The vector-quantised autoencoder."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lit_ae.codebook import Codebook
from lit_ae.errors import UserError
from lit_ae.latents import QuantizedCode
from lit_ae.metrics.usage import CodeUsage
from lit_ae.module import LitAutoencoder, Pass
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec


class VectorQuantizedAutoencoder(LitAutoencoder):
    """A code of a few words from a learned codebook: VQ-VAE (van den Oord et al. 2017), for any network.

    The encoder's ``latent_dim`` numbers are split into ``groups`` vectors, and each is replaced by the nearest of one
    codebook that they share. A sample is then ``groups * log2(codes)`` bits.

    Args:
        spec: what the data is; handed over by the data module.
        codes: vectors in the codebook.
        groups: vectors in a code; must divide ``latent_dim``.
        commitment: weight of the squared distance from the encoder's vectors to their codes (their equation 3).
        decay: the share of the codebook's moving averages that a step keeps.
        revive_below: uses a step, on average, below which a code starts again at a vector of the batch; 0 for never.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        codes: int = 64,
        groups: int = 4,
        commitment: float | Schedule = 0.25,
        decay: float = 0.99,
        revive_below: float = 0.1,
        **kwargs: Any,
    ):
        super().__init__(spec, **kwargs)
        if groups < 1 or self.latent_dim % groups:
            raise UserError(f"model.groups must divide model.latent_dim ({self.latent_dim}), and {groups} does not.")
        self.groups, self.commitment = groups, Schedule.of(commitment)
        self.codebook = Codebook(codes, self.latent_dim // groups, decay, revive_below)

    def posterior(self, x: Tensor) -> QuantizedCode:
        return self.codebook(self.network.encode(x).unflatten(1, (self.groups, -1)))

    def terms(self, passed: Pass[QuantizedCode]) -> dict[str, Tensor]:
        if self.training:
            self.codebook.update(passed.latent)
        return {**super().terms(passed), "commitment": passed.latent.distance}

    @property
    def weights(self) -> Mapping[str, Schedule]:
        return {"commitment": self.commitment}

    def measures(self) -> CodeUsage:
        return CodeUsage(len(self.codebook.vectors))
