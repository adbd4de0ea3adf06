"""The contractive autoencoder."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lit_ae.errors import UserError
from lit_ae.jacobian import encoder_contraction
from lit_ae.latents import Point
from lit_ae.module import LitAutoencoder, Pass
from lit_ae.schedules import Schedule
from lit_ae.spec import DataSpec


class ContractiveAutoencoder(LitAutoencoder):
    """A code that answers to its input as little as reconstruction allows (Rifai et al. 2011, equations 5 and 6).

    The decoder should not be free to undo a smaller code by larger weights: tie it (model.network.tied), as they do.

    Args:
        spec: what the data is; handed over by the data module.
        contraction: weight of the encoder's squared Jacobian |dh/dx|²_F of a sample: a number, or a schedule.
        probes: 0 for the exact Jacobian; for large codes, random directions of Hutchinson's estimate of it.
    """

    def __init__(self, spec: DataSpec, *, contraction: float | Schedule = 0.1, probes: int = 0, **kwargs: Any):
        spec.refuse_tokens("ContractiveAutoencoder differentiates by x")
        super().__init__(spec, **kwargs)
        self.contraction, self.probes = Schedule.of(contraction), probes
        if probes < 0 or self.contraction.final < 0:
            raise UserError("ContractiveAutoencoder needs contraction >= 0 and probes >= 0.")
        if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in self.network.modules()):
            raise UserError("A Jacobian needs samples that don't mix: set model.network.normalization to layer.")

    def terms(self, passed: Pass[Point]) -> dict[str, Tensor]:
        contraction = encoder_contraction(self.network, passed.inputs, self.probes)
        return {**super().terms(passed), "contraction": contraction}

    @property
    def weights(self) -> Mapping[str, Schedule]:
        return {"contraction": self.contraction}
